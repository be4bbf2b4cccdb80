"""The auditor finds every planted violation, and nothing where nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.auditor import INVARIANTS, SINK_THREAD, audit, excused
from tests.chaos.events import Injected, Ran, Recording, Sent, Shown
from tests.chaos.faults import Fault, Kind
from tests.chaos.records import Record, Step

FRAMES = 10
TOLERANCE = 0.03
INTERVAL = 1 / 30


def sound() -> Recording:
    """A run of ten frames of two chunks, each run once by the first worker."""
    run = Recording(chunks=2, fps=30.0, deadline=0.1, due=FRAMES)
    run.counted = {"captured": FRAMES, "complete": FRAMES, "degraded": 0, "dropped": 0}
    run.submitted = list(range(FRAMES))
    run.inputs, run.played = list(range(FRAMES)), list(range(FRAMES))
    for frame in run.submitted:
        at = 100 + frame * INTERVAL
        run.shown.append(Shown(frame, at, at + 0.05, True, (True, True), SINK_THREAD))
        for chunk in range(2):
            run.sent.append(Sent((frame, chunk), 1, "cpu", at))
            for delay, step in enumerate((Step.RECEIVED, Step.STARTED, Step.ENDED), 1):
                run.ran.append(Ran("w1", Record(step, frame, chunk, 1, at + delay / 100)))
    return run


def out_of_order(run: Recording) -> None:
    run.shown[3], run.shown[4] = run.shown[4], run.shown[3]


def twice(run: Recording) -> None:
    run.shown.insert(4, run.shown[3])


def not_shown(run: Recording) -> None:
    run.submitted.append(99)


def passed_over(run: Recording) -> None:
    """Pass a frame over for the one after it, as may be."""
    run.shown = [each for each in run.shown if each.frame != 4]
    run.passed_over.append(4)


def passed_over_for_none(run: Recording) -> None:
    run.submitted.append(FRAMES)
    run.passed_over.append(FRAMES)


def shown_and_not_given(run: Recording) -> None:
    run.submitted.remove(5)


def late(run: Recording) -> None:
    last = run.shown[-1]
    run.shown[-1] = replace(last, shown=last.captured + run.deadline + TOLERANCE + 0.001)


def frozen(run: Recording) -> None:
    # Two frames of the source were lost: nothing is late, but one picture stood too long.
    for at in range(5, FRAMES):
        moved = run.shown[at]
        run.shown[at] = replace(moved, captured=moved.captured + 1, shown=moved.shown + 1)


def wrong(run: Recording) -> None:
    run.wrong[3] = "its stamps say ['2']"


def not_looked_at(run: Recording) -> None:
    run.unseen = 1


def too_few_chunks(run: Recording) -> None:
    run.shown[2] = replace(run.shown[2], enhanced=(True,))


def complete_without_a_chunk(run: Recording) -> None:
    run.shown[2] = replace(run.shown[2], enhanced=(True, False))


def counted_otherwise(run: Recording) -> None:
    run.counted["complete"] -= 1


def four_runs(run: Recording) -> None:
    run.ran += [Ran(f"w{n}", Record(Step.STARTED, 3, 1, 1, 101.0)) for n in (2, 3, 4)]


def fourth_attempt(run: Recording) -> None:
    run.sent += [Sent((3, 1), attempt, "cpu", 101.0) for attempt in (2, 3, 4)]


def one_attempt_twice(run: Recording) -> None:
    run.sent.append(Sent((3, 1), 1, "cpu", 101.0))


def one_attempt_left_out(run: Recording) -> None:
    run.sent.append(Sent((3, 1), 3, "cpu", 101.0))
    run.refused.add(((4, 1), 2))


def enhanced_by_nobody(run: Recording) -> None:
    run.ran = [each for each in run.ran if each.key != (6, 0)]


def another_thread(run: Recording) -> None:
    run.shown[0] = replace(run.shown[0], thread="MainThread")


def in_flight(run: Recording) -> None:
    run.in_flight["chunks in the table of attempts"] = 1


def left(run: Recording) -> None:
    run.left.append("the thread 'p2c2g-maintenance'")


def died(run: Recording) -> None:
    run.crashes.append("the thread p2c2g-collector died: ValueError")


def lost_input(run: Recording) -> None:
    run.played.remove(5)


def doubled_input(run: Recording) -> None:
    run.played.append(FRAMES - 1)


def moved_input(run: Recording) -> None:
    run.played[3], run.played[4] = run.played[4], run.played[3]


PLANTED: list[tuple[str, Callable[[Recording], None]]] = [
    ("out of order", out_of_order),
    ("shown twice", twice),
    ("not shown", not_shown),
    ("not shown", passed_over_for_none),
    ("not shown", shown_and_not_given),
    ("late", late),
    ("frozen", frozen),
    ("wrong pixels", wrong),
    ("wrong pixels", not_looked_at),
    ("not ended once", too_few_chunks),
    ("not ended once", complete_without_a_chunk),
    ("not ended once", counted_otherwise),
    ("more than three runs", four_runs),
    ("more than three runs", fourth_attempt),
    ("more than three runs", one_attempt_twice),
    ("more than three runs", one_attempt_left_out),
    ("enhanced by nobody", enhanced_by_nobody),
    ("foreign thread", another_thread),
    ("in flight", in_flight),
    ("left behind", left),
    ("died", died),
    ("inputs", lost_input),
    ("inputs", doubled_input),
    ("inputs", moved_input),
]


def test_a_sound_run_breaks_nothing() -> None:
    assert audit(sound(), TOLERANCE) == []


def test_a_frame_may_be_passed_over_for_a_newer_one() -> None:
    run = sound()
    passed_over(run)
    run.counted |= {"complete": FRAMES - 1, "dropped": 1}
    assert audit(run, TOLERANCE) == []


def test_every_invariant_has_a_planted_violation() -> None:
    assert {name for name, _ in PLANTED} == set(INVARIANTS)


@pytest.mark.parametrize(
    ("name", "plant"), PLANTED, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_planted_violation_is_found(name: str, plant: Callable[[Recording], None]) -> None:
    run = sound()
    plant(run)
    assert name in {violation.invariant for violation in audit(run, TOLERANCE)}


def test_three_runs_and_a_copy_of_ours_are_three_runs() -> None:
    run = sound()
    run.ran += [Ran(f"w{n}", Record(Step.STARTED, 3, 1, 1, 101.0)) for n in (2, 3, 4)]
    fault = Fault(1.0, Kind.DUPLICATE, ("broker",), 1.0, value=1)
    run.injected.append(Injected(fault, 100.0, 101.0, keys=((3, 1),)))
    assert audit(run, TOLERANCE) == []


def test_a_run_that_found_the_broker_away_took_its_number_along() -> None:
    run = sound()
    run.sent.append(Sent((3, 1), 3, "cpu", 101.0))
    run.refused.add(((3, 1), 2))
    assert audit(run, TOLERANCE) == []


def test_what_the_machine_itself_was_late_for_is_no_fault_of_the_session() -> None:
    run = sound()
    late(run)
    shown = run.shown[-1].shown
    run.held_up = [(shown - 0.005, 0.04)]
    assert audit(run, TOLERANCE) == []
    assert excused(run, TOLERANCE) == 1
    run.held_up = [(shown - 0.5, 0.04)]  # Another moment is no excuse.
    assert [found.invariant for found in audit(run, TOLERANCE)] == ["late"]


def test_waiting_for_a_core_excuses_as_much_and_no_more() -> None:
    run = sound()
    late(run)
    run.shown[-1] = replace(run.shown[-1], waited=0.002)
    assert audit(run, TOLERANCE) == []
    run.shown[-1] = replace(run.shown[-1], waited=0.0005)
    assert [found.invariant for found in audit(run, TOLERANCE)] == ["late"]


def test_a_violation_is_a_sentence() -> None:
    run = sound()
    wrong(run)
    assert [str(each) for each in audit(run, TOLERANCE)] == [
        "wrong pixels: frame 3: its stamps say ['2']"
    ]
