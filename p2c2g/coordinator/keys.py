"""API keys: how one is written, what it lets its holder do, and what is kept of it.

A key is ``p2c2g_`` and 61 letters and digits: 12 that name it, 43 that are secret (256 random
bits) and 6 of a checksum.  So programs that look for leaked keys find it by its shape, and one that
was copied wrong is known without a look into the database.

What is kept is an HMAC-SHA256 under the coordinator's secret.  Slow hashes (Argon2, bcrypt) make it
dear to guess what people made up; nobody guesses 256 random bits, and a slow hash a request would
only let strangers keep the coordinator busy.  Under a secret that is not in the database, who reads
that can neither use a key nor put in another.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Self

PREFIX: Final = "p2c2g_"
_LETTERS: Final = string.digits + string.ascii_letters
_ID, _SECRET, _CHECK = 12, 43, 6
_SHAPE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{_ID}}})([0-9A-Za-z]{{{_SECRET}}})([0-9A-Za-z]{{6}})")


class KeyRole(Enum):
    """What the holder of a key is."""

    GAMER = "gamer"  # plays with the pool
    PEER = "peer"  # lends machines to it
    OPERATOR = "operator"  # runs it


class Scope(Enum):
    """One thing that a key lets its holder do."""

    JOIN_GAMER = "gamers:join"  # get a gamer's login at the broker
    JOIN_PEER = "peers:join"  # let a machine in as a peer
    OWN = "own:read"  # see what belongs to its own account
    KEYS_READ = "keys:read"  # see everybody's keys, never their secrets
    KEYS_WRITE = "keys:write"  # make and revoke keys and accounts
    POOL_READ = "pool:read"  # see everybody's peers and gamers
    POOL_WRITE = "pool:write"  # drain, ban and let in again
    AUDIT_READ = "audit:read"  # read the audit log


#: The most that a key of each role may do; a key may be given less.
SCOPES: Final = {
    KeyRole.GAMER: frozenset({Scope.JOIN_GAMER, Scope.OWN}),
    KeyRole.PEER: frozenset({Scope.JOIN_PEER, Scope.OWN}),
    KeyRole.OPERATOR: frozenset(
        {Scope.OWN, Scope.KEYS_READ, Scope.KEYS_WRITE, Scope.POOL_READ, Scope.POOL_WRITE,
         Scope.AUDIT_READ}
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as its holder has it; ``id`` is no secret."""

    id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """Return a new key."""
        return cls(_random(_ID), _random(_SECRET))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a key; None where it has not the shape of one, or was copied wrong."""
        found = _SHAPE.fullmatch(text)
        if found is None or found[3] != _checksum(found[1] + found[2]):
            return None
        return cls(found[1], found[2])

    @property
    def text(self) -> str:
        """Return what the holder is given."""
        return PREFIX + self.id + self.secret + _checksum(self.id + self.secret)


def digest(pepper: bytes, text: str) -> bytes:
    """Return what is kept of a secret: 32 bytes."""
    return hmac.digest(pepper, text.encode(), "sha256")


def matches(pepper: bytes, text: str, kept: bytes) -> bool:
    """Tell whether a secret is the one that something was kept of, in the same time if not."""
    return hmac.compare_digest(digest(pepper, text), kept)


def new_token() -> str:
    """Return 256 random bits in letters, for a browser's cookie or a principal's token."""
    return _random(_SECRET)


def _random(letters: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(letters))


def _checksum(text: str) -> str:
    value, found = zlib.crc32(text.encode()), ""
    for _ in range(_CHECK):
        value, rest = divmod(value, len(_LETTERS))
        found = _LETTERS[rest] + found
    return found
