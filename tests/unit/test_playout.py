"""The playout delay: rises at once, falls slowly, and never exceeds its budget."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.session.playout import BEGIN, BEGIN_FRAMES, BEGINS_FOR, FALL_MOST, MUCH, Playout

BUDGET = 0.1


def played(latencies: list[float], fps: float = 30.0, budget: float = BUDGET) -> list[float]:
    playout = Playout(budget)
    delays = []
    for number, latency in enumerate(latencies):
        playout.took(latency, number / fps)
        delays.append(playout.delay)
    return delays


def test_it_begins_at_the_budget() -> None:
    assert Playout(BUDGET).delay == BUDGET


def test_it_begins_with_what_the_first_complete_frames_took() -> None:
    delays = played([inf] * 5 + [0.06, 0.061, 0.062] * 10)
    begun = 5 + max(BEGIN_FRAMES, round(30 * BEGIN) + 1)
    assert delays[begun - 2] == BUDGET
    assert delays[begun] == pytest.approx(0.062)
    assert delays[-1] == pytest.approx(0.062)


def test_as_peers_warm_up_it_falls_at_once() -> None:
    delays = played([0.098 - 0.004 * at for at in range(10)] + [0.058] * 60)
    assert delays[30] <= 0.058 + MUCH


def test_what_comes_and_goes_at_first_is_no_beginning() -> None:
    delays = played([0.02, 0.02, inf] * 20)
    assert min(delays) == BUDGET


def test_it_comes_down_to_steady_latencies_within_seconds() -> None:
    delays = played([0.02] * 300)
    assert delays[-1] == pytest.approx(0.02)
    reached = next(index for index, delay in enumerate(delays) if delay < 0.021)
    assert reached <= 30 * 5


def test_it_rises_at_once_when_frames_come_late() -> None:
    delays = played([0.02] * 300 + [0.08] * 4)
    assert delays[299] == pytest.approx(0.02)
    assert delays[-1] == pytest.approx(0.08)


def test_one_late_frame_in_many_does_not_delay_the_rest() -> None:
    delays = played([0.02] * 300 + [inf] + [0.02] * 30)
    assert max(delays[300:]) == pytest.approx(0.02)


def test_it_follows_a_far_peer() -> None:
    near, far = 0.02, 0.06
    delays = played(([near] * 9 + [far]) * 40)
    assert delays[-1] == pytest.approx(far)


def test_it_is_back_within_three_seconds_of_a_line_that_returns() -> None:
    delays = played([0.03] * 300 + [0.1] * 150 + [0.03] * 150)
    assert delays[299] == pytest.approx(0.03)
    assert delays[449] == pytest.approx(0.1)
    assert delays[450 + 3 * 30 - 1] == pytest.approx(0.03)


def test_it_falls_by_no_more_than_a_twentieth_while_the_excess_is_small() -> None:
    delays = played([0.03] * 300 + [0.09] * 150 + [0.03] * 150)
    steps = [before - after for before, after in pairwise(delays[450:])]
    assert max(steps) <= 0.05 / 30 + 1e-9


def test_what_holds_frames_up_now_and_then_makes_it_no_seesaw() -> None:
    """Some frames are slow each two seconds: it may fall too soon a few times, and then waits."""
    delays = played(([0.09] * 4 + [0.03] * 56) * 60)
    jolts = [at for at, (one, other) in enumerate(pairwise(delays)) if other > one + 0.01]
    assert len(jolts) <= 3
    assert max(jolts, default=0) < 30 * 30


@given(st.lists(st.one_of(st.floats(0, 10), st.just(inf)), min_size=1, max_size=200))
def test_it_keeps_to_its_budget_and_never_falls_faster_than_it_may(latencies: list[float]) -> None:
    delays = [BUDGET, *played(latencies)]
    assert all(0 <= delay <= BUDGET for delay in delays)
    steps = [before - after for before, after in pairwise(delays)]
    # But in the seconds in which it begins.
    began = next((at for at, step in enumerate(steps) if step > 0), len(steps))
    late = steps[began + round(30 * BEGINS_FOR) + 1 :]
    assert max(late, default=0.0) <= FALL_MOST / 30 + 1e-9
    assert set(delays[:began]) <= {BUDGET}


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Playout(0.0)
