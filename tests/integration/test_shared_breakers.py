"""What sessions tell each other of bad peers, on a real broker."""

from __future__ import annotations

import pytest

from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging import names
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.breaker import Change
from p2c2g.peers.shared_breakers import SharedBreakers
from tests.lane import Lane, settings


def test_what_one_session_opens_the_other_sees_until_it_closes(lane: Lane) -> None:
    # Clocks that began anywhere, as monotonic ones do.
    one = SharedBreakers(lane.client, lambda: 1000.0)
    other = SharedBreakers(lane.client, lambda: -77.0)
    assert one.sync([]) == {}
    assert one.sync([Change("liar", 30.0)]) == {"liar": pytest.approx(30.0, abs=5.0)}
    assert other.sync([]) == {"liar": pytest.approx(30.0, abs=5.0)}
    assert 0 < int(lane.client.ttl(names.breakers())) <= 3600  # type: ignore[arg-type]
    assert other.sync([Change("liar", 0.0)]) == {}
    assert one.sync([]) == {}
    assert lane.client.exists(names.breakers()) == 0


def test_an_open_breaker_is_never_shortened(lane: Lane) -> None:
    one, other = SharedBreakers(lane.client), SharedBreakers(lane.client)
    one.sync([Change("liar", 60.0)])
    assert other.sync([Change("liar", 2.0)]) == {"liar": pytest.approx(60.0, abs=5.0)}


def test_a_peer_that_may_be_probed_is_still_there(lane: Lane) -> None:
    shared = SharedBreakers(lane.client)
    shared.sync([Change("liar", -5.0)])
    [left] = shared.sync([]).values()
    assert left < 0


def test_strangers_names_do_not_fill_the_broker(lane: Lane) -> None:
    shared = SharedBreakers(lane.client)
    shared.sync([Change(f"peer {number}", 30.0) for number in range(600)])
    assert len(shared.sync([])) == 256


def test_a_broker_that_is_away_is_told() -> None:
    with EmbeddedBroker() as broker:
        client = redis_client(settings(broker.url))
        shared = SharedBreakers(client)
        broker.kill()
        with pytest.raises(BrokerUnavailableError, match="does not answer"):
            shared.sync([Change("liar", 1.0)])
        client.close()
