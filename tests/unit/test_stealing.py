"""What waits at a peer that is behind moves to one that is idle, and nothing else does."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.peers.candidate import Candidate
from p2c2g.routing.stealing import IDLE_MOST, MARGIN, MOVES_MOST, Move, Waiting, moves

SPEED = settings(deadline=None, derandomize=True, max_examples=150)


def peer(name: str, seconds_per_megapixel: float = 0.010, **told: float) -> Candidate:
    """Return a peer that takes the same time for each megapixel, 10 ms away."""
    told = {"rtt": 0.010, "last_result": 0.0, **told}
    return Candidate(
        name,
        seconds_per_megapixel=seconds_per_megapixel,
        seconds_per_megapixel_p95=seconds_per_megapixel,
        **told,
    )  # type: ignore[arg-type]


def sent(
    to: str, *moments: float, deadline: float = 0.5, used: tuple[str, ...] = ()
) -> list[Waiting[int]]:
    """Return chunks of one megapixel that were sent to one peer."""
    return [
        Waiting(number, to, moment, moment + deadline, 1.0, used)
        for number, moment in enumerate(moments)
    ]


def pool(*peers: Candidate) -> dict[str, Candidate]:
    return {each.id: each for each in peers}


def test_nothing_moves_while_all_goes_as_predicted() -> None:
    # Three at once to one slot: begun after 5, 15 and 25 ms; the first is back after 20.
    peers = pool(peer("ada", own=3), peer("idle"))
    waiting = sent("ada", 0.0, 0.0, 0.0)
    for now in (0.0, 0.010, 0.019):
        assert moves(waiting, peers, now) == []
    peers["ada"].own = 2
    peers["ada"].last_result = 0.020
    assert moves(waiting[1:], peers, 0.025) == []


def test_what_should_have_been_begun_and_cannot_have_been_moves() -> None:
    # The first is still out 22 ms after it was sent: the second waits behind it.
    peers = pool(peer("slow", 0.010, own=2), peer("idle", 0.001))
    assert moves(sent("slow", 0.0, 0.0), peers, 0.022) == [Move(1, "slow", "idle")]


def test_what_a_slot_is_at_work_on_stays() -> None:
    peers = pool(peer("slow", 0.010, own=2, slots=2), peer("idle", 0.001))
    assert moves(sent("slow", 0.0, 0.0), peers, 0.022) == []


def test_all_that_a_silent_peer_has_moves() -> None:
    # Owed after a round trip of 10 ms, twice 10 ms of work and 10 ms of grace.
    peers = pool(peer("stalled", own=1), peer("idle"))
    waiting = sent("stalled", 0.0)
    assert moves(waiting, peers, 0.0399) == []
    assert moves(waiting, peers, 0.0401) == [Move(0, "stalled", "idle")]


def test_a_peer_that_has_answered_meanwhile_is_not_silent() -> None:
    peers = pool(peer("ada", own=1, last_result=0.030), peer("idle"))
    assert moves(sent("ada", 0.0), peers, 0.050) == []


def test_what_others_keep_waiting_is_no_silence() -> None:
    peers = pool(peer("ada", own=1, others=5), peer("idle"))
    assert moves(sent("ada", 0.0), peers, 0.060) == []


def test_what_was_sent_to_a_peer_that_is_gone_moves() -> None:
    assert moves(sent("gone", 0.0), pool(peer("idle")), 0.001) == [Move(0, "gone", "idle")]


def test_a_full_peer_takes_nothing() -> None:
    peers = pool(peer("full", own=1), peer("others'", others=1))
    assert moves(sent("gone", 0.0), peers, 0.001) == []


def test_one_free_slot_takes_one_chunk() -> None:
    peers = pool(peer("one"), peer("two", slots=3, own=1))
    found = moves(sent("gone", 0.0, 0.0, 0.0, 0.0), peers, 0.001)
    assert sorted(move.to for move in found) == ["one", "two", "two"]


def test_the_most_urgent_goes_first() -> None:
    waiting = [
        Waiting("later", "gone", 0.0, 0.9, 1.0),
        Waiting("soon", "gone", 0.0, 0.3, 1.0),
    ]
    assert moves(waiting, pool(peer("idle")), 0.001) == [Move("soon", "gone", "idle")]


def test_nothing_moves_to_where_it_would_be_late() -> None:
    waiting = sent("gone", 0.0, deadline=0.030)
    peers = pool(peer("idle"))  # 20 ms there and back
    assert moves(waiting, peers, 0.0099) == [Move(0, "gone", "idle")]
    assert moves(waiting, peers, 0.0101) == []


def test_nothing_moves_for_less_than_the_margin() -> None:
    # Where it is: the rest of the one before it, its own work, and 5 ms back: 25 ms.
    waiting, now = sent("slow", 0.0, 0.0), 0.022
    there = 0.025
    for late, expected in ((0.001, []), (-0.001, [Move(1, "slow", "idle")])):
        idle = peer("idle", there - MARGIN - 0.010 + late)
        assert moves(waiting, pool(peer("slow", own=2), idle), now) == expected


def test_a_silent_peer_and_one_that_had_a_run_take_nothing() -> None:
    silent = peer("silent", slots=2, own=1)
    waiting = [
        *sent("gone", 0.0, used=("hedge",)),
        Waiting(7, "silent", 0.0, 0.5, 1.0),
    ]
    assert moves(waiting[:1], pool(silent, peer("hedge")), 0.1) == [Move(0, "gone", "silent")]
    # Nobody is left for the first; what the silent one has goes to the other.
    assert moves(waiting, pool(silent, peer("hedge")), 0.1) == [Move(7, "silent", "hedge")]


def test_no_peer_gets_two_runs_of_one_chunk() -> None:
    waiting = [*sent("gone", 0.0), *sent("gone too", 0.0)]
    peers = pool(peer("fast", slots=4), peer("slow", 0.020))
    found = moves(waiting, peers, 0.001)
    assert found == [Move(0, "gone", "fast"), Move(0, "gone too", "slow")]


def test_the_work_of_one_call_is_bounded() -> None:
    peers = pool(*(peer(f"idle{n}", 0.010 + n / 1e6, slots=4) for n in range(100)))
    found = moves(sent("gone", *[0.0] * 200), peers, 0.001)
    assert len(found) == MOVES_MOST
    assert {move.to for move in found} <= {f"idle{n}" for n in range(IDLE_MOST)}
    assert {move.key for move in found} == set(range(MOVES_MOST))


@SPEED
@given(seed=st.integers(0, 10_000), now=st.floats(0, 0.3))
def test_every_move_is_one_that_helps(seed: int, now: float) -> None:
    random = Random(seed)
    peers = pool(
        *(
            peer(
                f"peer{n}",
                random.uniform(0.001, 0.1),
                slots=random.randint(1, 3),
                others=random.randint(0, 2),
                last_result=random.uniform(-0.1, now),
            )
            for n in range(random.randint(1, 8))
        )
    )
    names = [*peers, "gone"]
    waiting = [
        Waiting(n, random.choice(names), random.uniform(0, now), random.uniform(0, 0.5), 1.0)
        for n in range(random.randint(0, 30))
    ]
    for each in waiting:
        if each.peer in peers:
            peers[each.peer].own += 1
    by_key = {each.key: each for each in waiting}
    found = moves(waiting, peers, now)
    assert found == moves(list(waiting), peers, now)
    assert len({move.key for move in found}) == len(found)
    for move in found:
        chunk, to = by_key[move.key], peers[move.to]
        assert move.source == chunk.peer != move.to
        assert now + to.finish(1.0) <= chunk.deadline
        taken = sum(other.to == move.to for other in found)
        assert to.backlog + taken <= to.slots
