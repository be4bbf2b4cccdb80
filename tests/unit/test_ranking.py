from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.peers.breaker import State
from p2c2g.peers.health import Record
from p2c2g.peers.ranking import Merits, merits, score

GOOD = Merits(on_time=1.0, results=500, seconds_per_megapixel=0.002, rtt=0.001, in_a_row=50)
TIMES = st.floats(0, 100)
MERITS = st.builds(
    Merits,
    on_time=st.floats(0, 1),
    results=st.integers(0, 10_000),
    seconds_per_megapixel=TIMES,
    rtt=TIMES,
    in_a_row=st.integers(0, 200),
    breaker=st.sampled_from(State),
)


@given(MERITS)
def test_a_score_is_from_0_to_100_and_the_product_of_its_factors(given: Merits) -> None:
    found = score(given)
    product = 100.0
    for factor in found.factors.values():
        assert 0 <= factor <= 1
        product *= factor
    assert found.value == pytest.approx(product)
    assert 0 <= found.value <= 100
    assert found.moved


@given(MERITS, TIMES)
def test_slower_is_never_better(given: Merits, more: float) -> None:
    assert given.seconds_per_megapixel is not None
    slower = replace(given, seconds_per_megapixel=given.seconds_per_megapixel + more)
    assert score(slower).value <= score(given).value


@given(MERITS, TIMES)
def test_farther_is_never_better(given: Merits, more: float) -> None:
    assert given.rtt is not None
    assert score(replace(given, rtt=given.rtt + more)).value <= score(given).value


@given(MERITS, st.floats(0, 1))
def test_later_is_never_better(given: Merits, share: float) -> None:
    later = replace(given, on_time=given.on_time * share)
    assert score(later).value <= score(given).value


@given(MERITS, st.integers(0, 200))
def test_less_trusted_is_never_better(given: Merits, less: int) -> None:
    newer = replace(given, in_a_row=max(0, given.in_a_row - less))
    assert score(newer).value <= score(given).value


@given(MERITS)
def test_an_open_breaker_makes_it_useless(given: Merits) -> None:
    states = [State.OPEN, State.HALF_OPEN, State.CLOSED]
    values = [score(replace(given, breaker=state)).value for state in states]
    assert values == sorted(values)
    assert values[0] == 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "nothing: as good as can be"),
        ({"on_time": 0.88}, "late: 12 % of its chunks"),
        ({"on_time": 0.979}, "late: 2.1 % of its chunks"),
        ({"rtt": 0.18}, "far: 180 ms"),
        ({"seconds_per_megapixel": 0.08}, "slow: 80 ms a megapixel"),
        ({"seconds_per_megapixel": 0.0071}, "slow: 7.1 ms a megapixel"),
        ({"in_a_row": 3}, "new: 3 of 10 good comparisons in a row"),
        ({"breaker": State.OPEN}, "shut out: its breaker is open"),
        ({"breaker": State.HALF_OPEN}, "shut out: its breaker is half-open"),
        ({"in_a_row": 3, "rtt": 0.3}, "far: 300 ms"),
    ],
)
def test_it_says_what_costs_most(changed: dict[str, object], words: str) -> None:
    assert score(replace(GOOD, **changed)).moved == words  # type: ignore[arg-type]


def test_of_who_nothing_is_known_of_it_says_so() -> None:
    assert score(Merits(in_a_row=10)).moved == "unknown: no result seen yet"
    assert score(Merits(in_a_row=10, rtt=0.5)).moved == "far: 500 ms"


def test_the_order_is_that_of_use() -> None:
    best = GOOD
    far = replace(GOOD, rtt=0.08)
    slow_and_far = replace(far, seconds_per_megapixel=0.08)
    new = Merits()
    often_late = replace(GOOD, on_time=0.3)
    values = [score(each).value for each in (best, far, slow_and_far, new, often_late)]
    assert values == sorted(values, reverse=True)


def test_one_late_result_of_a_new_peer_says_little() -> None:
    one, many = replace(GOOD, on_time=0.0, results=1), replace(GOOD, on_time=0.0, results=100)
    assert score(one).value > 50
    assert score(many).value < 1


def test_merits_are_gathered_from_a_record() -> None:
    record = Record(
        count=30,
        failed=2,
        on_time=0.9,
        seconds_per_megapixel=0.02,
        seconds_per_megapixel_p95=0.03,
        rtt=0.04,
    )
    assert merits(record, 7, State.HALF_OPEN) == Merits(
        on_time=0.9,
        results=32,
        seconds_per_megapixel=0.03,
        rtt=0.04,
        in_a_row=7,
        breaker=State.HALF_OPEN,
    )
    # What has only failed has no times, and its own word counts for the round trip alone.
    failed = replace(
        record, count=0, seconds_per_megapixel=0.0, seconds_per_megapixel_p95=0.0, rtt=0.0
    )
    assert merits(failed, 0, State.CLOSED, rtt=0.5) == Merits(on_time=0.9, results=2, rtt=0.5)
    assert merits(None, 0, State.CLOSED, rtt=0.5) == Merits(rtt=0.5)
