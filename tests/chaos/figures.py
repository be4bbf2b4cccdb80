"""How well a run went: counts and times.  Pure, and nothing here is an invariant.

**Outside the faulted peers' own chunks.**  A frame is *touched*, and not counted there, where

* one of its chunks was with a peer (from received to ended, or never ended) while a fault was
  in force on that peer, or
* one of its chunks was a message that we took or copied, or was never received by anybody while
  a peer that may have read it was dead, stopped or behind a harmed line, or
* it was captured while the broker was away or the gamer's own line was harmed, or within
  :data:`RESUMED` after that.

All other frames count, those that found no room with the peers too: whatever a fault costs
beyond its own chunks shows there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from typing import Any

from tests.chaos.auditor import lateness, longest_gap
from tests.chaos.events import Injected, Key, Recording, Shown
from tests.chaos.faults import SESSION, Kind
from tests.chaos.records import Step

#: Seconds after the broker's return within which work is promised to resume.
RESUMED = 2.0
#: Seconds after a line has healed in which what was on it is still late.
_SETTLE = 0.3
#: Complete frames in a row that end a recovery.
IN_A_ROW = 5

_KILLS = frozenset({Kind.KILL, Kind.HALF})
_LINES = frozenset({Kind.CUT, Kind.PAUSE, Kind.DELAY, Kind.BANDWIDTH})
#: Faults of a peer that may swallow a message without anybody's having written it down.
_SWALLOWS = _KILLS | _LINES | {Kind.STOP}


def figures(run: Recording) -> dict[str, Any]:
    """Return the figures of a run, as JSON has them."""
    late = sorted(lateness(run))
    complete = sum(shown.complete for shown in run.shown)
    touched = touched_frames(run)
    outside = [shown for shown in run.shown if shown.frame not in touched]
    good = sum(shown.complete for shown in outside)
    alone, any_ = recoveries(run)
    return {
        "frames": {
            "due": run.due,
            "complete": complete,
            "degraded": len(run.shown) - complete,
            "dropped": run.due - len(run.shown),
        },
        "inputs": len(run.inputs),
        "outside_faults": {
            "frames": len(outside),
            "complete": good,
            "share": round(good / len(outside), 4) if outside else None,
            "incomplete_at_s": _seconds(run, [each for each in outside if not each.complete]),
        },
        "longest_recovery_ms": _ms(max(alone, default=None)),
        "longest_recovery_with_other_faults_ms": _ms(max(any_, default=None)),
        "longest_return_of_broker_ms": _ms(max(broker_returns(run), default=None)),
        "longest_gap_ms": _ms(longest_gap(run)),
        "latest_after_deadline_ms": _ms(late[-1] if late else None),
        "p99_after_deadline_ms": _ms(late[int(0.99 * len(late))] if late else None),
        "machine_held_up_ms": _ms(max((seconds for _, seconds in run.held_up), default=0.0)),
        "waited_for_cores": _waited_for_cores(run),
        "breakers_opened": _opened(run),
        "liars": liars(run),
        "lies_shown": lies_shown(run),
        "runs": sum(each.record.step is Step.STARTED for each in run.ran),
        "sent": len(run.sent),
        "sent_again": sum(each.attempt > 1 for each in run.sent),
        "unseen_frames": run.unseen,
    }


def _waited_for_cores(run: Recording) -> float | None:
    """Return how many of the session's threads were waiting for a core on average.

    Above 0.1 or so the machine is too busy for any figure here to be the software's own.
    """
    if len(run.shown) < 2:
        return None
    first, last = run.shown[0], run.shown[-1]
    return round((last.waited - first.waited) / (last.shown - first.shown), 3)


def _seconds(run: Recording, frames: list[Shown]) -> dict[str, int]:
    """Return how many of some frames were captured in each second of the run."""
    start = run.shown[0].captured if run.shown else 0.0
    return {
        str(second): count
        for second, count in sorted(Counter(int(f.captured - start) for f in frames).items())
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1e3 * seconds, 1)


# -- outside the faults ----------------------------------------------------------------------


def touched_frames(run: Recording) -> set[int]:
    """Return the frames that a fault had its hands on; the module's docstring says which."""
    touched = {key[0] for done in run.injected for key in done.keys}
    by_peer: dict[str, list[Injected]] = defaultdict(list)
    everywhere: list[tuple[float, float]] = []
    for done in run.injected:
        if done.fault.kind is Kind.DISK:
            continue  # Costs nothing but lines of a log.
        if done.fault.kind is Kind.BROKER or (
            SESSION in done.fault.targets and done.fault.kind in _LINES
        ):
            everywhere.append((done.began, done.ended + RESUMED))
        for name in done.fault.targets:
            by_peer[name].append(done)
    for since, until in everywhere:
        touched |= {
            shown.frame
            for shown in run.shown
            if shown.captured < until and shown.captured + run.deadline > since
        }
    received = _visits(run)
    for worker, key, since, until in received:
        if any(_overlaps(done, since, until) for done in by_peer[worker]):
            touched.add(key[0])
    seen = {key for _, key, _, _ in received}
    swallowing = [done for done in run.injected if done.fault.kind in _SWALLOWS]
    for sent in run.sent:
        if sent.key not in seen and any(
            _overlaps(done, sent.at, sent.at + run.deadline) for done in swallowing
        ):
            touched.add(sent.key[0])
    return touched


def _overlaps(done: Injected, since: float, until: float) -> bool:
    settle = _SETTLE if done.fault.kind in _LINES else 0.0
    return since < done.ended + settle and until > done.began


def _visits(run: Recording) -> list[tuple[str, Key, float, float]]:
    """Return each stay of a chunk at a worker: from received to ended, or a deadline long."""
    visits = []
    out: dict[tuple[str, Key], list[float]] = defaultdict(list)
    for each in sorted(run.ran, key=lambda ran: ran.record.at):
        here = out[each.worker, each.key]
        if each.record.step is Step.RECEIVED:
            here.append(each.record.at)
        elif each.record.step in {Step.ENDED, Step.LIED} and here:
            visits.append((each.worker, each.key, here.pop(0), each.record.at))
    for (worker, key), since in out.items():
        visits += [(worker, key, at, at + run.deadline) for at in since]
    return visits


# -- recoveries --------------------------------------------------------------------------------


def recoveries(run: Recording) -> tuple[list[float], list[float]]:
    """Return the seconds from each kill to complete frames again.

    It ends with the capture of the first of :data:`IN_A_ROW` complete frames, looked for among
    those that were in flight when it began: 0 where it cost no frame.

    Returns:
        Those of kills during which no other fault was in force, and those of all kills.
    """
    alone, every = [], []
    for done in run.injected:
        if done.fault.kind in _KILLS:
            seconds = recovery(run, done.began)
            if seconds is not None:
                every.append(seconds)
                if _is_alone(run, done, done.began + max(seconds, run.deadline)):
                    alone.append(seconds)
    return alone, every


def _is_alone(run: Recording, done: Injected, until: float) -> bool:
    """Tell whether no other fault was in force from one's begin until its effects are over."""
    return not any(
        other is not done
        and other.fault.kind is not Kind.DISK
        and _overlaps(other, done.began - run.deadline, until)
        for other in run.injected
    )


def recovery(run: Recording, since: float) -> float | None:
    """Return the seconds from a moment to complete frames again; None where none came."""
    first = next(
        (at for at, shown in enumerate(run.shown) if shown.captured > since - run.deadline), None
    )
    if first is None:
        return None
    for at in range(first, len(run.shown) - IN_A_ROW + 1):
        if all(shown.complete for shown in run.shown[at : at + IN_A_ROW]):
            return 0.0 if at == first else max(0.0, run.shown[at].captured - since)
    return None


def broker_returns(run: Recording) -> list[float]:
    """Return the seconds from each return of the broker to the first complete frame.

    Another fault has begun by then as a rule, so these are rather too long than too short.
    """
    return [
        frame.captured - done.ended
        for done in run.injected
        if done.fault.kind is Kind.BROKER
        and (frame := _first_complete(run.shown, done.ended)) is not None
    ]


def _first_complete(shown: list[Shown], since: float) -> Shown | None:
    return next((each for each in shown if each.captured > since and each.complete), None)


# -- liars -------------------------------------------------------------------------------------


def _opened(run: Recording) -> dict[str, int]:
    opened: dict[str, int] = {}
    for seen in run.breakers:
        opened[seen.worker] = max(opened.get(seen.worker, 0), seen.opened)
    return {worker: times for worker, times in sorted(opened.items()) if times}


def liars(run: Recording) -> list[dict[str, Any]]:
    """Return of each lie whose, of what kind, and what came of it.

    ``chunks_before_open`` is how many lies it had told when its breaker opened; None where the
    breaker did not open meanwhile, or was not closed when the lying began.
    """
    told = []
    for done in run.injected:
        if done.fault.kind is not Kind.LIE:
            continue
        (name,) = done.fault.targets
        lies = [
            each.record.at
            for each in run.ran
            if each.worker == name
            and each.record.step is Step.LIED
            and done.began <= each.record.at <= done.ended + _SETTLE
        ]
        before = [seen for seen in run.breakers if seen.worker == name and seen.at < done.began]
        was_closed = not before or before[-1].state == "closed"
        opened = next(
            (
                seen.at
                for seen in run.breakers
                if seen.worker == name
                and seen.state == "open"
                and done.began <= seen.at <= done.ended + _SETTLE
            ),
            None,
        )
        told.append(
            {
                "worker": name,
                "lie": done.fault.how,
                "lies": len(lies),
                "was_closed": was_closed,
                "chunks_before_open": None
                if opened is None or not was_closed
                else bisect_left(sorted(lies), opened),
            }
        )
    return told


def lies_shown(run: Recording) -> int:
    """Return how many chunks were shown of which nothing but lies had come by then."""
    ends: dict[Key, list[tuple[float, Step]]] = defaultdict(list)
    for each in run.ran:
        if each.record.step in {Step.ENDED, Step.LIED}:
            ends[each.key].append((each.record.at, each.record.step))
    return sum(
        enhanced
        and {step for at, step in ends[shown.frame, chunk] if at < shown.shown} == {Step.LIED}
        for shown in run.shown
        for chunk, enhanced in enumerate(shown.enhanced)
    )
