"""When a chunk is sent once more: percentiles, token buckets and the watch."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.session.hedging import (
    ENOUGH,
    SILENCE_LEAST,
    SILENCE_MOST,
    Hedging,
    Moment,
    Overtaken,
    Watch,
)


def test_nothing_is_slow_while_too_little_is_known() -> None:
    hedging = Hedging(deadline=0.1)
    for _ in range(ENOUGH - 1):
        hedging.took(0.01)
    assert hedging.hedge_after is None
    assert hedging.silent_after == pytest.approx(SILENCE_MOST * 0.1)
    hedging.took(0.01)
    assert hedging.hedge_after == 0.01


@given(st.lists(st.floats(0, 10), min_size=ENOUGH, max_size=100), st.floats(0.05, 5))
def test_the_time_until_a_run_is_given_up_has_bounds(times: list[float], deadline: float) -> None:
    hedging = Hedging(deadline)
    for seconds in times:
        hedging.took(seconds)
    most = SILENCE_MOST * deadline
    assert min(SILENCE_LEAST, most) <= hedging.silent_after <= most


def test_a_run_is_in_time_while_a_usual_one_would_be() -> None:
    hedging = Hedging(deadline=0.1)
    assert hedging.in_time(0.0, 0.001)
    for _ in range(ENOUGH):
        hedging.took(0.02)
    assert hedging.in_time(1.0, 1.021)
    assert not hedging.in_time(1.0, 1.019)


def test_an_overload_dries_the_hedges_up() -> None:
    hedging = Hedging(deadline=0.1, hedge_share=0.05, burst=4)
    hedged = 0
    for _ in range(1000):  # every single chunk is slow
        hedging.sent(1)
        hedged += hedging.hedges.take()
    assert 45 <= hedged <= 54


@given(st.lists(st.floats(0, 100), max_size=50), st.floats(0, 100))
def test_the_watch_gives_what_is_due_in_order(times: list[float], now: float) -> None:
    watch = Watch()
    for number, when in enumerate(times):
        watch.add(when, Moment.SLOW, (number, 0), 1)
    due = [times[key[0]] for _, key, _ in watch.due(now)]
    assert due == sorted(when for when in times if when <= now)
    assert len(watch) == sum(when > now for when in times)
    left = watch.next(lambda key: False)
    assert left == min((when for when in times if when > now), default=None)


def test_what_is_over_is_not_looked_at_again() -> None:
    watch = Watch()
    for number in range(3):
        watch.add(float(number), Moment.SILENT, (number, 0), 1)
    assert watch.next(lambda key: key[0] < 2) == 2.0
    assert watch.next(lambda key: True) is None
    assert watch.due(math.inf) == []


def test_a_hedge_goes_out_while_it_can_be_back_but_not_before_most_are() -> None:
    hedging = Hedging(deadline=0.1)
    assert hedging.hedge_at(0.0, 0.1) is None
    for seconds in [0.02] * 18 + [0.03] * 2:
        hedging.took(seconds)
    assert hedging.hedge_at(0.0, 0.1) == pytest.approx(0.03)
    assert hedging.hedge_at(0.0, 0.05) == pytest.approx(0.05 - 1.25 * 0.02)
    assert hedging.hedge_at(0.0, 0.03) == pytest.approx(0.02)


def test_what_was_sent_before_that_which_a_peer_has_answered_is_lost() -> None:
    overtaken = Overtaken()
    assert not overtaken.is_lost("ada", 0.0)
    overtaken.answered("ada", 1.0)
    overtaken.answered("ada", 0.5)
    assert overtaken.is_lost("ada", 0.9)
    assert not overtaken.is_lost("ada", 1.0)
    assert not overtaken.is_lost("bob", 0.0)
    assert overtaken.is_lost("", 0.9), "it may have been anybody's"
    for number in range(1000):
        overtaken.answered(f"peer{number}", 2.0)
    assert not overtaken.is_lost("ada", 0.9), "who is forgotten is not said to lose anything"
