"""The read-ahead: the bandwidth-delay product, within its bounds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.messaging.readahead import Window

SECONDS = st.floats(0, 1e3)


def measured(slots: int, service: float, round_trip: float, most: int = 128) -> int:
    window = Window(slots, most)
    window.served(service)
    window.round_trip(round_trip)
    return window.read_ahead


@pytest.mark.parametrize(
    ("slots", "service", "round_trip", "ahead"),
    [
        (1, 0.004, 0.020, 5),  # 20 ms away, 4 ms a task
        (4, 0.004, 0.020, 20),  # four at once finish one each millisecond
        (1, 0.004, 0.0001, 1),  # next door
        (1, 0.200, 0.020, 1),  # slow
        (8, 0.0, 0.100, 128),  # never more than the bound, even where a task takes no time
    ],
)
def test_it_is_the_round_trip_over_the_time_between_completions(
    slots: int, service: float, round_trip: float, ahead: int
) -> None:
    assert measured(slots, service, round_trip) == ahead


def test_one_until_both_are_measured() -> None:
    window = Window(2)
    assert window.read_ahead == 1
    window.round_trip(0.5)
    assert window.read_ahead == 1
    window = Window(2)
    window.served(0.001)
    assert window.read_ahead == 1


def test_the_least_of_the_last_round_trips_is_the_way() -> None:
    window = Window(1)
    window.served(0.010)
    for seconds in (0.030, 0.900, 0.030, 0.500):
        window.round_trip(seconds)
    assert window.read_ahead == 3
    for _ in range(4):  # the way has become longer for good
        window.round_trip(0.050)
    assert window.read_ahead == 5


def test_a_change_of_pace_is_followed_smoothly() -> None:
    window = Window(1, smoothing=0.5)
    window.round_trip(0.040)
    window.served(0.004)
    seen = [window.read_ahead]
    for _ in range(3):
        window.served(0.012)
        seen.append(window.read_ahead)
    assert seen == [10, 5, 4, 4]


@pytest.mark.parametrize(
    ("slots", "most", "smoothing"), [(0, 1, 0.1), (1, 0, 0.1), (1, 1, 0.0), (1, 1, 1.1)]
)
def test_arguments_out_of_range_are_refused(slots: int, most: int, smoothing: float) -> None:
    with pytest.raises(ValueError, match="cannot be: give"):
        Window(slots, most, smoothing)


@given(
    st.integers(1, 64), st.integers(1, 200), st.lists(SECONDS, max_size=20),
    st.lists(SECONDS, max_size=20),
)  # fmt: skip
def test_it_stays_within_its_bounds(
    slots: int, most: int, services: list[float], round_trips: list[float]
) -> None:
    window = Window(slots, most)
    for seconds in services:
        window.served(seconds)
    for seconds in round_trips:
        window.round_trip(seconds)
    assert 1 <= window.read_ahead <= most


@given(st.integers(1, 64), st.floats(1e-4, 10), st.floats(0, 10))
def test_it_keeps_a_worker_busy_over_one_round_trip(
    slots: int, service: float, round_trip: float
) -> None:
    ahead = measured(slots, service, round_trip, most=10**9)
    assert ahead * service / slots >= round_trip * (1 - 1e-9)
    assert ahead == 1 or (ahead - 1) * service / slots <= round_trip * (1 + 1e-9)
    assert ahead >= measured(slots, service, round_trip / 2, most=10**9)
    assert not math.isinf(ahead)
