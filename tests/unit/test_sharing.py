"""Who shares a peer, and what each session's part of it is."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.peers.candidate import Candidate
from p2c2g.peers.messages import Beat, PeerState
from p2c2g.peers.sharing import MANY, PART, PARTS, Sharing
from p2c2g.session.fair_share import LOOK_EVERY, FairShare
from p2c2g.session.levels import Facts, Levels
from p2c2g.session.steady import FAIR, Steady
from p2c2g_workers.peer import Peer

MEGAPIXELS = (0.25, 0.25)


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=20))
def test_it_is_no_more_sessions_than_there_are_and_all_where_they_take_alike(
    taken: list[float],
) -> None:
    sharing, alike = Sharing(), Sharing()
    for index, seconds in enumerate(taken):
        sharing.took(str(index), seconds, 0.0)
        alike.took(str(index), 0.5, 0.0)
    assert 1 - 1e-9 <= sharing.sessions(0.0) <= len(taken) + 1e-9
    assert alike.sessions(0.0) == pytest.approx(len(taken))


def test_who_takes_little_counts_little_and_who_has_gone_does_not() -> None:
    sharing = Sharing()
    assert sharing.sessions(0.0) == 0
    sharing.took("much", 1.0, 0.0)
    sharing.took("little", 0.05, 0.0)
    assert 1 < sharing.sessions(0.0) < 1.2
    sharing.took("other", 1.0, PART * PARTS)
    assert sharing.sessions(PART * PARTS + 0.5) == pytest.approx(1.0)
    assert sharing.sessions(10.0) == 0


def test_names_that_somebody_makes_up_take_up_no_room() -> None:
    sharing = Sharing()
    for index in range(10 * MANY):
        sharing.took(str(index), 0.01, 0.0)
    assert sharing.sessions(0.0) < MANY
    assert len(sharing._parts[0][1]) <= MANY + 1


def test_a_worker_tells_for_how_many_it_works() -> None:
    worker = Peer(lambda: 0, lambda: 0.0, lambda: 5.0)
    assert worker.beat("i", 0.0).sessions == 0
    for whose in ("ada", "bob", "ada", "bob", ""):
        worker.served(0.02, whose)
    assert worker.beat("i", 0.0).sessions == 2
    old = Beat(instance="i", state=PeerState.READY).model_dump_json(exclude={"sessions"})
    assert Beat.model_validate_json(old).sessions == 0


def test_a_part_is_what_each_peer_can_do_by_those_who_share_it() -> None:
    alone = [Candidate("a", slots=2, seconds_per_megapixel=0.02), Candidate("b")]
    assert FairShare(MEGAPIXELS).look(alone, 0.0) == inf
    shared = [
        Candidate("a", slots=2, seconds_per_megapixel=0.02, sessions=4.0),
        Candidate("b", slots=1, seconds_per_megapixel=0.02, sessions=1.0),
    ]
    part = FairShare(MEGAPIXELS)
    assert part.look(shared, 0.0) == pytest.approx((100 / 4 + 50) / 0.25)
    assert part.look([], LOOK_EVERY / 2) == pytest.approx(300), "it looks now and then"
    assert part.look([], LOOK_EVERY) == inf


def test_who_has_more_than_its_part_of_peers_that_are_taken_gives_way() -> None:
    facts = Facts(fps=30.0, done=240.0, fair=120.0)
    steady = Steady(8)
    for now in range(40):
        assert steady.step(facts, now / 10) == Levels(8), "nobody waits for it"
    taken = Facts(fps=30.0, done=240.0, fair=120.0, taken=True)
    for now in range(40, 80):
        steady.step(taken, now / 10)
    assert 2 <= steady.levels.chunks <= 4
    assert steady.levels.chunks * 30.0 <= FAIR * 120.0
