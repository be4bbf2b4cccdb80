from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from p2c2g.peers.book import MAX_TOLD, MAX_UNREGISTERED, QUORUM, PeerBook
from p2c2g.peers.health import ENOUGH, Health
from p2c2g.peers.health_words import MAX_OPERATIONS, MOST_OF_A_WORD, HealthEntry, Snapshot
from p2c2g.peers.sketch import BUCKETS

OPERATION = "upscale:2,sharpen:0.5"


def new_health() -> Health:
    return Health(PeerBook())


def seen(health: Health, peer: str = "a", count: int = 100, **told: float) -> Health:
    """Feed results that are all alike."""
    for _ in range(count):
        health.result(
            peer,
            OPERATION,
            0.5,
            told.get("seconds_per_megapixel", 0.02),
            told.get("rtt", 0.03),
            on_time=bool(told.get("on_time", True)),
            now=1.0,
        )
    return health


def test_means_and_shares_of_what_came() -> None:
    health, rng = new_health(), random.Random(3)
    for number in range(2000):
        seconds_per_megapixel = 0.02 * rng.lognormvariate(0, 0.2)
        health.result(
            "a", OPERATION, 0.5, seconds_per_megapixel, 0.03, on_time=number % 10 > 0, now=1.0
        )
    record = health.of("a", OPERATION)
    assert record is not None
    assert record.count == 2000
    assert record.on_time == pytest.approx(0.9, abs=0.05)
    assert record.seconds_per_megapixel == pytest.approx(0.04, rel=0.2)  # seconds a megapixel
    assert record.seconds_per_megapixel_p95 == pytest.approx(0.04 * 1.39, rel=0.15)
    assert record.rtt == pytest.approx(0.03)


def test_the_first_result_counts_whole() -> None:
    record = seen(new_health(), count=1, seconds_per_megapixel=0.1, on_time=False).of(
        "a", OPERATION
    )
    assert record is not None
    assert (record.on_time, record.seconds_per_megapixel, record.rtt) == (0.0, 0.2, 0.03)


def test_the_latest_results_count_most() -> None:
    health = seen(
        seen(new_health(), count=1000, seconds_per_megapixel=0.5),
        count=200,
        seconds_per_megapixel=0.01,
    )
    record = health.of("a", OPERATION)
    assert record is not None
    assert record.seconds_per_megapixel == pytest.approx(0.02, rel=0.01)


def test_failures_are_not_in_time_and_have_no_times() -> None:
    health = seen(new_health(), count=30)
    for _ in range(10):
        health.failed("a", OPERATION, 2.0)
    record = health.of("a", OPERATION)
    assert record is not None
    assert (record.count, record.failed) == (30, 10)
    assert record.on_time == pytest.approx(0.75, abs=0.07)
    assert record.seconds_per_megapixel == pytest.approx(0.04)


def test_strangers_names_fill_no_memory() -> None:
    health = new_health()
    for number in range(1000):
        seen(health, f"peer{number}", count=1)
    assert len(health.peers()) == MAX_UNREGISTERED
    assert health.peers()[-1] == "peer999"
    for number in range(100):
        health.failed("peer999", f"upscale:{number}", 1.0)
    assert len(health.operations("peer999")) == MAX_OPERATIONS


def test_who_was_heard_of_least_lately_is_dropped() -> None:
    health = new_health()
    for number in range(MAX_UNREGISTERED):
        seen(health, f"peer{number}", count=1)
    seen(health, "peer0", count=1)
    seen(health, "one more", count=1)
    assert health.of("peer0", OPERATION) is not None
    assert health.of("peer1", OPERATION) is None


def test_a_new_session_begins_with_others_word() -> None:
    snapshot = seen(new_health(), count=500, seconds_per_megapixel=0.1, on_time=False).snapshot()
    health = new_health()
    health.merge([snapshot])
    record = health.of("a", OPERATION)
    assert record is not None
    assert record.on_time == 0
    assert record.seconds_per_megapixel_p95 == pytest.approx(0.2, rel=0.06)
    assert health.peers() == ["a"]
    assert health.operations("a") == [OPERATION]


def test_own_results_take_the_place_of_others_word_one_by_one() -> None:
    health = new_health()
    word = seen(new_health(), count=500, seconds_per_megapixel=0.1).snapshot()
    health.merge([word] * QUORUM)
    means = []
    for _ in range(ENOUGH):
        seen(health, count=1, seconds_per_megapixel=0.04)
        record = health.of("a", OPERATION)
        assert record is not None
        means.append(record.seconds_per_megapixel)
    assert means == sorted(means, reverse=True)
    assert means[0] == pytest.approx(0.19, rel=0.05)
    assert means[-1] == pytest.approx(0.08)


def test_what_is_far_from_what_was_seen_here_is_not_believed() -> None:
    health = new_health()
    slander = seen(new_health(), count=500, seconds_per_megapixel=0.1, on_time=False).snapshot()
    health.merge([slander] * 16)
    seen(health, count=1, seconds_per_megapixel=0.01)
    record = health.of("a", OPERATION)
    assert record is not None
    assert (record.count, record.on_time, record.seconds_per_megapixel) == (1, 1.0, 0.02)


def test_fewer_than_a_quorum_stand_in_only_for_nothing() -> None:
    health = new_health()
    word = seen(new_health(), count=500, seconds_per_megapixel=9.0, on_time=False).snapshot()
    health.merge([word] * (QUORUM - 1))
    seen(health, count=1, seconds_per_megapixel=0.01)
    record = health.of("a", OPERATION)
    assert record is not None
    assert (record.count, record.on_time, record.seconds_per_megapixel) == (1, 1.0, 0.02)


def test_a_liar_among_a_quorum_is_left_out() -> None:
    honest = [
        seen(new_health(), count=50 + each, seconds_per_megapixel=0.1).snapshot()
        for each in range(QUORUM)
    ]
    lies = [
        HealthEntry(count=10**9, on_time=1.0, seconds_per_megapixel=1e-6, spread={0: 1e6}),
        HealthEntry(count=10**9, on_time=0.0, seconds_per_megapixel=900, rtt=900),
        HealthEntry(count=50, seconds_per_megapixel=0.2, rtt=0.01, spread={BUCKETS - 1: 1e6}),
    ]
    for lie in lies:
        alone, with_it = new_health(), new_health()
        alone.merge(honest)
        with_it.merge([*honest, Snapshot(operations={OPERATION: {"a": lie}})])
        assert with_it.of("a", OPERATION) == alone.of("a", OPERATION)


def test_no_word_is_worth_more_than_so_many_results() -> None:
    health = new_health()
    boast = HealthEntry(count=10**9, seconds_per_megapixel=0.1, rtt=0.03, spread={0: 1e6})
    honest = seen(new_health(), count=MOST_OF_A_WORD, rtt=0.01).snapshot()
    health.merge([honest, Snapshot(operations={OPERATION: {"a": boast}})])
    record = health.of("a", OPERATION)
    assert record is not None
    assert record.count == 2 * MOST_OF_A_WORD
    assert record.rtt == pytest.approx(0.02)


def test_what_others_told_is_never_told_on() -> None:
    health = new_health()
    health.merge([seen(new_health(), "told", count=50).snapshot()])
    seen(health, "own", count=1)
    assert set(health.snapshot().operations[OPERATION]) == {"own"}


def test_later_word_takes_the_place_of_earlier() -> None:
    health = new_health()
    health.merge([seen(new_health(), "a").snapshot()])
    assert health.of("a", OPERATION) is not None
    health.merge([])
    assert health.of("a", OPERATION) is None


def test_words_of_several_sessions_are_weighed_by_their_results() -> None:
    health = new_health()
    health.merge(
        [
            seen(new_health(), count=300, rtt=0.01).snapshot(),
            seen(new_health(), count=100, rtt=0.05).snapshot(),
        ]
    )
    record = health.of("a", OPERATION)
    assert record is not None
    assert record.count == 400
    assert record.rtt == pytest.approx(0.02)


def test_a_snapshot_is_read_as_it_was_written() -> None:
    snapshot = seen(seen(new_health(), "a"), "b", count=3).snapshot()
    # The one heard of last is the first.
    assert list(snapshot.operations[OPERATION]) == ["b", "a"]
    assert Snapshot.model_validate_json(snapshot.model_dump_json()) == snapshot


def test_as_many_are_told_of_as_a_message_holds_the_latest_first() -> None:
    book = PeerBook()
    book.register(f"peer{number}" for number in range(2 * MAX_TOLD))
    health = Health(book)
    for number in range(2 * MAX_TOLD):
        seen(health, f"peer{number}", count=1)
    snapshot = health.snapshot()
    latest = [f"peer{number}" for number in reversed(range(MAX_TOLD, 2 * MAX_TOLD))]
    assert list(snapshot.operations[OPERATION]) == latest


def test_a_name_that_no_peer_may_have_is_not_told() -> None:
    health = seen(seen(new_health(), "a b", count=1), "a", count=1)
    assert set(health.snapshot().operations[OPERATION]) == {"a"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_time": 1.5},
        {"seconds_per_megapixel": float("nan")},
        {"seconds_per_megapixel": -1},
        {"count": -1},
        {"spread": {10**6: 1.0}},
        {"spread": {1: float("inf")}},
    ],
)
def test_numbers_out_of_bounds_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HealthEntry.model_validate(wrong)


PEERS = st.sampled_from(["a", "b", "c"])
OUTCOMES = st.lists(
    st.tuples(PEERS, st.floats(0, 10), st.floats(-1, 10), st.sampled_from([True, False, None])),
    max_size=80,
)


@given(OUTCOMES, OUTCOMES)
def test_figures_stay_in_bounds_whatever_comes(
    own: list[tuple[str, float, float, bool | None]],
    others: list[tuple[str, float, float, bool | None]],
) -> None:
    health, other = new_health(), new_health()
    for table, outcomes in ((health, own), (other, others)):
        for peer, seconds_per_megapixel, rtt, on_time in outcomes:
            if on_time is None:
                table.failed(peer, OPERATION, 1.0)
            else:
                table.result(
                    peer, OPERATION, 0.5, seconds_per_megapixel, rtt, on_time=on_time, now=1.0
                )
    health.merge([other.snapshot()])
    for peer in health.peers():
        record = health.of(peer, OPERATION)
        assert record is not None
        assert 0 <= record.on_time <= 1 + 1e-9
        assert 0 <= record.seconds_per_megapixel <= 20 + 1e-6
        assert 0 <= record.rtt <= 10 + 1e-6
        assert record.count + record.failed > 0
