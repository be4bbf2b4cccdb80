"""What sessions tell each other of their peers' health, on a real broker."""

from __future__ import annotations

import json
import logging
import random
from typing import Any

import pytest

from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging import names
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.book import PeerBook
from p2c2g.peers.health import Health
from p2c2g.peers.health_words import Snapshot
from p2c2g.peers.shared_health import (
    LIFETIME,
    MAX_BYTES,
    MAX_SESSIONS,
    SessionSnapshot,
    SharedHealth,
    packed,
)
from p2c2g.peers.trust import Trust, TrustSnapshot
from tests.lane import Lane, settings

NOTHING = (Snapshot(), TrustSnapshot())
OPERATION = "upscale:2"


def seen(*peers: str, count: int = 30) -> tuple[Snapshot, TrustSnapshot]:
    """Return what a session has seen of these."""
    book, rng = PeerBook(), random.Random(2)
    health, trust = Health(book), Trust(random.Random(1), book)
    for peer in peers:
        for _ in range(count):
            seconds_per_megapixel = 0.02 * rng.lognormvariate(0, 0.5)
            health.result(peer, OPERATION, 0.9, seconds_per_megapixel, 0.01, on_time=True, now=1.0)
        trust.valid(peer)
    return health.snapshot(), trust.snapshot()


def test_a_new_session_learns_what_another_has_seen(lane: Lane) -> None:
    told = seen("a", "b")
    one, other = SharedHealth(lane.client, "one"), SharedHealth(lane.client, "other")
    assert one.sync(*told).health == ()
    heard = other.sync(*NOTHING)
    assert (heard.health, heard.trust) == ((told[0],), (told[1],))
    health = Health(PeerBook())
    health.merge(heard.health)
    record = health.of("a", OPERATION)
    assert record is not None
    assert record.count == 30
    # Its own word is not heard again, and the latest takes the place of the earlier.
    one.sync(*seen("c"))
    assert [list(each.operations[OPERATION]) for each in other.sync(*NOTHING).health] == [["c"]]


def test_who_only_reads_tells_nothing(lane: Lane) -> None:
    SharedHealth(lane.client, "one").sync(*seen("a"))
    assert len(SharedHealth(lane.client).read().health) == 1
    assert lane.client.smembers(names.sessions()) == {b"one"}


def test_it_expires_and_the_next_reader_removes_the_name(lane: Lane) -> None:
    SharedHealth(lane.client, "one").sync(*seen("a"))
    for key in (names.sessions(), names.health("one")):
        assert 0 < int(lane.client.ttl(key)) <= LIFETIME  # type: ignore[arg-type]
    lane.client.delete(names.health("one"))
    assert SharedHealth(lane.client).read().health == ()
    assert lane.client.exists(names.sessions()) == 0


def test_a_reader_heeds_so_many_sessions_and_no_more(lane: Lane) -> None:
    for number in range(MAX_SESSIONS + 5):
        SharedHealth(lane.client, f"s{number}").sync(*seen("a", count=1))
    assert len(SharedHealth(lane.client, "s0").read().health) == MAX_SESSIONS


def test_the_peers_heard_of_least_lately_are_left_out_for_room() -> None:
    told = seen(*(f"peer-{number}@somewhere.example" for number in range(250)), count=60)
    assert len(told[0].model_dump_json()) > MAX_BYTES
    data = packed(*told)
    assert len(data) <= MAX_BYTES
    left = SessionSnapshot.model_validate_json(data)
    peers = list(left.health.operations[OPERATION])
    assert len(peers) > 50
    assert peers == list(told[0].operations[OPERATION])[: len(peers)]
    assert peers[0] == "peer-249@somewhere.example"


HOSTILE: dict[str, Any] = {
    "not JSON": b"\xff\xfe picture",
    "deep": b"[" * 20_000,
    "huge": b" " * (MAX_BYTES + 1) + b"{}",
    "another version": json.dumps({"health": {"v": 1}}),
    "a share above 1": json.dumps(
        {"health": {"operations": {"pass": {"a": {"count": 9, "on_time": 2}}}}}
    ),
    "not a number": b'{"health":{"operations":{"pass":{"a":{"seconds_per_megapixel":NaN}}}}}',
    "a bucket that there is none of": json.dumps(
        {"health": {"operations": {"pass": {"a": {"spread": {"99999": 1}}}}}}
    ),
    "too much trust": json.dumps({"trust": {"peers": {"a": [0, 10**9]}}}),
    "a name with an escape": json.dumps({"trust": {"peers": {"a\x1b[2J": [0, 1]}}}),
    "too many peers": json.dumps({"trust": {"peers": {f"p{n}": [0, 1] for n in range(300)}}}),
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_cannot_be_read_is_left_out_and_logged(
    value: bytes | str, lane: Lane, caplog: pytest.LogCaptureFixture
) -> None:
    SharedHealth(lane.client, "one").sync(*seen("a"))
    lane.client.set(names.health("liar"), value)
    lane.client.sadd(names.sessions(), "liar")
    with caplog.at_level(logging.WARNING):
        heard = SharedHealth(lane.client, "two").sync(*NOTHING)
    assert len(heard.health) == 1
    (record,) = [each for each in caplog.records if "liar" in each.getMessage()]
    assert "cannot be read" in record.getMessage()


def test_a_key_of_another_kind_is_left_out(lane: Lane) -> None:
    SharedHealth(lane.client, "one").sync(*seen("a"))
    lane.client.lpush(names.health("liar"), "x")
    lane.client.sadd(names.sessions(), "liar", b"\xff\xfe")
    assert len(SharedHealth(lane.client, "two").sync(*NOTHING).health) == 1


def test_a_broker_that_is_away_is_told() -> None:
    with EmbeddedBroker() as broker:
        client = redis_client(settings(broker.url))
        shared = SharedHealth(client, "one")
        broker.kill()
        with pytest.raises(BrokerUnavailableError, match="does not answer"):
            shared.sync(*NOTHING)
        client.close()
