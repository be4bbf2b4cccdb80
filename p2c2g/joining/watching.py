"""What a session and its pool's coordinator say to each other so that others can watch it.

One WebSocket, which the session opens and shows its membership's token at.  All but pictures is
JSON, one object a message.

.. code-block:: text

    session                                coordinator

    {"v": 1, "digest": …}             →
                                      ←    {"viewers": 2, "kinds": ["drawn"], "figures": {…}}
    {"terms": {…}}                    →
    {"number": 7, "size": N, "to": …} →
    N bytes, in parts                 →
                                      ←    {"got": 7}
    {"stats": {…}}                    →

``kinds`` are what is wanted now; while there is none, no picture is sent.  A picture's bytes are
one message for a browser (:mod:`p2c2g.display.message`), which the coordinator hands on as it is.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

#: Where a session connects, and the page of one, below the coordinator's address.
UPSTREAM: Final = "/v1/watched"
PAGE: Final = "/s/{session}/"
#: Bytes of one picture, of one message in JSON, and of one part of a picture.
MAX_PICTURE: Final = 8 << 20
MAX_TEXT: Final = 60_000
PART: Final = 60_000
#: Seconds between two of the session's statistics, and of the coordinator's figures.
STATS_INTERVAL: Final = 0.5
FIGURES_INTERVAL: Final = 1.0

#: What a viewer is sent: what it makes the picture of, or the picture; and that with its base.
Kind: TypeAlias = Literal["drawn", "composed", "base"]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hello(_Said):
    """The first word: the digest of the token by which others may watch."""

    v: Literal[1]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Terms(_Said):
    """What a browser has to know to make the pictures that follow."""

    terms: dict[str, Any]


class Stats(_Said):
    """What the readout shows."""

    stats: dict[str, Any]


class Coming(_Said):
    """A picture, whose bytes follow.

    ``to`` are the viewers that it is for; ``way_ms`` is how long the coordinator's answers take.
    """

    number: int = Field(ge=0, lt=2**53)
    size: int = Field(gt=0, le=MAX_PICTURE)
    to: tuple[Literal["drawn", "composed"], ...] = Field(max_length=2)
    way_ms: float | None = Field(default=None, ge=0, le=60_000)


class Figures(BaseModel):
    """What viewers have been shown, by their own answers.

    ``delay_ms`` is from a picture's arrival at the coordinator to the answer that it is shown: of
    half of the last ones, and of 99 of 100; None before the first.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    shown: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)
    skipped: int = Field(default=0, ge=0)
    delay_ms: tuple[float, float] | None = None


class Wanted(BaseModel):
    """How many watch, what they want, and what they have been shown."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    viewers: int = Field(ge=0)
    kinds: frozenset[Kind]
    figures: Figures = Figures()


class Got(BaseModel):
    """A picture is there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    got: int


#: What a session may say after its first word, and a coordinator at any time.
OfSession: Final[TypeAdapter[Terms | Stats | Coming]] = TypeAdapter(Terms | Stats | Coming)
OfCoordinator: Final[TypeAdapter[Wanted | Got]] = TypeAdapter(Wanted | Got)


def digest_of(token: str) -> str:
    """Return what a coordinator keeps of a token: of random bits, so a plain hash will do."""
    return sha256(token.encode()).hexdigest()
