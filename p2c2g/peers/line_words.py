"""What sessions tell of peers' lines, for operators: no session decides anything by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median_low
from typing import Literal

from pydantic import BaseModel, ConfigDict

from p2c2g.peers.messages import Rate, Seconds, Share

State = Literal["unknown", "normal", "overuse", "underuse"]
#: From the one that most sessions need not worry about.
_ORDER: tuple[State, ...] = ("unknown", "normal", "underuse", "overuse")
#: Peers of whose lines a session tells, those heard of last.
MAX_LINES = 32
#: The most that is told: bytes a second, seconds.
MAX_RATE, MAX_SECONDS = 1e12, 1e3


class DirectionWord(BaseModel):
    """One direction, as one session has measured it.

    ``goodput`` and ``target`` in bytes a second, 0 of a target that is not known; ``least`` and
    ``rise`` in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    goodput: Rate = 0.0
    target: Rate = 0.0
    least: Seconds = 0.0
    rise: Seconds = 0.0
    state: State = "unknown"


class LineWord(BaseModel):
    """A peer's line: towards it, and back; and for which part of the time its slots work."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    up: DirectionWord = DirectionWord()
    down: DirectionWord = DirectionWord()
    busy: Share = 0.0


@dataclass(frozen=True, slots=True)
class DirectionSeen:
    """One direction of a peer's line, by all who told of it.

    ``goodput`` is what they carry together, and ``target`` what they may, 0 where one of them knows
    no limit; ``least`` is the least of theirs, ``rise`` the middle one; ``state`` the worst.
    """

    sessions: int
    goodput: float
    target: float
    least: float
    rise: float
    state: State


def together(words: Iterable[DirectionWord]) -> DirectionSeen | None:
    """Return what several sessions say of one direction; None where none knows anything."""
    known = [word for word in words if word.state != "unknown"]
    if not known:
        return None
    limited = all(word.target for word in known)
    return DirectionSeen(
        sessions=len(known),
        goodput=sum(word.goodput for word in known),
        target=sum(word.target for word in known) if limited else 0.0,
        least=min(word.least for word in known),
        rise=median_low(word.rise for word in known),
        state=max((word.state for word in known), key=_ORDER.index),
    )
