"""A held rate: no span of two seconds has more, and who asks for more gets nearly all of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.timing.held import BURST, LEEWAY, SPAN, HeldRate

RATE = 100_000.0


def worst(went: list[tuple[float, float]]) -> float:
    """Return the most bytes that went in any span."""
    most = total = 0.0
    first = 0
    for at, size in went:
        total += size
        while went[first][0] <= at - SPAN:
            total -= went[first][1]
            first += 1
        most = max(most, total)
    return most


@given(
    st.lists(
        # The pause before it, and its bytes.
        st.tuples(st.floats(0, 1.5), st.floats(0, 1.5 * RATE)),
        max_size=300,
    )
)
def test_no_span_has_more_whatever_is_asked_for_and_when(asked: list[tuple[float, float]]) -> None:
    held = HeldRate(RATE)
    went, now = [], 0.0
    for pause, size in asked:
        now += pause
        if held.fits(size, now):
            held.note(size, now)
            went.append((now, size))
    assert worst(went) <= RATE * SPAN * (1 + LEEWAY) * (1 + 1e-9)


@settings(deadline=None)
@given(st.data())
def test_no_span_has_more_however_late_what_was_promised_comes(data: st.DataObject) -> None:
    held = HeldRate(RATE)
    least = data.draw(st.floats(0, 2.5))
    waiting: list[tuple[float, float]] = []
    went: list[tuple[float, float]] = []
    now = 0.0
    for pause, size, after in data.draw(
        st.lists(st.tuples(st.floats(0, 0.4), st.floats(1, RATE), st.floats(0, 3)), max_size=150)
    ):
        now += pause
        for due, each in sorted(waiting):
            if due <= now:
                held.keep(each, each, due)
                went.append((due, each))
                waiting.remove((due, each))
        if held.fits(size, now, least):
            held.promise(size, now)
            waiting.append((now + least + after, size))
    went += sorted(waiting)
    assert worst(went) <= RATE * SPAN * (1 + LEEWAY) * (1 + 1e-9)


@given(
    size=st.floats(100, BURST * RATE),
    interval=st.floats(0.0001, BURST / 2),
    latency=st.floats(0, 0.6),
    sure=st.floats(0.8, 1),
    wrong=st.floats(0.9, 1.2),
)
@settings(deadline=None, max_examples=30)
def test_a_demand_above_it_gets_nine_tenths_of_it(
    size: float, interval: float, latency: float, sure: float, wrong: float
) -> None:
    """Also from afar, where it is known that it takes a while."""
    held = HeldRate(RATE)
    seconds, steps = 8.0, max(interval, 0.002)
    waiting: list[float] = []
    went: list[tuple[float, float]] = []
    each = max(1, round(3 * RATE * steps / size))  # three times as much as it gives
    for turn in range(int(seconds / steps)):
        now = turn * steps
        while waiting and waiting[0] <= now:
            held.keep(wrong * size, size, waiting.pop(0))
            went.append((now, size))
        for _ in range(each):
            if not held.fits(wrong * size, now, sure * latency):
                break
            held.promise(wrong * size, now)
            waiting.append(now + latency)
    assert sum(size for _, size in went) >= 0.9 * RATE * (seconds - latency - steps)
    assert worst(went) <= 1.05 * RATE * SPAN


def test_something_large_goes_where_little_went_and_is_made_up_for() -> None:
    held = HeldRate(RATE)
    assert held.fits(RATE, 0)
    held.note(RATE, 0)
    assert held.debt(0) == pytest.approx((RATE - BURST * RATE) / (0.95 * RATE))
    assert held.share(0) == 0.5
    assert not held.fits(1, 0.9)
    assert held.fits(1, 1)
    held.note(1, 1)
    assert not held.fits(RATE, 1)
    assert held.is_full(1.1)
    assert not held.fits(2 * RATE * (1 + LEEWAY) + 1, 10)


def test_what_never_comes_is_given_back() -> None:
    held = HeldRate(RATE)
    held.promise(5000, 0)
    assert not held.is_full(1)
    held.keep(5000, 0, 1)
    assert held.promised == 0
    assert held.share(1) == 0
    assert held.is_full(1)


def test_bytes_that_were_noted_and_did_not_go_are_taken_back() -> None:
    held = HeldRate(RATE)
    held.note(5000, 0)
    held.note(-5000, 0.5)
    assert held.share(0.5) == 0
    # Each leaves the span by itself.
    assert held.share(2.2) == 0
    assert held.share(3) == 0


def test_a_rate_of_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        HeldRate(0)
