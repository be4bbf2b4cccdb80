"""What a worker and a session need of a registry, of either kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from p2c2g.errors import UsageError
from p2c2g.messaging.client import redis_client
from p2c2g.peers.messages import Beat, Enrolment, PeerState
from p2c2g.peers.open_registry import OpenRegistry, OpenStandings
from p2c2g.peers.registry import Registry
from p2c2g.peers.versions import spoken
from p2c2g.session.registry_follower import PeerRegistry as SessionsEnd
from p2c2g.settings.principal import Role
from p2c2g_workers.heart import PeerRegistry as PeersEnd
from tests.open_pool import OpenPool

PEER = "pattic"


@dataclass
class Ends:
    """A registry from both sides, and two workers that want one place in it."""

    peers: PeersEnd
    another: PeersEnd
    sessions: SessionsEnd
    client: redis.Redis


@pytest.fixture(params=["own", "open"])
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ends]:
    with OpenPool("valkey", tmp_path) as pool, ExitStack() as stack:
        if request.param == "own":
            own = [Registry(pool.operator) for _ in range(3)]
            yield Ends(*own, pool.operator)
            return
        peer = pool.settings(pool.join(Role.PEER, PEER))
        gamer = pool.settings(pool.join(Role.GAMER, "galice"))
        clients = [redis_client(each) for each in (peer, peer, gamer)]
        for each in clients:
            stack.callback(each.close)
        yield Ends(
            OpenStandings(clients[0]),
            OpenStandings(clients[1]),
            OpenRegistry(clients[2], "galice"),
            pool.operator,
        )
        assert pool.denials() == []


def enrolment(instance: str = "one", slots: int = 2) -> Enrolment:
    # A beat lasts for three intervals: longer than any stall of a machine.
    return Enrolment(
        id=PEER, instance=instance, slots=slots, queues=("cpu",), interval=60, speaks=spoken()
    )


def beat(instance: str = "one", state: PeerState = PeerState.READY) -> Beat:
    return Beat(instance=instance, state=state, in_flight=3)


def test_who_enrols_is_known_and_alive(ends: Ends) -> None:
    said = ends.peers.enrol(enrolment(), beat())
    assert (said.enrolled, said.banned) == (True, None)
    assert ends.sessions.ids() == {PEER}
    assert ends.sessions.enrolments([PEER]) == {PEER: enrolment()}
    assert ends.sessions.beats([PEER])[PEER].beat == beat()
    assert ends.sessions.banned() == {}


def test_a_beat_follows_and_one_that_is_missed_is_a_death(ends: Ends) -> None:
    ends.peers.enrol(enrolment(), beat())
    assert ends.peers.beat(enrolment(), beat(state=PeerState.PAUSED)).enrolled
    assert ends.sessions.beats([PEER])[PEER].beat == beat(state=PeerState.PAUSED)
    ends.client.delete(*ends.client.scan_iter("*beat*"))
    assert ends.sessions.beats([PEER])[PEER].beat is None


def test_who_was_forgotten_enrols_again(ends: Ends) -> None:
    ends.peers.enrol(enrolment(), beat())
    ends.client.delete(*ends.client.scan_iter("*told:enrol"), "p2c2g.peers")
    assert not ends.peers.beat(enrolment(), beat()).enrolled
    assert ends.peers.enrol(enrolment(slots=5), beat()).enrolled
    assert ends.sessions.enrolments([PEER])[PEER].slots == 5


def test_a_place_is_one_instances_while_it_lives(ends: Ends) -> None:
    ends.peers.enrol(enrolment(), beat())
    with pytest.raises(UsageError, match="Another"):
        ends.another.enrol(enrolment("two"), beat("two"))
    ends.another.leave(PEER, (), "two")
    assert ends.sessions.beats([PEER])[PEER].beat == beat()
    ends.peers.leave(PEER, (), "one")
    assert ends.sessions.beats([PEER])[PEER].beat is None
    assert ends.another.enrol(enrolment("two"), beat("two")).enrolled


def test_who_slept_finds_its_place_taken(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    ends.peers.enrol(enrolment(), beat())
    ends.client.delete(*ends.client.scan_iter("*beat*"))
    assert ends.another.enrol(enrolment("two"), beat("two")).enrolled
    if isinstance(ends.peers, OpenStandings):  # Its clock goes on while the machine sleeps.
        monkeypatch.setattr(ends.peers, "_clock", lambda: float("inf"))
    assert not ends.peers.beat(enrolment(), beat()).enrolled
    assert ends.sessions.beats([PEER])[PEER].beat == beat("two")
    with pytest.raises(UsageError, match="Another"):
        ends.peers.enrol(enrolment(), beat())


def test_who_is_of_another_version_is_told_apart(ends: Ends) -> None:
    other = enrolment().model_copy(update={"speaks": "9.9.9"})
    ends.peers.enrol(other, beat())
    assert ends.sessions.enrolments([PEER]) == {}
    assert ends.sessions.unread(ends.sessions.ids()) == 1
    ends.peers.enrol(enrolment(), beat())
    assert ends.sessions.enrolments([PEER]) == {PEER: enrolment()}


def test_nonsense_is_left_out(ends: Ends) -> None:
    ends.peers.enrol(enrolment(), beat())
    for key in ends.client.scan_iter("*beat*"):
        ends.client.set(key, b"{" * 200_000)
    assert ends.sessions.beats([PEER])[PEER].beat is None
    assert ends.sessions.enrolments(["nobody1"]) == {}
    assert ends.sessions.beats([]) == {}
    assert ends.sessions.enrolments([]) == {}


def test_who_is_vouched_for_and_not_there_is_no_peer_of_another_version(tmp_path: Path) -> None:
    with OpenPool("valkey", tmp_path) as pool:
        peers = {f"poff{number:03}" for number in range(300)}
        for peer in peers:
            pool.operator.hset("p2c2g:o:peers", peer, '{"key": "%s=", "account": "a"}' % ("A" * 43))
        client = redis_client(pool.settings(pool.join(Role.GAMER, "galice")))
        registry = OpenRegistry(client, "galice")
        assert registry.ids() == peers
        for _ in range(2):  # So many are not asked for at once.
            assert registry.enrolments(peers) == {}
        assert registry.unread(peers) == 0
        assert all(registry.voucher(peer) is not None for peer in peers)
        client.close()
        assert pool.denials() == []


def test_what_an_operator_has_not_said_yet_shuts_nobody_out(tmp_path: Path) -> None:
    with OpenPool("valkey", tmp_path) as pool:
        client = redis_client(pool.settings(pool.join(Role.PEER, PEER)))
        pool.join(Role.GAMER, "galice")
        standings = OpenStandings(client)
        assert standings.enrol(enrolment(), beat()).gamers == ("galice",)
        pool.operator.delete(f"p2c2g:o:standing:{PEER}")
        said = standings.beat(enrolment(), beat())
        assert (said.enrolled, said.banned, said.gamers) == (True, None, None)
        client.close()
