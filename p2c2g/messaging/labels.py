"""What may be a name: of peers and queues in messages, and of what people call theirs.

A *name* stands in keys and commands, so it has no blanks and no control characters; strangers
write them.  A *label* is for people, and may have blanks inside.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field

from p2c2g.errors import UsageError

#: Characters of a name or a label at most, and of a region's.
MAX_NAME: Final = 200
MAX_REGION: Final = 64
_LETTERS = r"[^\s\x00-\x1f\x7f]+"

#: A name in a message.
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=f"^{_LETTERS}$")]


def is_name(text: str) -> bool:
    """Tell whether a text can be a peer's id or a queue's name: whether it is a :data:`Name`."""
    return len(text) <= MAX_NAME and re.fullmatch(_LETTERS, text) is not None


def parse_label(text: str, longest: int = MAX_NAME, what: str = "name") -> str:
    """Return a label as people write it, without blanks around it.

    Raises:
        UsageError: it is empty, too long or not printable.
    """
    label = text.strip()
    if not label or len(label) > longest or not label.isprintable():
        raise UsageError(
            f"{text!r} is no {what}: give from 1 to {longest} printable characters, such as attic."
        )
    return label
