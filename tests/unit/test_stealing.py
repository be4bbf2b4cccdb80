"""What waits at a peer that is behind moves to one that would do it sooner, and nothing else."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.peers.candidate import Candidate
from p2c2g.routing.stealing import MARGIN, MOVES_MOST, TAKERS_MOST, Move, Waiting, kept, moves
from tests.effort import examples

SPEED = settings(deadline=None, derandomize=True, max_examples=examples(150))


def peer(name: str, seconds_per_megapixel: float = 0.010, **told: float) -> Candidate:
    """Return a peer that takes the same time for each megapixel, 10 ms away: it keeps two."""
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
    """Return chunks of one megapixel that were sent to one peer, numbered from 0."""
    return [
        Waiting(number, to, moment, moment + deadline, 1.0, used)
        for number, moment in enumerate(moments)
    ]


def stalled(name: str = "stalled") -> Candidate:
    """Return a peer that has been silent for a second."""
    return peer(name, last_result=-1.0)


def stuck(
    *keys: int, at: str = "stalled", deadline: float = 0.5, used: tuple[str, ...] = ()
) -> list[Waiting[int]]:
    """Return the chunks of a stalled peer: those that may move after two that it keeps."""
    return [Waiting(key, at, -1.0, deadline, 1.0, used) for key in (-1, -2, *keys)]


def pool(*peers: Candidate) -> dict[str, Candidate]:
    return {each.id: each for each in peers}


# -- what moves --------------------------------------------------------------------------------


def test_nothing_moves_while_all_goes_as_predicted() -> None:
    # Four at once to one slot: begun after 5, 15, 25 and 35 ms; news of it takes 5 more.
    peers = pool(peer("ada", own=4), peer("idle"))
    waiting = sent("ada", 0.0, 0.0, 0.0, 0.0)
    for now in (0.0, 0.010, 0.029):
        assert moves(waiting, peers, now) == []
    peers["ada"].own = 3
    peers["ada"].last_result = 0.020
    assert moves(waiting[1:], peers, 0.029) == []


def test_what_should_have_been_begun_and_still_waits_at_the_broker_moves() -> None:
    peers = pool(peer("slow", own=4), peer("idle", 0.001))
    waiting = sent("slow", 0.0, 0.0, 0.0, 0.0)
    assert moves(waiting, peers, 0.031) == [Move(2, "slow", "idle")]


def test_what_would_be_begun_last_moves_first() -> None:
    peers = pool(peer("slow", own=5), peer("idle", 0.001))
    waiting = sent("slow", 0.0, 0.0, 0.0, 0.0, 0.0)
    found = moves(waiting, peers, 0.051)
    assert [move.key for move in found] == [4, 3, 2]


def test_what_a_peer_has_read_stays() -> None:
    peers = pool(peer("slow", own=2), peer("idle", 0.001))
    assert moves(sent("slow", 0.0, 0.0), peers, 0.035) == []


def test_a_peer_keeps_as_many_as_it_has_slots_and_its_distance_asks_for() -> None:
    assert kept(peer("near", 0.100), 1.0) == 2
    assert kept(peer("with slots", 0.100, slots=4), 1.0) == 5
    assert kept(peer("far", 0.010, rtt=0.035), 1.0) == 1 + 4
    assert kept(peer("far with slots", 0.010, rtt=0.034, slots=2), 1.0) == 2 + 7
    assert kept(peer("far", 0.010, rtt=0.0345), 0.1) == 1 + 35


def test_all_that_waits_for_a_silent_peer_moves() -> None:
    # Owed after a round trip of 10 ms, twice 10 ms of work and 10 ms of grace.
    peers = pool(peer("stalled", own=4), peer("idle"))
    waiting = sent("stalled", 0.0, 0.036, 0.036, 0.036)
    assert moves(waiting, peers, 0.0399) == []
    assert [move.key for move in moves(waiting, peers, 0.0401)] == [3, 2]


def test_a_peer_that_has_answered_meanwhile_is_not_silent() -> None:
    peers = pool(peer("ada", own=4, last_result=0.030), peer("idle"))
    assert moves(sent("ada", 0.0, 0.036, 0.036, 0.036), peers, 0.050) == []


def test_what_others_keep_waiting_is_no_silence() -> None:
    peers = pool(peer("ada", own=4, others=5), peer("idle"))
    assert moves(sent("ada", 0.0, 0.036, 0.036, 0.036), peers, 0.050) == []


def test_the_most_urgent_goes_first() -> None:
    waiting = [*stuck(1, deadline=0.9), *stuck(2, at="other", deadline=0.3)]
    found = moves(waiting, pool(stalled(), stalled("other"), peer("idle")), 0.001)
    assert found == [Move(2, "other", "idle"), Move(1, "stalled", "idle")]


# -- where to ----------------------------------------------------------------------------------


def test_a_peer_takes_what_it_would_read_at_once() -> None:
    full = peer("full", 0.001, own=1, others=10)
    assert moves(stuck(0), pool(stalled(), full), 0.001) == []
    peers = pool(stalled(), peer("one"), peer("three", slots=3, own=3))
    found = moves(stuck(*range(9)), peers, 0.001)
    # One place at the first beside its slot, and at the other, where all slots are at work.
    assert sorted(move.to for move in found) == ["one", "one", "three", "three", "three"]


def test_it_goes_where_it_would_be_back_first() -> None:
    # Twice as fast, but it has one before this one.
    peers = pool(stalled(), peer("fast", 0.010, own=1), peer("idle", 0.015))
    assert [move.to for move in moves(stuck(0, 1), peers, 0.001)] == ["idle", "fast"]


def test_nothing_moves_to_where_it_would_be_late() -> None:
    peers = pool(stalled(), peer("idle"))  # 20 ms there and back
    assert moves(stuck(0, deadline=0.0300), peers, 0.0099) == [Move(0, "stalled", "idle")]
    assert moves(stuck(0, deadline=0.0300), peers, 0.0101) == []


def test_nothing_moves_for_less_than_the_margin() -> None:
    # Where it is: the rest of the one at work, of the one that was read, its own and 5 ms: 35.
    waiting, now, there = sent("slow", 0.0, 0.0, 0.0), 0.031, 0.035
    for late, expected in ((0.001, []), (-0.001, [Move(2, "slow", "idle")])):
        idle = peer("idle", there - MARGIN - 0.010 + late)
        assert moves(waiting, pool(peer("slow", own=3), idle), now) == expected


def test_a_silent_peer_and_one_that_had_a_run_take_nothing() -> None:
    peers = pool(stalled(), stalled("too"), peer("hedge"))
    waiting = [*stuck(0, used=("hedge",)), *stuck(7, at="too")]
    assert moves(waiting, peers, 0.1) == [Move(7, "too", "hedge")]


def test_no_peer_gets_two_runs_of_one_chunk() -> None:
    peers = pool(stalled(), stalled("too"), peer("fast", slots=4), peer("slow", 0.020))
    found = moves([*stuck(0), *stuck(0, at="too")], peers, 0.001)
    assert found == [Move(0, "stalled", "fast"), Move(0, "too", "slow")]


def test_the_work_of_one_call_is_bounded() -> None:
    peers = pool(stalled(), *(peer(f"idle{n}", 0.010 + n / 1e6, slots=4) for n in range(100)))
    found = moves(stuck(*range(200)), peers, 0.001)
    assert len(found) == MOVES_MOST
    assert {move.to for move in found} <= {f"idle{n}" for n in range(TAKERS_MOST)}
    assert {move.key for move in found} == set(range(200 - MOVES_MOST, 200))


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
    waiting = [
        Waiting(n, random.choice([*peers]), random.uniform(0, now), random.uniform(0, 0.5), 1.0)
        for n in range(random.randint(0, 60))
    ]
    for each in waiting:
        peers[each.peer].own += 1
    by_key = {each.key: each for each in waiting}
    before = {name: each.own for name, each in peers.items()}
    found = moves(waiting, peers, now)
    assert found == moves(list(waiting), peers, now)
    assert {name: each.own for name, each in peers.items()} == before
    assert len({move.key for move in found}) == len(found)
    for move in found:
        chunk, to = by_key[move.key], peers[move.to]
        earlier = sum(
            other.peer == chunk.peer and other.sent_at <= chunk.sent_at for other in waiting
        )
        assert earlier > kept(peers[chunk.peer], 1.0)
        assert move.source == chunk.peer != move.to
        assert now + to.finish(1.0) <= chunk.deadline
        taken = sum(other.to == move.to for other in found)
        assert to.backlog + taken <= kept(to, 1.0)
