"""Says which invariants a run broke.  Pure: it works on what was recorded.

What is allowed for time: a frame may be shown up to a *tolerance* after its deadline, since the
machine has other things to do than to wake the session's thread; and later by as much as the
machine kept the session from running at that very moment, since no session can show a picture
while it gets no core.  Two things tell: for how long the session's threads were ready and waited
for a core (Linux's ``schedstat``), and how late an idle process was woken (``metronome.py``),
which sees the machine itself stand still too.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from p2c2g.session.attempts import MAX_ATTEMPTS
from tests.chaos.events import Key, Recording
from tests.chaos.records import Step

#: The session's own thread that calls the sink.
SINK_THREAD = "p2c2g-player"


@dataclass(frozen=True, slots=True)
class Violation:
    """One invariant that does not hold: its name, and a sentence about the case."""

    invariant: str
    case: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.case}"


def audit(run: Recording, tolerance: float) -> list[Violation]:
    """Return every violation of every invariant.

    Args:
        run: what was recorded.
        tolerance: seconds that the machine may take to wake the session's thread.
    """
    return [
        Violation(name, case)
        for name, check in INVARIANTS.items()
        for case in check(run, tolerance)
    ]


def held_up(run: Recording, since: float, until: float) -> float:
    """Return for how long the machine kept the session from running between two moments.

    The sum over its threads, so it is rather too much than too little where many wait at once.
    """
    woken_late = max(
        (late for at, late in run.held_up if at > since and at - late < until), default=0.0
    )
    before = bisect_right(run.shown, since, key=lambda shown: shown.shown)
    after = bisect_left(run.shown, until, key=lambda shown: shown.shown)
    if not before or after >= len(run.shown):
        return woken_late
    return max(woken_late, run.shown[after].waited - run.shown[before - 1].waited)


def lateness(run: Recording) -> list[float]:
    """Return how long after its deadline each frame was shown; below 0 where it was in time."""
    return [shown.shown - shown.captured - run.deadline for shown in run.shown]


def longest_gap(run: Recording) -> float:
    """Return the longest time for which one picture stood, in seconds."""
    return max((b.shown - a.shown for a, b in pairwise(run.shown)), default=0.0)


def excused(run: Recording, tolerance: float) -> int:
    """Return how many frames were late by more than the tolerance for the machine's sake."""
    beyond = sum(late > tolerance for late in lateness(run))
    return beyond - sum(1 for _ in _in_time(run, tolerance))


def _in_order(run: Recording, _: float) -> Iterator[str]:
    for before, after in pairwise(run.shown):
        if after.frame < before.frame:
            yield f"frame {after.frame} was shown after frame {before.frame}"


def _once(run: Recording, _: float) -> Iterator[str]:
    for frame, times in Counter(shown.frame for shown in run.shown).items():
        if times > 1:
            yield f"frame {frame} was shown {times} times"


def _all_shown(run: Recording, _: float) -> Iterator[str]:
    shown = {each.frame for each in run.shown}
    for frame in sorted(set(run.submitted) - shown - set(run.passed_over)):
        yield f"frame {frame} was given to the session and never shown"
    for frame in run.passed_over:
        if frame in shown or frame > max(shown, default=-1):
            yield f"frame {frame} was passed over for no newer one"
    for frame in sorted(shown - set(run.submitted)):
        yield f"frame {frame} was shown, and nobody gave it to the session"


def _in_time(run: Recording, tolerance: float) -> Iterator[str]:
    for shown in run.shown:
        deadline = shown.captured + run.deadline
        late = shown.shown - deadline
        if late > tolerance + held_up(run, deadline, shown.shown):
            yield f"frame {shown.frame} was shown {1e3 * late:.1f} ms after its deadline"


def _never_frozen(run: Recording, tolerance: float) -> Iterator[str]:
    # The playout delay may rise from nothing to the deadline between two frames.
    longest = 1 / run.fps + run.deadline + tolerance
    for before, after in pairwise(run.shown):
        gap = after.shown - before.shown
        if gap > longest + held_up(run, before.shown, after.shown):
            yield f"frame {before.frame} stood for {1e3 * gap:.0f} ms"


def _no_wrong_pixels(run: Recording, _: float) -> Iterator[str]:
    for frame, why in sorted(run.wrong.items()):
        yield f"frame {frame}: {why}"
    if run.unseen:
        yield f"{run.unseen} frames were not looked at, so nobody knows"


def _ended_once(run: Recording, _: float) -> Iterator[str]:
    for shown in run.shown:
        if len(shown.enhanced) != run.chunks:
            yield f"frame {shown.frame} ended with {len(shown.enhanced)} of {run.chunks} chunks"
        if shown.complete is not all(shown.enhanced):
            yield f"frame {shown.frame} calls itself complete: {shown.complete}, and is not so"
    complete = sum(shown.complete for shown in run.shown)
    counted = {"complete": complete, "degraded": len(run.shown) - complete}
    counted |= {"captured": run.due, "dropped": run.due - len(run.shown)}
    for name, count in counted.items():
        if run.counted.get(name) != count:
            yield f"the session counted {run.counted.get(name)} frames {name}; there were {count}"


def _at_most_three_runs(run: Recording, _: float) -> Iterator[str]:
    copies = run.duplicates()
    ran = Counter(each.key for each in run.ran if each.record.step is Step.STARTED)
    for key, times in sorted(ran.items()):
        if times - copies[key] > MAX_ATTEMPTS:
            yield (
                f"chunk {key[1]} of frame {key[0]} ran {times} times, of which "
                f"{copies[key]} were copies of ours"
            )
    sent: dict[Key, list[int]] = {}
    for each in run.sent:
        sent.setdefault(each.key, []).append(each.attempt)
    away: dict[Key, set[int]] = {}
    for key, attempt in run.refused:
        away.setdefault(key, set()).add(attempt)
    for key, attempts in sorted(sent.items()):
        # One that found the broker away has taken its number along.
        numbers = sorted([*attempts, *(away.get(key, set()) - set(attempts))])
        if numbers != list(range(1, len(numbers) + 1)) or max(numbers) > MAX_ATTEMPTS:
            yield f"chunk {key[1]} of frame {key[0]} was sent as attempts {attempts}"


def _nobody_else(run: Recording, _: float) -> Iterator[str]:
    ran = {each.key for each in run.ran if each.record.step is Step.STARTED}
    for shown in run.shown:
        for chunk, enhanced in enumerate(shown.enhanced):
            if enhanced and (shown.frame, chunk) not in ran:
                yield f"chunk {chunk} of frame {shown.frame} is enhanced, and no worker ran it"


def _own_thread(run: Recording, _: float) -> Iterator[str]:
    for thread in sorted({shown.thread for shown in run.shown} - {SINK_THREAD}):
        yield f"frames were shown by the thread {thread!r}"


def _nothing_in_flight(run: Recording, _: float) -> Iterator[str]:
    for what, count in run.in_flight.items():
        if count:
            yield f"{count} {what} after the session's end"


def _nothing_left(run: Recording, _: float) -> Iterator[str]:
    yield from run.left


def _nothing_died(run: Recording, _: float) -> Iterator[str]:
    yield from run.crashes


#: By name, in the order in which they are told.
def _inputs_as_sent(run: Recording, _: float) -> Iterator[str]:
    counts = Counter(run.played)
    for sequence in run.inputs:
        if counts[sequence] != 1:
            yield f"input {sequence} reached the game {counts[sequence]} times"
    for before, after in pairwise(run.played):
        if after < before:
            yield f"input {after} reached the game after input {before}"


INVARIANTS: dict[str, Callable[[Recording, float], Iterator[str]]] = {
    "out of order": _in_order,
    "shown twice": _once,
    "not shown": _all_shown,
    "late": _in_time,
    "frozen": _never_frozen,
    "wrong pixels": _no_wrong_pixels,
    "not ended once": _ended_once,
    "more than three runs": _at_most_three_runs,
    "enhanced by nobody": _nobody_else,
    "foreign thread": _own_thread,
    "in flight": _nothing_in_flight,
    "left behind": _nothing_left,
    "died": _nothing_died,
    "inputs": _inputs_as_sent,
}
