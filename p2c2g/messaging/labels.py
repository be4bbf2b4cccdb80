"""What may be a name: of peers and queues in messages, and of what people call theirs.

A *name* stands in keys, patterns and commands, and strangers write them: it has letters, digits
and ``. - _ @`` alone.  A *label* is for people, and may have blanks inside.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from p2c2g.errors import UsageError

#: Characters of a name or a label at most, and of a region's.
MAX_NAME: Final = 200
MAX_REGION: Final = 64
#: What a name may have beside letters and digits: none of it means anything in a key's pattern.
MARKS: Final = ".-_@"
#: What is told to who gives another, after "give one of".
WHAT_IS_A_NAME: Final = f"at most {MAX_NAME} letters, digits and any of . - _ @"
_NO_MARKS: Final = str.maketrans("", "", MARKS)


def is_name(text: str) -> bool:
    """Tell whether a text can be a peer's id or a queue's name: whether it is a :data:`Name`."""
    if not 1 <= len(text) <= MAX_NAME:
        return False
    letters = text.translate(_NO_MARKS)
    return not letters or letters.isalnum()


def is_short(value: object) -> bool:
    """Tell whether a message says nothing here, or a text that is no longer than a name."""
    return value is None or (isinstance(value, str) and len(value) <= MAX_NAME)


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"it is no name: {WHAT_IS_A_NAME}")
    return text


#: A name in a message.
Name = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(_name)]


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
