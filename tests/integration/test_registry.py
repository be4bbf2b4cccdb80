"""The registry on a real broker: who is there, who is dead, and what strangers may write."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from p2c2g.errors import BrokerUnavailableError, UsageError
from p2c2g.messaging import names
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.messages import MAX_ENROLMENT, Beat, Enrolment, PeerState
from p2c2g.peers.registry import MAX_REASON, BeatReply, Registry
from p2c2g.peers.versions import Versions, spoken
from tests.lane import Lane, settings

ATTIC = "attic@test"
PIDBOX = names.queue_key(names.control_queue(ATTIC))
OWN = names.queue_key(names.own_queue(ATTIC))
CPU = names.queue_key("cpu")
BINDING = names.control_binding(ATTIC).encode()


def enrolment(name: str = ATTIC, instance: str = "one", **more: Any) -> Enrolment:
    # A beat lasts for three intervals, however late a busy machine looks at it.
    return Enrolment(id=name, instance=instance, queues=("cpu",), interval=60.0, **more)


def beat(instance: str = "one", state: PeerState = PeerState.READY) -> Beat:
    return Beat(instance=instance, state=state)


@pytest.fixture
def registry(lane: Lane) -> Registry:
    return Registry(lane.client)


def die(lane: Lane) -> None:
    """End a peer's beat, as the broker's clock does."""
    assert lane.client.delete(names.beat(ATTIC)) == 1


def test_an_enrolled_peer_is_known_and_alive(lane: Lane, registry: Registry) -> None:
    told, how = enrolment(region="eu"), beat()
    assert registry.enrol(told, how) == BeatReply(enrolled=True)
    assert registry.ids() == {ATTIC}
    assert registry.enrolments([ATTIC, "nobody@test"]) == {ATTIC: told}
    lane.client.lpush(OWN, "chunk")
    (record,) = registry.records()
    assert (record.enrolment, record.beat, record.waiting, record.banned) == (told, how, 1, None)


def test_a_beat_lasts_three_intervals(lane: Lane, registry: Registry) -> None:
    three = round(3000 * enrolment().interval)
    registry.enrol(enrolment(), beat())
    assert three / 2 < lane.client.pttl(names.beat(ATTIC)) <= three
    lane.client.pexpire(names.beat(ATTIC), three // 2)
    assert registry.beat(enrolment(), beat()).enrolled
    assert three / 2 < lane.client.pttl(names.beat(ATTIC)) <= three


def test_a_beat_replaces_the_last_one(registry: Registry) -> None:
    registry.enrol(enrolment(), beat(state=PeerState.STARTING))
    assert registry.beat(enrolment(), beat()) == BeatReply(enrolled=True)
    pulses = registry.beats([ATTIC])
    assert pulses[ATTIC].beat == beat()


def test_one_round_trip_a_beat(lane: Lane, registry: Registry) -> None:
    registry.enrol(enrolment(), beat())
    registry.beat(enrolment(), beat())  # The broker knows the script from here on.
    before = calls(lane)
    registry.beat(enrolment(), beat())
    after = calls(lane)
    # What the script itself calls is counted too; what is sent is one call of it.
    assert after["evalsha"] == before["evalsha"] + 1
    assert all(after[name] == before[name] for name in ("eval", "script|load", "script|exists"))


def calls(lane: Lane) -> Counter[str]:
    rows: Any = lane.client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): row["calls"] for name, row in rows.items()})


def test_who_is_not_enrolled_is_told_so_and_writes_nothing(lane: Lane, registry: Registry) -> None:
    assert registry.beat(enrolment(), beat()) == BeatReply(enrolled=False)
    assert lane.client.exists(names.peers(), names.beat(ATTIC)) == 0


def test_who_was_away_for_too_long_has_to_enrol_again(lane: Lane, registry: Registry) -> None:
    registry.enrol(enrolment(), beat())
    die(lane)
    assert not registry.beat(enrolment(), beat()).enrolled
    assert registry.enrol(enrolment(), beat()).enrolled


def test_a_broker_that_forgot_its_scripts_is_told_them_again(
    lane: Lane, registry: Registry
) -> None:
    registry.enrol(enrolment(), beat())
    registry.beat(enrolment(), beat())
    lane.client.script_flush()
    assert registry.beat(enrolment(), beat()).enrolled


def test_a_name_belongs_to_whoever_beats(lane: Lane, registry: Registry) -> None:
    registry.enrol(enrolment(), beat())
    other, others = enrolment(instance="two"), beat("two")
    with pytest.raises(
        UsageError, match=r"^Another peer is called attic@test: .* with -n, or .* with --name\.$"
    ):
        registry.enrol(other, others)
    assert not registry.beat(other, others).enrolled
    assert registry.beats([ATTIC])[ATTIC].beat == beat()

    die(lane)
    assert registry.enrol(other, others).enrolled
    assert not registry.beat(enrolment(), beat()).enrolled
    registry.leave(ATTIC, ("cpu",), "one")
    assert registry.ids() == {ATTIC}, "the first took the second's enrolment with it"


def test_an_unreadable_beat_holds_no_name(lane: Lane, registry: Registry) -> None:
    for nonsense in (b"", b"[", b'{"instance": 7}', b"[" * 5000):
        lane.client.set(names.beat(ATTIC), nonsense)
        assert registry.enrol(enrolment(), beat()).enrolled
        lane.client.delete(names.beat(ATTIC))
        lane.client.hset(names.beat(ATTIC), "no", "string")
        assert not registry.beat(enrolment(), beat()).enrolled
        lane.client.delete(names.beat(ATTIC))


def test_who_leaves_hands_its_chunks_on_to_be_read_next(lane: Lane, registry: Registry) -> None:
    registry.enrol(enrolment(), beat(), control=True)
    lane.client.lpush(OWN, "old", "new")
    lane.client.lpush(CPU, "waits")
    registry.leave(ATTIC, ("cpu", "gpu"))
    # Lists are read from their right.
    assert lane.client.lrange(CPU, 0, -1) == [b"waits", b"new", b"old"]
    assert set(lane.client.keys("*")) == {CPU.encode(), lane.stream.encode()}


@pytest.mark.parametrize("queues", [(), ("p2c2g.peers",)])
def test_chunks_without_an_heir_are_dropped(
    lane: Lane, registry: Registry, queues: tuple[str, ...]
) -> None:
    registry.enrol(enrolment(), beat())
    registry.enrol(enrolment("cellar@test"), beat())
    lane.client.lpush(OWN, "chunk")
    registry.leave(ATTIC, queues)
    assert registry.ids() == {"cellar@test"}
    assert lane.client.exists(OWN) == 0


def test_a_queue_that_is_made_by_leaving_does_not_stay_for_good(
    lane: Lane, registry: Registry
) -> None:
    registry.enrol(enrolment(), beat())
    lane.client.lpush(OWN, "chunk")
    lane.client.expire(OWN, 100)
    registry.leave(ATTIC, ("cpu",))
    assert 90 < lane.client.ttl(CPU) <= 100


def test_a_sweep_takes_all_traces_of_the_dead_and_none_of_the_living(
    lane: Lane, registry: Registry
) -> None:
    living = enrolment("cellar@test")
    for each in (enrolment(), living):
        registry.enrol(each, beat(), control=True)
        lane.client.lpush(names.queue_key(names.own_queue(each.id)), each.id)
        lane.client.lpush(names.queue_key(names.control_queue(each.id)), "ping")
    die(lane)
    assert registry.sweep([ATTIC, living.id, "nobody@test"]) == [ATTIC]
    assert registry.ids() == {living.id}
    assert lane.client.exists(CPU) == 0, "what the dead had is too old for anybody"
    assert lane.client.exists(OWN, PIDBOX) == 0
    assert BINDING not in lane.client.smembers(names.control_bindings())
    assert lane.client.scard(names.control_bindings()) == 1
    left = (names.own_queue(living.id), names.control_queue(living.id))
    assert lane.client.exists(*map(names.queue_key, left)) == 2
    assert registry.sweep([ATTIC, living.id]) == []


def test_who_enrols_after_a_sweep_hears_remote_control_again(
    lane: Lane, registry: Registry
) -> None:
    registry.enrol(enrolment(), beat(), control=True)
    die(lane)
    registry.sweep([ATTIC])
    registry.enrol(enrolment(), beat(), control=True)
    assert lane.client.smembers(names.control_bindings()) == {BINDING}


def test_a_peer_that_comes_back_while_it_is_swept_stays(lane: Lane, registry: Registry) -> None:
    registry.enrol(enrolment(), beat())
    die(lane)

    assert registry.beats([ATTIC])[ATTIC].beat is None
    registry.enrol(enrolment(), beat())
    assert registry.sweep([ATTIC]) == []
    assert registry.beats([ATTIC])[ATTIC].beat == beat()


def test_who_is_banned_is_told_why_and_is_not_written(registry: Registry) -> None:
    registry.enrol(enrolment(), beat())
    registry.ban(ATTIC, " sends noise ")
    assert registry.banned() == {ATTIC: "sends noise"}
    assert registry.beat(enrolment(), beat()) == BeatReply(enrolled=False, banned="sends noise")
    (record,) = registry.records()
    assert record.banned == "sends noise"
    registry.leave(ATTIC, ("cpu",))
    assert registry.enrol(enrolment(), beat()) == BeatReply(enrolled=False, banned="sends noise")
    assert registry.ids() == frozenset()
    registry.unban(ATTIC)
    registry.unban(ATTIC)
    assert registry.enrol(enrolment(), beat()) == BeatReply(enrolled=True)
    registry.ban(ATTIC, "x" * 1000)
    assert registry.banned() == {ATTIC: "x" * MAX_REASON}


def test_what_no_peer_can_be_called_cannot_be_banned(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"'two words' is no peer's id: give one such as"):
        registry.ban("two words", "")
    assert registry.banned() == {}


def test_nonsense_is_left_out_and_logged_once(
    lane: Lane, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.enrol(enrolment(), beat())
    hostile = {
        "liar@test": enrolment("somebody@else").model_dump_json(),
        "json@test": b"{",
        "long@test": b" " * (MAX_ENROLMENT + 1),
        "slots@test": enrolment().model_dump_json().replace('"slots":1', '"slots":-1'),
        "two words": enrolment().model_dump_json(),
        b"\xff\xfe": b"",
    }
    lane.client.hset(names.peers(), mapping=hostile)
    registry.enrol(enrolment("mute@test"), beat())
    lane.client.set(names.beat("mute@test"), b'{"instance": "x", "state": "dancing"}')
    lane.client.set(names.own_queue("mute@test"), "no list")
    with caplog.at_level(logging.WARNING):
        seen = registry.records()
        assert registry.records() == seen
    assert [record.enrolment.id for record in seen] == [ATTIC, "mute@test"]
    assert (seen[1].beat, seen[1].waiting) == (None, 0)
    assert registry.ids() == {
        ATTIC, "mute@test", "liar@test", "json@test", "long@test", "slots@test",
    }  # fmt: skip
    lines = [line.message for line in caplog.records]
    assert len(lines) == len(set(lines)) == len(hostile) + 1
    assert "Left out the enrolment of peer liar@test: it is called somebody@else inside." in lines
    assert any("long@test" in line and "16385 bytes" in line for line in lines)
    # Nobody beats for the nonsense, so a sweep takes it away.
    assert set(registry.sweep(registry.ids())) == {
        "liar@test", "json@test", "long@test", "slots@test",
    }  # fmt: skip


def test_a_peer_of_another_version_gets_no_work_and_is_named(
    lane: Lane, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.enrol(enrolment(speaks=spoken()), beat())
    for name, told in (("chunks@test", {"speaks": "9.1.2"}), ("later@test", {"v": 9})):
        data = {**enrolment(name).model_dump(mode="json"), **told}
        lane.client.hset(names.peers(), name, json.dumps(data))
        lane.client.set(names.beat(name), b"of another version")
    lane.client.hset(names.peers(), "dead@test", json.dumps({"v": 9}))
    ids = registry.ids()
    for _ in range(2):
        assert registry.enrolments(ids).keys() == {ATTIC}
    said = [line for line in caplog.messages if "is of another version and gets no work" in line]
    assert len(said) == 3
    assert any("Peer chunks@test" in line and "it speaks 9.1.2" in line for line in said)
    assert Versions(lane.client).others() == {"chunks@test": "9.1.2", "later@test": "?.?.9"}


def test_a_ban_in_other_bytes_is_read_all_the_same(lane: Lane, registry: Registry) -> None:
    lane.client.hset(names.banned(), ATTIC, b"\xff")
    assert registry.enrol(enrolment(), beat()) == BeatReply(False, "�")
    assert registry.banned() == {ATTIC: "�"}


def test_nothing_is_asked_for_nobody(registry: Registry) -> None:
    assert registry.enrolments([]) == registry.beats([]) == {}
    assert registry.sweep([]) == registry.records() == []


CALLS: dict[str, Callable[[Registry], object]] = {
    "enrol": lambda registry: registry.enrol(enrolment(), beat()),
    "beat": lambda registry: registry.beat(enrolment(), beat()),
    "leave": lambda registry: registry.leave(ATTIC, ("cpu",)),
    "ids": lambda registry: registry.ids(),
    "enrolments": lambda registry: registry.enrolments([ATTIC]),
    "beats": lambda registry: registry.beats([ATTIC]),
    "records": lambda registry: registry.records(),
    "sweep": lambda registry: registry.sweep([ATTIC]),
    "ban": lambda registry: registry.ban(ATTIC, ""),
    "unban": lambda registry: registry.unban(ATTIC),
    "banned": lambda registry: registry.banned(),
}


@pytest.fixture(scope="module")
def nobody() -> Iterator[Registry]:
    """A registry at a broker that has ended, and whose port nobody else is given meanwhile."""
    with EmbeddedBroker() as broker, redis_client(settings(broker.url)) as client:
        client.ping()
        broker.kill()
        yield Registry(client)


def test_every_method_is_asked_of_a_broker_that_is_away() -> None:
    public = {name for name in vars(Registry) if not name.startswith("_")}
    # Of what has been read already.
    assert public - {"unread"} == set(CALLS)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_broker_that_is_away_is_told_in_our_words(
    nobody: Registry, call: Callable[[Registry], object]
) -> None:
    with pytest.raises(BrokerUnavailableError, match=r"^The broker does not answer: "):
        call(nobody)
