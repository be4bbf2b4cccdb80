from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from p2c2g.peers.book import MAX_TOLD, QUORUM, PeerBook
from p2c2g.peers.trust import (
    ENOUGH,
    MAX_CAUGHT,
    MOST,
    MOST_TOLD,
    WORD,
    Trust,
    TrustSnapshot,
    claimed,
)


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


def test_words_spare_a_peer_comparisons_and_alone_make_nobody_trusted() -> None:
    trust = Trust(random.Random(1), PeerBook())
    for sessions in (1, 2, QUORUM, 100):
        trust.merge([trusted(MOST).snapshot()] * sessions)
        assert trust.in_a_row("a") == min(sessions * WORD, MOST_TOLD)
        assert not trust.is_trusted("a")
    for _ in range(ENOUGH - MOST_TOLD):
        trust.valid("a")
    assert trust.is_trusted("a")
    trust.merge([trusted(1).snapshot()] * QUORUM)
    assert trust.in_a_row("a") == 2 * QUORUM, "a session is believed more than it says"


def test_who_says_the_opposite_of_what_was_found_here_is_not_believed() -> None:
    trust = Trust(random.Random(1), PeerBook())
    for peer in ("a", "b", "c"):
        for _ in range(ENOUGH):
            trust.valid(peer)
    for _ in range(2):
        trust.invalid("liar")
    lies = TrustSnapshot(
        peers={"a": (9, 0), "b": (9, 0), "liar": (0, MOST), "friend": (0, MOST), "d": (9, 0)}
    )
    mistaken = TrustSnapshot(peers={"a": (1, 0), "liar": (0, 40), "c": (0, 90), "d": (0, 3)})
    assert trust.merge([lies, mistaken, lies]) == [False, True, False]
    assert trust.in_a_row("friend") == 0
    assert trust.in_a_row("d") == 3


def test_who_was_caught_here_is_believed_for_no_word_of_others() -> None:
    trust = trusted(40)
    for _ in range(50):
        trust.invalid("a")
    for word in ((0, MOST), (MAX_CAUGHT, MOST), (50, MOST)):
        trust.merge([TrustSnapshot(peers={"a": word})] * 16)
        assert (trust.in_a_row("a"), trust.caught("a"), trust.is_trusted("a")) == (0, 50, False)
        assert trust.wants_check("a")
    for _ in range(ENOUGH):
        trust.valid("a")
    assert trust.in_a_row("a") == ENOUGH, "what was found here is not all that counts"


def test_who_was_caught_elsewhere_has_to_show_itself_here_and_stays_where_it_has() -> None:
    saw = trusted(40)
    saw.invalid("a")
    new, long = Trust(random.Random(1), PeerBook()), trusted(100)
    good = [trusted(MOST).snapshot()] * QUORUM
    for trust in (new, long):
        trust.merge([*good, saw.snapshot()])
    assert not new.is_trusted("a"), "a warning counts for nothing"
    assert long.in_a_row("a") >= 100
    long.merge([saw.snapshot()] * QUORUM)
    assert long.in_a_row("a") == ENOUGH, "it is not looked at more often"


def test_what_others_told_is_never_told_on() -> None:
    trust = Trust(random.Random(1), PeerBook())
    trust.merge([trusted(MOST).snapshot()] * QUORUM)
    trust.valid("a")
    assert trust.snapshot().peers == {"a": (0, 1)}
    trust.merge([])
    assert trust.in_a_row("a") == 1


OWN = st.tuples(st.integers(0, 3), st.integers(0, MOST))
WORDS = st.lists(st.tuples(st.integers(0, MAX_CAUGHT), st.integers(0, MOST)), max_size=16)


@given(OWN, WORDS, WORDS.map(lambda words: words[: QUORUM - 1]))
def test_too_few_liars_for_a_quorum_change_little(
    own: tuple[int, int], honest: list[tuple[int, int]], liars: list[tuple[int, int]]
) -> None:
    def heard(words: list[tuple[int, int]]) -> Trust:
        trust = Trust(random.Random(1), PeerBook())
        trust._book.known("a").trust = own
        trust.merge(TrustSnapshot(peers={"a": word}) for word in words)
        return trust

    caught, in_a_row = own
    without, with_them = heard(honest), heard(honest + liars)
    if caught:
        assert with_them.in_a_row("a") <= in_a_row
    if in_a_row >= ENOUGH:
        assert with_them.is_trusted("a")
    else:
        change = abs(with_them.in_a_row("a") - without.in_a_row("a"))
        assert change <= len(liars) * WORD <= MOST_TOLD + 1
    # And without any honest word they trust nobody of whom nothing was seen here.
    if not in_a_row:
        assert not heard(liars).is_trusted("a")


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
def test_sessions_that_tell_each_other_never_trust_who_they_have_just_caught(
    events: list[tuple[int, bool]],
) -> None:
    sessions = [Trust(random.Random(each), PeerBook()) for each in range(3)]
    rows, caught = [0, 0, 0], [0, 0, 0]
    for which, good in events:
        sessions[which].valid("a") if good else sessions[which].invalid("a")
        rows[which] = rows[which] + 1 if good else 0
        caught[which] += not good
        told = [each.snapshot() for each in sessions]
        for number, each in enumerate(sessions):
            each.merge(told[:number] + told[number + 1 :])
        assert not (sessions[which].is_trusted("a") and not good)
    for number, each in enumerate(sessions):
        assert each.snapshot().peers.get("a", (0, 0)) == (caught[number], rows[number])
        if caught[number]:
            assert each.in_a_row("a") == rows[number]


def test_people_read_what_half_of_the_sessions_say_or_more() -> None:
    def words(*told: tuple[int, int]) -> list[TrustSnapshot]:
        return [TrustSnapshot(peers={"a": each}) for each in told]

    assert claimed([], "a") == (0, 0)
    assert claimed(words((0, 12)), "a") == (0, 12)
    assert claimed(words((2, 12), (MAX_CAUGHT, MOST), (1, 3)), "a") == (2, 12)
    assert claimed(words((0, 12)), "b") == (0, 0)
