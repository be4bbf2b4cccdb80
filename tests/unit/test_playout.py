"""The playout delay: rises at once, falls slowly, and never exceeds its budget."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.session.playout import FALL, Playout

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


@given(st.lists(st.one_of(st.floats(0, 10), st.just(inf)), min_size=1, max_size=200))
def test_it_keeps_to_its_budget_and_never_falls_faster_than_it_may(latencies: list[float]) -> None:
    delays = [BUDGET, *played(latencies)]
    assert all(0 <= delay <= BUDGET for delay in delays)
    steps = [before - after for before, after in pairwise(delays)]
    assert max(steps) <= FALL / 30 + 1e-9


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Playout(0.0)
