from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from p2c2g.peers.book import MAX_TOLD, PeerBook
from p2c2g.peers.trust import ENOUGH, MOST, Trust, TrustSnapshot


def trusted(count: int = ENOUGH, peer: str = "a") -> Trust:
    trust = Trust(random.Random(1), PeerBook())
    for _ in range(count):
        trust.valid(peer)
    return trust


def test_a_new_peer_is_trusted_after_ten_in_a_row() -> None:
    trust = trusted(9)
    assert not trust.is_trusted("a")
    assert all(trust.wants_check("a") for _ in range(1000))
    trust.valid("a")
    assert trust.is_trusted("a")


def test_one_bad_result_takes_it_back_to_nothing() -> None:
    trust = trusted(50)
    trust.invalid("a")
    assert (trust.in_a_row("a"), trust.caught("a"), trust.is_trusted("a")) == (0, 1, False)


@pytest.mark.parametrize("in_a_row", [10, 40, MOST])
def test_a_trusted_one_is_compared_with_probability_one_over_n(in_a_row: int) -> None:
    trust, draws = trusted(in_a_row), 200_000
    drawn = sum(trust.wants_check("a") for _ in range(draws))
    assert drawn / draws == pytest.approx(1 / in_a_row, rel=0.1)


def test_even_the_best_are_compared_now_and_then() -> None:
    trust = trusted(100_000)
    assert trust.in_a_row("a") == MOST


def test_a_cheat_is_found_in_time_and_an_honest_peer_costs_little() -> None:
    # 10,000 chunks of an honest peer: each comparison is one more in a row.
    trust, compared = Trust(random.Random(5), PeerBook()), 0
    for _ in range(10_000):
        if trust.wants_check("a"):
            compared += 1
            trust.valid("a")
    assert compared / 10_000 < 0.03
    # From now on it cheats: how many lies are shown until one is compared?
    shown = next(number for number in range(10_000) if trust.wants_check("a"))
    assert shown < 1000


def test_what_other_sessions_know_counts() -> None:
    trust = Trust(random.Random(1), PeerBook())
    trust.merge([trusted(30).snapshot(), trusted(12).snapshot()])
    assert trust.in_a_row("a") == 30
    trust.valid("a")
    assert trust.in_a_row("a") == 31


def test_a_bad_result_that_any_session_saw_outranks_all_good_ones_before() -> None:
    saw = trusted(40)
    saw.invalid("a")
    saw.valid("a")
    trust = trusted(100)
    trust.merge([trusted(60).snapshot(), saw.snapshot()])
    assert (trust.in_a_row("a"), trust.is_trusted("a")) == (1, False)


def test_after_a_bad_result_any_session_may_find_it_good_again() -> None:
    saw = trusted(40)
    saw.invalid("a")
    trust = trusted(100)
    trust.merge([saw.snapshot()])
    for _ in range(ENOUGH):
        trust.valid("a")
    assert trust.is_trusted("a")
    saw.merge([trust.snapshot()])
    assert saw.is_trusted("a")


def test_a_bad_result_is_remembered_when_the_word_of_it_is_gone() -> None:
    saw, trust = trusted(40), trusted(100)
    saw.invalid("a")
    trust.merge([saw.snapshot()])
    trust.valid("a")  # found out here, after what was told
    trust.merge([])
    assert trust.in_a_row("a") == 1


def test_strangers_names_fill_no_memory() -> None:
    trust = Trust(random.Random(1), PeerBook())
    for number in range(1000):
        trust.valid(f"peer{number}")
    assert len(trust.snapshot().peers) == MAX_TOLD


def test_a_name_that_no_peer_may_have_is_not_told() -> None:
    trust = trusted(peer="a b")
    trust.valid("a")
    assert set(trust.snapshot().peers) == {"a"}


@pytest.mark.parametrize("wrong", [[0, MOST + 1], [-1, 0], [0], ["a", 1], [10**9, 0]])
def test_numbers_out_of_bounds_are_refused(wrong: list[object]) -> None:
    with pytest.raises(ValidationError):
        TrustSnapshot.model_validate({"peers": {"a": wrong}})


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60))
def test_sessions_that_tell_each_other_agree_and_never_trust_who_was_just_caught(
    events: list[tuple[int, bool]],
) -> None:
    sessions = [Trust(random.Random(each), PeerBook()) for each in range(3)]
    for which, good in events:
        sessions[which].valid("a") if good else sessions[which].invalid("a")
        told = [each.snapshot() for each in sessions]
        for each in sessions:
            each.merge(told)
        assert len({each.in_a_row("a") for each in sessions}) == 1
        if not good:
            assert not any(each.is_trusted("a") for each in sessions)
    row = 0
    for _, good in events:
        row = row + 1 if good else 0
    assert sessions[0].in_a_row("a") == row
