"""Who a process is at the broker of an open pool.

In a pool of one's own all machines share a password, and nobody is anyone in particular.  In an
open pool each *principal*, a peer or a gamer, has a login of its own, and the broker lets it
touch its own keys alone (:mod:`p2c2g.messaging.acl`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from p2c2g.errors import UsageError

#: What the coordinator makes: it stands in keys and in the broker's patterns of them.
ID_PATTERN: Final = r"^[a-z][a-z0-9]{5,31}$"

#: Letters of a gamer's id that say which account's it is, for a day and to nobody else.
MARK_LETTERS: Final = 8


class Role(Enum):
    """What a principal may be."""

    PEER = "peer"  # enhances what gamers send it
    GAMER = "gamer"  # sends chunks and reads what came back


@dataclass(frozen=True, slots=True)
class Principal:
    """One peer or one gamer of an open pool.

    Raises:
        UsageError: the id is none that a coordinator gives.
    """

    role: Role
    id: str

    def __post_init__(self) -> None:
        if not is_principal_id(self.id):
            raise UsageError(
                f"{self.id[:80]!r} is no id of a {self.role.value}: give 6 to 32 small letters and "
                "digits, as the coordinator does."
            )

    @property
    def user(self) -> str:
        """Return its login at the broker."""
        return f"{self.role.value}-{self.id}"


def is_principal_id(text: str) -> bool:
    """Tell whether a text can be a principal's id."""
    return re.fullmatch(ID_PATTERN.strip("^$"), text) is not None


def account_mark(gamer: str) -> str:
    """Return what the ids of one account's gamers have in common: together they are one voice."""
    return gamer[:MARK_LETTERS]
