"""Whether a new version works, by what is seen of it while it is tried.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from p2c2g.lending.state import State, Word

#: Share of the time that an idle one is watched for, for one that has done a chunk.
_AFTER_WORK: Final = 0.1
#: Chunks of which none was done that say enough.
_ENOUGH: Final = 3
#: What a peer that is there is doing.
THERE: Final = frozenset({Word.READY, Word.WORKING, Word.PAUSED})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a new version is watched.

    Args:
        start: seconds in which it has to be there.
        idle: seconds for which it has to be there, where nobody sends it work.
    """

    start: float = 60.0
    idle: float = 60.0


class Verdict(Enum):
    """What a trial has shown."""

    GOOD = "good"
    FAILED = "failed"
    UNCLEAR = "unclear"  # nothing can be said, and it is tried again


@dataclass(frozen=True, slots=True)
class Judged:
    """How a trial ended, and why in a sentence's words."""

    verdict: Verdict
    why: str = ""


def judge(
    seconds: float, there: float, ended: int | None, state: State | None, patience: Patience
) -> Judged | None:
    """Judge a new version; None where it is to be watched on.

    Args:
        seconds: since it was started.
        there: seconds for which it has been there; 0 where it never was.
        ended: its exit code; None while it runs.
        state: what it says of itself; None where it has said nothing, or nothing of late.
        patience: how long it is watched.
    """
    if ended is not None:
        return Judged(Verdict.FAILED, f"it ended by itself (with {ended}) after {seconds:.0f} s.")
    if state is None or state.word not in THERE:
        if seconds < patience.start + there:
            return None
        doing = "it said nothing of itself" if state is None else f"it was {state.word.value}"
        return Judged(Verdict.FAILED, f"{doing} after {seconds:.0f} s.")
    if state.chunks == 0 and state.failed >= _ENOUGH:
        return Judged(Verdict.FAILED, f"it failed at each of {state.failed} chunks.")
    if state.chunks > state.failed and there >= _AFTER_WORK * patience.idle:
        return Judged(Verdict.GOOD)
    if there < patience.idle:
        return None
    if state.failed or state.word is Word.WORKING:
        return Judged(
            Verdict.FAILED, f"of its chunks {state.chunks} were done and {state.failed} failed."
        )
    return Judged(Verdict.GOOD)  # Nobody sent work, or its owner has it paused.
