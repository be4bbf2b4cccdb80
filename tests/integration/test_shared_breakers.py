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
    one = SharedBreakers(lane.client, lambda: 1000.0, "one")
    other = SharedBreakers(lane.client, lambda: -77.0, "other")
    assert one.sync([]) == {}
    assert one.sync([Change("liar", 30.0)]) == {}  # its own word it knows
    assert other.sync([]) == {"liar": {"one": pytest.approx(30.0, abs=5.0)}}
    assert 0 < int(lane.client.ttl(names.breakers())) <= 3600  # type: ignore[arg-type]
    other.sync([Change("liar", 20.0)])
    assert one.sync([Change("liar", 0.0)]) == {"liar": {"other": pytest.approx(20.0, abs=5.0)}}
    assert other.sync([Change("liar", 0.0)]) == {}
    assert lane.client.exists(names.breakers()) == 0


def test_an_open_breaker_is_never_shortened(lane: Lane) -> None:
    one, reader = SharedBreakers(lane.client, session="one"), SharedBreakers(lane.client)
    one.sync([Change("liar", 60.0)])
    one.sync([Change("liar", 2.0)])
    assert reader.sync([]) == {"liar": {"one": pytest.approx(60.0, abs=5.0)}}


def test_a_peer_that_may_be_probed_is_still_there(lane: Lane) -> None:
    shared = SharedBreakers(lane.client)
    shared.sync([Change("liar", -5.0)])
    [words] = shared.sync([]).values()
    assert max(words.values()) < 0


def test_strangers_names_do_not_fill_the_broker(lane: Lane) -> None:
    shared = SharedBreakers(lane.client)
    shared.sync([Change(f"peer{number}", 30.0) for number in range(600)])
    assert len(shared.sync([])) == 256


def test_words_that_no_session_would_write_shut_nobody_out(lane: Lane) -> None:
    session = SharedBreakers(lane.client, session="one")
    now, _ = lane.client.time()  # type: ignore[misc]
    years = {f"liar{number}|peer{each}": now + 1e9 for number in range(5) for each in range(99)}
    lane.client.zadd(names.breakers(), years)
    lane.client.zadd(
        names.breakers(),
        {"peer": now + 9, "liar|": now + 9, "liar|two words": now + 9, b"\xff|\x1b": now + 9,
         "old|peer": now - 3000, "never|peer": float("-inf")},
    )  # fmt: skip
    lane.client.zadd(
        names.breakers(), {f"low{number}|peer": float("-inf") for number in range(500)}
    )
    assert session.sync([]) == {}
    # And who has seen them takes them away: they would hide what is true.
    session.sync([])
    assert lane.client.zscore(names.breakers(), "liar0|peer0") is None
    assert lane.client.zscore(names.breakers(), "low0|peer") is None
    session.sync([Change("ada", 9.0)])
    assert SharedBreakers(lane.client).sync([]) == {"ada": {"one": pytest.approx(9.0, abs=5.0)}}


def test_a_broker_that_is_away_is_told() -> None:
    with EmbeddedBroker() as broker:
        client = redis_client(settings(broker.url))
        shared = SharedBreakers(client)
        broker.kill()
        with pytest.raises(BrokerUnavailableError, match="does not answer"):
            shared.sync([Change("liar", 1.0)])
        client.close()
