"""Where a session's chunks go and its results come: both ends of a pool have to agree."""

from __future__ import annotations

import pytest

from p2c2g.messaging import names
from p2c2g.messaging.places import Places, place, places

PEERS = ("pattic", "pcellar")


@pytest.fixture(params=["own", "open"])
def here(request: pytest.FixtureRequest) -> Places:
    return places("s1", "cpu", "galice" if request.param == "open" else "")


def test_a_result_goes_where_its_session_reads(here: Places) -> None:
    for peer in PEERS:
        assert place(here.queue(peer), "s1") == here.stream(peer)
        assert place(here.queue(peer), "s2") != here.stream(peer)
    if here.shared_queue:
        assert place(here.shared_queue, "s1") == here.stream("")


def test_each_peer_has_a_queue_of_its_own(here: Places) -> None:
    assert len({here.queue(peer) for peer in PEERS}) == 2


def test_a_sender_is_the_peer_or_anybody(here: Places) -> None:
    for peer in PEERS:
        assert here.sender(here.stream(peer)) == ("" if here.shared_queue else peer)


def test_a_read_can_be_ended_where_its_streams_change(here: Places) -> None:
    streams = {here.stream(peer) for peer in PEERS}
    assert len(streams) == (1 if here.shared_queue else 2)
    assert (here.wake(0) == here.wake(1)) == bool(here.shared_queue)
    assert not {here.wake(0), here.wake(1)} & streams


def test_every_key_is_the_pools(here: Places) -> None:
    for key in (names.queue_key(here.queue("pattic")), here.stream("pattic")):
        assert key.startswith((names.ours(), names.celerys()))
