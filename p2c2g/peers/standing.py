"""What an operator says of a peer of an open pool, and to it.

The coordinator writes both, and gamers and the peer itself read them.  JSON, as what peers tell
(:mod:`p2c2g.peers.messages`).
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from p2c2g.settings.principal import ID_PATTERN

#: Bytes of one standing, and of one voucher, at most.
MAX_STANDING = 65_536
MAX_VOUCHER = 1_024
#: Gamers whose chunks one peer takes at once, at most.
MAX_GAMERS = 1_024

PrincipalId = Annotated[str, Field(pattern=ID_PATTERN)]
#: Ed25519: a public key of 32 bytes and a signature of 64, as base64.
PublicKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
Signature = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")]


class Verdict(Enum):
    """Whether a peer takes part."""

    OK = "ok"  # it may work
    DRAINING = "drain"  # it is to finish what it has, and leave
    BANNED = "banned"  # it may not take part


class PeerStanding(BaseModel):
    """What the operator says to one peer (``o:standing:<peer>``).

    ``gamers`` are those whose queues it is to read; ``wanted`` is the version that it should run,
    empty where any will do.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    verdict: Verdict = Verdict.OK
    reason: str = Field(default="", max_length=200)
    gamers: tuple[PrincipalId, ...] = Field(default=(), max_length=MAX_GAMERS)
    wanted: str = Field(default="", max_length=64)


class Voucher(BaseModel):
    """What the operator vouches for (a value of ``o:peers``).

    ``key`` is the peer's public signing key (Ed25519, base64 of 32 bytes); ``account`` and
    ``network`` say which peers belong together: two of one account, or of one network, give no
    second opinion on each other.  ``signature`` is the operator's over all of it
    (:mod:`p2c2g.peers.vouching`; Ed25519, base64 of 64 bytes), so that who has the broker vouches
    for nobody.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: PublicKey
    account: str = Field(min_length=1, max_length=64)
    network: str = Field(default="", max_length=64)
    signature: str = Field(default="", pattern=r"^([A-Za-z0-9+/]{86}==)?$")
