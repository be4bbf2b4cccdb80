"""Rates, pauses and recent times, told the time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.timing.bucket import TokenBucket
from p2c2g.timing.pauses import NamedPauses, Pauses
from p2c2g.timing.recent import RecentTimes

rates = st.floats(0.01, 100)
spans = st.floats(0, 10)


# -- recent times


@given(st.lists(st.floats(0, 1), min_size=1, max_size=400), st.floats(0, 0.999))
def test_a_quantile_is_one_of_the_latest_and_as_many_lie_below(
    times: list[float], share: float
) -> None:
    recent = RecentTimes(length=64, every=1)
    for seconds in times:
        recent.add(seconds)
    latest = sorted(times[-64:])
    assert recent.quantile(share) == latest[int(share * len(latest))]


def test_no_times_have_no_quantile() -> None:
    assert RecentTimes().quantile(0.5) is None


# -- the token bucket


@given(st.floats(0.01, 1), st.floats(0, 10), st.lists(st.integers(0, 64), max_size=60))
def test_a_bucket_gives_a_share_and_a_burst_and_no_more(
    share: float, burst: float, sent: list[int]
) -> None:
    bucket = TokenBucket(share, burst)
    taken = asked = 0
    for chunks in sent:
        bucket.earn(chunks)
        while bucket.take():
            taken += 1
        asked += 1
    assert taken <= burst + share * sum(sent) + 1e-6
    assert bucket.refused == asked


@given(rates, st.floats(0, 20), st.lists(st.tuples(spans, st.integers(0, 30)), max_size=60))
def test_no_span_of_time_sees_more_than_its_rate_and_a_burst(
    rate: float, burst: float, turns: list[tuple[float, int]]
) -> None:
    bucket = TokenBucket(rate, burst)
    now, taken = 0.0, []
    for seconds, asked in turns:
        now += seconds
        bucket.fill(now)
        taken += [now for _ in range(asked) if bucket.take()]
    for first, start in enumerate(taken):
        for count, end in enumerate(taken[first:], 1):
            assert count <= burst + rate * (end - start) + 1e-6


def test_after_a_burst_there_is_one_now_and_then() -> None:
    bucket = TokenBucket(1 / 5.0, 16)
    assert [bucket.take() for _ in range(19)] == [True] * 16 + [False] * 3
    bucket.fill(1000.0)
    bucket.fill(1005.0)
    assert [bucket.take() for _ in range(2)] == [True, False]
    bucket.fill(1e6)
    assert [bucket.take() for _ in range(17)] == [True] * 16 + [False]


@given(rates, st.floats(1, 20), st.lists(spans, max_size=20), spans)
def test_it_does_not_matter_how_often_it_is_told_the_time(
    rate: float, burst: float, told: list[float], spent: float
) -> None:
    often, seldom = TokenBucket(rate, burst), TokenBucket(rate, burst)
    for bucket in (often, seldom):
        bucket.fill(0.0)
        bucket.spend(spent)
    now = 0.0
    for seconds in told:
        now += seconds
        often.fill(now)
    seldom.fill(now)
    assert often.tokens == pytest.approx(seldom.tokens)
    assert seldom.tokens == pytest.approx(min(burst, burst - spent + rate * now))


@given(rates, st.floats(1, 20), st.floats(0, 1000))
def test_an_overdrawn_one_gives_nothing_until_its_debt_is_paid(
    rate: float, burst: float, debt: float
) -> None:
    bucket = TokenBucket(rate, burst)
    bucket.fill(5.0)
    bucket.spend(burst + debt)
    assert bucket.tokens == pytest.approx(-debt)
    due = (1 + debt) / rate
    bucket.fill(5.0 + 0.99 * due)
    assert bucket.is_empty
    assert not bucket.take()
    bucket.fill(5.0 + 1.01 * due)
    assert bucket.take()


@given(rates, st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_a_clock_that_goes_back_fills_nothing_twice(rate: float, told: list[float]) -> None:
    bucket = TokenBucket(rate, 1e9)
    bucket.fill(told[0])
    bucket.spend(1e9)
    for now in told:
        bucket.fill(now)
    assert bucket.tokens == pytest.approx(rate * (max(told) - told[0]), abs=1e-3)


@pytest.mark.parametrize(("rate", "burst"), [(-0.5, 3), (0.5, -1), (float("nan"), 3)])
def test_a_bucket_that_cannot_be_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="give 0 or more"):
        TokenBucket(rate, burst)


# -- pauses


@given(st.floats(0.01, 10), st.floats(1, 100), st.floats(1, 4), st.integers(1, 40))
def test_pauses_grow_from_the_first_to_the_longest(
    first: float, times: float, growth: float, failures: int
) -> None:
    longest = first * times
    pauses = Pauses(first, longest, growth=growth)
    now, lengths = 0.0, []
    assert pauses.over(now)
    for _ in range(failures):
        lengths.append(pauses.failed(now))
        assert not pauses.over(now)
        now += lengths[-1]
        assert pauses.over(now)
    assert lengths[0] == first
    for shorter, longer in pairwise(lengths):
        assert longer == min(growth * shorter, longest)


@given(st.integers(1, 12), st.floats(0, 20), st.floats(0, 5000))
def test_failures_are_forgotten_once_it_held_long_enough(
    failures: int, held: float, worked: float
) -> None:
    pauses = Pauses(5.0, 300.0, held=held)
    lengths = [pauses.failed(0.0) for _ in range(failures)]
    pauses.well(10.0)
    assert pauses.over(10.0)
    again = pauses.failed(10.0 + worked)
    # Only what is measured from the moment that it worked counts.
    forgotten = (10.0 + worked) - 10.0 >= held * lengths[-1]
    assert again == (5.0 if forgotten else min(2 * lengths[-1], 300.0))


def test_pauses_grow_and_are_forgotten_where_the_card_held() -> None:
    pauses = Pauses(5.0, 300.0, held=10.0)
    assert [pauses.failed(0.0) for _ in range(8)] == [5, 10, 20, 40, 80, 160, 300, 300]
    pauses.well(0.0)
    assert pauses.failed(60.0) == 300, "it was lost again soon"
    pauses.well(60.0)
    assert pauses.failed(3060.0) == 5


@pytest.mark.parametrize(
    ("first", "longest", "growth", "held"),
    [(0, 1, 2, 0), (2, 1, 2, 0), (1, 2, 0.5, 0), (1, 2, 2, -1), (float("nan"), 1, 2, 0)],
)
def test_pauses_that_cannot_be_are_refused(
    first: float, longest: float, growth: float, held: float
) -> None:
    with pytest.raises(ValueError, match="pauses begin above 0"):
        Pauses(first, longest, growth=growth, held=held)


def test_a_name_that_failed_is_left_alone_for_longer_and_longer() -> None:
    pauses, now = NamedPauses(30.0, 1800.0, most=256), 1000.0
    assert pauses.over("a", now)
    lengths = []
    for _ in range(8):
        lengths.append(pauses.failed("a", now))
        assert not pauses.over("a", now)
        assert not pauses.over("a", now + lengths[-1] - 0.01)
        now += lengths[-1]
        assert pauses.over("a", now)
    assert lengths == [30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1800.0, 1800.0]
    pauses.well("a")
    assert pauses.over("a", now)
    assert pauses.failed("a", now) == 30.0


def test_a_flood_of_names_is_not_remembered_for_ever() -> None:
    pauses = NamedPauses(30.0, 1800.0, most=256)
    for number in range(3 * 256):
        pauses.failed(str(number), 0.0)
    assert len(pauses) == 256
    assert pauses.over("0", 0.0)
    assert not pauses.over(str(3 * 256 - 1), 0.0)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.sampled_from(["fail", "work"]), spans), max_size=60
    )
)
def test_named_pauses_are_those_of_each_name_and_the_latest_are_kept(
    turns: list[tuple[str, str, float]],
) -> None:
    named = NamedPauses(1.0, 16.0, most=3)
    alone: dict[str, Pauses] = {}  # the latest to fail last
    now = 0.0
    for name, what, seconds in turns:
        now += seconds
        pauses = alone.pop(name, None)
        if what == "fail":
            alone[name] = pauses or Pauses(1.0, 16.0)
            assert named.failed(name, now) == alone[name].failed(now)
        else:
            named.well(name)
        while len(alone) > 3:
            del alone[next(iter(alone))]
        assert len(named) == len(alone)
        for each in "abcde":
            assert named.over(each, now) == (each not in alone or alone[each].over(now))
