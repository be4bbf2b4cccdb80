from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.peers.sketch import BUCKETS, FULL, LEAST, MOST, Sketch

SECONDS = st.floats(LEAST * 1.01, MOST * 0.99)


def percentile(values: list[float], share: float) -> tuple[float, float]:
    """Return the values between which the percentile lies."""
    ordered = sorted(values)
    place = share * len(ordered)
    return ordered[max(0, int(place) - 1)], ordered[min(len(ordered) - 1, int(place) + 1)]


@given(st.lists(SECONDS, min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.95]))
def test_a_percentile_is_within_five_percent(values: list[float], share: float) -> None:
    sketch = Sketch(share)
    for value in values:
        sketch.add(value)
    low, high = percentile(values, share)
    assert low * 0.95 <= sketch.value <= high * 1.05


@given(st.lists(SECONDS, min_size=1, max_size=150), st.lists(SECONDS, min_size=1, max_size=150))
def test_adding_two_is_the_sketch_of_both(one: list[float], other: list[float]) -> None:
    both, first, second = Sketch(), Sketch(), Sketch()
    for value in one:
        both.add(value)
        first.add(value)
    for value in other:
        both.add(value)
        second.add(value)
    first.merge(second.weights())
    assert first.weights() == both.weights()
    assert first.value == both.value


def test_old_numbers_fade() -> None:
    rng, sketch = random.Random(1), Sketch()
    for _ in range(10_000):
        sketch.add(rng.uniform(0.9, 1.1))
    for _ in range(1500):
        sketch.add(rng.uniform(0.009, 0.011))
    assert sketch.value < 0.012
    assert sketch.total < FULL


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=900))
def test_the_bucket_that_is_followed_is_the_one_that_is_looked_for(values: list[float]) -> None:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    looked_for, below = 0, 0.0
    weights = [sketch._weights[bucket] for bucket in range(BUCKETS)]
    while below + weights[looked_for] < 0.95 * sketch.total - 1e-9:
        below += weights[looked_for]
        looked_for += 1
    while not weights[sketch._at]:  # an empty one beside it says the same
        sketch._at += 1
    assert abs(sketch._at - looked_for) <= 1


@pytest.mark.parametrize("value", [0.0, 1e-300, -1.0, 1e300, float("inf")])
def test_what_is_out_of_bounds_counts_as_the_bound(value: float) -> None:
    sketch = Sketch()
    sketch.add(value)
    assert sketch.total == 1
    bound = LEAST if value < 1 else MOST
    assert sketch.value == pytest.approx(bound, rel=0.15)


def test_buckets_that_there_are_none_of_do_not_count() -> None:
    sketch = Sketch()
    sketch.merge({-1: 5.0, BUCKETS: 5.0, 3: 2.0})
    assert sketch.weights() == {3: 2.0}
    assert Sketch().value == 0
