"""Whatever strangers write to the broker, who reads it gets no more bytes than are allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from p2c2g.messaging import names
from p2c2g.messaging.client import open_connection
from p2c2g.peers.health_words import Snapshot
from p2c2g.peers.messages import Beat, Enrolment, PeerState
from p2c2g.peers.registry import Registry
from p2c2g.peers.shared_breakers import SharedBreakers
from p2c2g.peers.shared_health import SharedHealth
from p2c2g.peers.trust import TrustSnapshot
from p2c2g.peers.versions import Versions
from p2c2g_training.board import Board
from p2c2g_workers.broker_watch import BrokerWatch
from p2c2g_workers.naming import claim
from tests.lane import Lane

#: Bytes of each thing that a stranger writes, and of all that any reader may get.
HUGE, MOST = 8 << 20, 1 << 18
PEER, ORDER = "attic@test", "0" * 32
EXCHANGE = "reply.celery.pidbox"


def enrol(lane: Lane) -> None:
    Registry(lane.client).enrol(
        Enrolment(id=PEER, instance="one", interval=60.0),
        Beat(instance="one", state=PeerState.READY),
    )


def huge_beat(lane: Lane) -> None:
    enrol(lane)
    lane.client.set(names.beat(PEER), b"x" * HUGE)


def huge_enrolment(lane: Lane) -> None:
    lane.client.hset(names.peers(), PEER, b"x" * HUGE)


def huge_id(lane: Lane) -> None:
    lane.client.hset(names.peers(), b"x" * HUGE, b"{}")


def huge_reason(lane: Lane) -> None:
    enrol(lane)
    lane.client.hset(names.banned(), PEER, b"x" * HUGE)


def huge_version(lane: Lane) -> None:
    lane.client.set(names.spoken(), b"x" * HUGE)


def huge_breaker(lane: Lane) -> None:
    lane.client.zadd(names.breakers(), {b"x" * HUGE: 4e9})


def huge_session(lane: Lane) -> None:
    lane.client.sadd(names.sessions(), b"x" * HUGE)


def huge_health(lane: Lane) -> None:
    lane.client.sadd(names.sessions(), "other")
    lane.client.set(names.health("other"), b"x" * HUGE)


def huge_progress(lane: Lane) -> None:
    lane.client.hset(names.training(ORDER), mapping={"state": "running", "sentence": b"x" * HUGE})


def huge_field(lane: Lane) -> None:
    lane.client.hset(names.training(ORDER), mapping={"state": "running", b"x" * HUGE: b""})


def huge_binding(lane: Lane) -> None:
    lane.client.sadd(f"{names.celerys()}_kombu.binding.{EXCHANGE}", b"x" * HUGE, "asker\x06\x16")
    lane.client.sadd(f"{names.celerys()}_kombu.binding.{EXCHANGE}", "a\x06\x16\x06\x16a.queue")


def bindings(lane: Lane) -> Any:
    with open_connection(lane.app) as connection:
        return connection.default_channel.get_table(EXCHANGE)


def huge_urgent(lane: Lane) -> None:
    lane.client.lpush(names.priority_keys("cpu")[0], b"x" * HUGE)


def fetched(lane: Lane) -> Any:
    BrokerWatch(lane.client, lambda: ["cpu"]).look()
    return lane.client.llen(names.queue_key("cpu"))


Write = Callable[[Lane], None]
READS: dict[str, tuple[Write, Callable[[Lane], Any], Any]] = {
    "a beat": (huge_beat, lambda lane: Registry(lane.client).beats([PEER])[PEER].beat, None),
    "an enrolment": (huge_enrolment, lambda lane: Registry(lane.client).enrolments([PEER]), {}),
    "an id": (huge_id, lambda lane: Registry(lane.client).ids(), frozenset()),
    "records": (huge_enrolment, lambda lane: Registry(lane.client).records(), []),
    "versions": (huge_enrolment, lambda lane: Versions(lane.client).others(), {}),
    "a session's version": (huge_version, lambda lane: Versions(lane.client).of_a_session(), ""),
    "a ban": (huge_reason, lambda lane: Registry(lane.client).banned(), {PEER: ""}),
    "its own ban": (
        huge_reason,
        lambda lane: Registry(lane.client).beat(
            Enrolment(id=PEER, instance="one"), Beat(instance="one", state=PeerState.READY)
        ).banned,
        "",
    ),
    "a breaker": (huge_breaker, lambda lane: len(SharedBreakers(lane.client).sync([])), 0),
    "a session": (huge_session, lambda lane: SharedHealth(lane.client, "s").read().health, ()),
    "what a session says": (
        huge_health, lambda lane: SharedHealth(lane.client, "s").read().health, (),
    ),
    "a training": (
        huge_progress,
        lambda lane: (told := Board(lane.client).look(ORDER)) and (told.state, told.sentence),
        ("running", ""),
    ),
    "a training's field": (
        huge_field, lambda lane: (told := Board(lane.client).look(ORDER)) and told.state, "running",
    ),
    "a binding": (huge_binding, bindings, [("a", "", "a.queue")]),
    "an urgent message": (huge_urgent, fetched, 1),
    "a name that is taken": (
        huge_beat, lambda lane: claim(lane.client, PEER, "two", 0.01), "attic-2@test",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", READS)
def test_no_reader_gets_more_than_is_allowed(lane: Lane, what: str) -> None:
    write, read, due = READS[what]
    write(lane)
    before = sent(lane)
    assert read(lane) == due
    assert sent(lane) - before < MOST


def test_many_members_are_read_in_part(lane: Lane) -> None:
    """And a part of them is enough: a session heeds no more peers than it can know."""
    seconds: Any = lane.client.time()
    soon = seconds[0] + 30
    lane.client.zadd(names.breakers(), {f"other|peer{number}": soon for number in range(5000)})
    lane.client.sadd(names.sessions(), *(f"session{number}" for number in range(5000)))
    before = sent(lane)
    assert len(SharedBreakers(lane.client).sync([])) == 256
    SharedHealth(lane.client, "s").sync(Snapshot(), TrustSnapshot())
    assert sent(lane) - before < MOST


def test_no_more_is_handed_on_than_a_queue_holds(lane: Lane) -> None:
    """However much a stranger put there: the broker does nothing else meanwhile."""
    enrol(lane)
    own = names.queue_key(names.own_queue(PEER))
    lane.client.lpush(own, *map(str, range(1000)))
    Registry(lane.client).leave(PEER, ("cpu",))
    assert not lane.client.exists(own)
    handed: Any = lane.client.lrange(names.queue_key("cpu"), 0, -1)
    assert [int(each) for each in handed] == [*range(999, 743, -1)]


def sent(lane: Lane) -> int:
    """Return the bytes that the broker has sent to anybody."""
    stats: Any = lane.client.info("stats")
    return int(stats["total_net_output_bytes"])
