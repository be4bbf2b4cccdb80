"""The figures of a run: what counts as touched by a fault, recoveries, liars."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.events import BreakerSeen, Injected, Ran, Recording, Sent, Shown
from tests.chaos.faults import BROKER, SESSION, Fault, Kind
from tests.chaos.figures import (
    broker_returns,
    figures,
    liars,
    lies_shown,
    recoveries,
    recovery,
    touched_frames,
)
from tests.chaos.records import Record, Step

FRAMES = 60
INTERVAL = 1 / 30
#: How long each chunk of these runs is with its worker, in seconds.
STAY = 0.010


def sound() -> Recording:
    """Two seconds of complete frames of one chunk; w1 runs the even ones, w2 the odd ones."""
    run = Recording(chunks=1, fps=30.0, deadline=0.1, due=FRAMES)
    for frame in range(FRAMES):
        at = frame * INTERVAL
        run.shown.append(Shown(frame, at, at + 0.05, True, (True,), "p2c2g-player"))
        run.sent.append(Sent((frame, 0), 1, "cpu", at))
        worker = f"w{1 + frame % 2}"
        run.ran.append(Ran(worker, Record(Step.RECEIVED, frame, 0, 0, at + 0.001)))
        run.ran.append(Ran(worker, Record(Step.STARTED, frame, 0, 1, at + 0.002)))
        run.ran.append(Ran(worker, Record(Step.ENDED, frame, 0, 1, at + STAY)))
    return run


def degrade(run: Recording, *frames: int) -> None:
    for frame in frames:
        run.shown[frame] = replace(run.shown[frame], complete=False, enhanced=(False,))


def fault(run: Recording, kind: Kind, target: str, began: float, ended: float) -> None:
    done = Fault(began, kind, (target,), ended - began)
    run.injected.append(Injected(done, began, ended))


def test_a_faulted_peer_touches_the_chunks_that_were_with_it_and_no_others() -> None:
    run = sound()
    fault(run, Kind.SLOW, "w1", 0.5, 1.0)
    # Those captured at half a second or later, and none from one second on.
    assert touched_frames(run) == set(range(16, 30, 2))


def test_a_chunk_that_nobody_ever_read_is_the_dead_peers() -> None:
    run = sound()
    run.ran = [each for each in run.ran if each.record.frame != 15]
    assert 15 not in touched_frames(run)
    fault(run, Kind.KILL, "w1", 0.5, 1.5)
    assert 15 in touched_frames(run)


@pytest.mark.parametrize(("kind", "target"), [(Kind.BROKER, BROKER), (Kind.CUT, SESSION)])
def test_without_the_broker_every_frame_is_touched_until_work_must_have_resumed(
    kind: Kind, target: str
) -> None:
    run = sound()
    run.ran.clear()
    run.sent.clear()
    fault(run, kind, target, -1.0, -1.0)
    assert touched_frames(run) == set(range(30))  # Two seconds after it.


def test_logs_without_a_disk_touch_nothing() -> None:
    run = sound()
    fault(run, Kind.DISK, "w1", 0.0, 2.0)
    assert touched_frames(run) == set()


def test_what_a_fault_costs_beyond_its_own_chunks_counts() -> None:
    run = sound()
    fault(run, Kind.SLOW, "w1", 0.5, 1.0)
    degrade(run, 17)  # w2's
    degrade(run, 18)  # w1's
    outside = figures(run)["outside_faults"]
    assert outside["frames"] - outside["complete"] == 1
    assert outside["incomplete_at_s"] == {"0": 1}


def test_a_recovery_lasts_until_five_complete_frames_in_a_row() -> None:
    run = sound()
    degrade(run, 16, 17, 19)
    assert recovery(run, 15.5 * INTERVAL) == pytest.approx(4.5 * INTERVAL)
    assert recovery(run, 1.5) == 0.0
    degrade(run, *range(20, FRAMES))
    assert recovery(run, 15.5 * INTERVAL) is None


def test_a_recovery_amid_other_faults_is_told_apart() -> None:
    run = sound()
    fault(run, Kind.KILL, "w1", 0.5, 1.0)
    assert recoveries(run) == ([0.0], [0.0])
    fault(run, Kind.STOP, "w2", 0.55, 0.6)
    assert recoveries(run) == ([], [0.0])


def test_a_broker_is_back_with_the_first_complete_frame() -> None:
    run = sound()
    degrade(run, *range(15, 25))
    fault(run, Kind.BROKER, BROKER, 0.5, 0.7)
    assert broker_returns(run) == [pytest.approx(25 * INTERVAL - 0.7)]


def lie(run: Recording, worker: str, frames: list[int]) -> None:
    run.ran = [
        replace(each, record=replace(each.record, step=Step.LIED))
        if each.worker == worker and each.record.frame in frames and each.record.step is Step.ENDED
        else each
        for each in run.ran
    ]


def test_a_liars_chunks_are_counted_until_its_breaker_opens() -> None:
    run = sound()
    fault(run, Kind.LIE, "w1", 0.5, 1.5)
    lie(run, "w1", list(range(16, 44, 2)))
    run.breakers = [
        BreakerSeen("w1", "closed", 0, 0.1),
        BreakerSeen("w1", "open", 1, 22.5 * INTERVAL),
    ]
    (told,) = liars(run)
    assert told["lies"] == 14
    assert told["chunks_before_open"] == 4
    assert figures(run)["breakers_opened"] == {"w1": 1}


def test_a_lie_is_shown_where_nothing_else_had_come() -> None:
    run = sound()
    lie(run, "w1", [16])
    assert lies_shown(run) == 1
    run.ran.append(Ran("w2", Record(Step.ENDED, 16, 0, 2, 16 * INTERVAL + 0.02)))
    assert lies_shown(run) == 0
    run = sound()
    lie(run, "w1", [16])
    degrade(run, 16)
    assert lies_shown(run) == 0
