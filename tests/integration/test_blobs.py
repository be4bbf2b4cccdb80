"""Blobs at a real broker: by their hash, for a time, and never something else."""

from __future__ import annotations

import hashlib

import pytest

from p2c2g.errors import BrokerUnavailableError, UsageError
from p2c2g.media.hashes import DIGITS, name_of
from p2c2g.messaging import names
from p2c2g.messaging.blobs import MAX_BLOB, Blobs
from p2c2g.messaging.client import redis_client
from tests.lane import Lane, settings

DATA = bytes(range(256)) * 20


@pytest.fixture
def blobs(lane: Lane) -> Blobs:
    return Blobs(lane.client)


def test_what_was_put_is_had(blobs: Blobs, lane: Lane) -> None:
    name = blobs.put(DATA, 600)
    assert name == name_of(DATA) == hashlib.sha256(DATA).hexdigest()[:DIGITS]
    assert blobs.get(name) == DATA
    assert lane.client.keys(names.blob("*")) == [names.blob(name).encode()]
    assert 500_000 < lane.client.pttl(names.blob(name)) <= 600_000


def test_it_goes_when_its_time_is_over_unless_it_is_kept(blobs: Blobs, lane: Lane) -> None:
    name = blobs.put(DATA, 60)
    assert blobs.keep(name, 3600)
    assert 3_500_000 < lane.client.pttl(names.blob(name)) <= 3_600_000
    assert blobs.keep(name, 0.001)
    lane.wait_until(lambda: blobs.get(name) is None)
    assert not blobs.keep(name, 60)
    assert lane.client.keys(names.blob("*")) == []


def test_putting_again_makes_it_last(blobs: Blobs, lane: Lane) -> None:
    name = blobs.put(DATA, 60)
    assert blobs.put(DATA, 600) == name
    assert lane.client.pttl(names.blob(name)) > 500_000


def test_what_was_dropped_is_gone(blobs: Blobs) -> None:
    put = [blobs.put(data, 60) for data in (b"a", b"b", b"c")]
    blobs.drop(*put[:2], "0" * DIGITS)
    blobs.drop()
    assert [blobs.get(name) for name in put] == [None, None, b"c"]


@pytest.mark.parametrize("other", [b"something else", DATA[:-1], DATA + b"!"])
def test_what_is_not_what_its_name_says_is_not_had(blobs: Blobs, lane: Lane, other: bytes) -> None:
    name = blobs.put(DATA, 60)
    lane.client.set(names.blob(name), other)
    assert blobs.get(name) is None


def test_no_more_is_read_than_was_asked_for(
    blobs: Blobs, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bytes(MAX_BLOB)
    assert blobs.get(blobs.put(whole, 60)) == whole
    name = blobs.put(DATA, 60)
    assert blobs.get(name, len(DATA)) == DATA
    assert blobs.get(name, len(DATA) - 1) is None
    read: list[int] = []
    getrange = lane.client.getrange

    def spy(key: str, start: int, end: int) -> bytes:
        found: bytes = getrange(key, start, end)  # type: ignore[assignment]
        read.append(len(found))
        return found

    lane.client.set(names.blob(name), bytes(3 * MAX_BLOB))
    monkeypatch.setattr(lane.client, "getrange", spy)
    assert blobs.get(name, 1000) is None
    assert read == [1001]


@pytest.mark.parametrize("data", [b"", bytes(MAX_BLOB + 1)], ids=["none", "too many"])
def test_none_and_too_many_bytes_are_refused(blobs: Blobs, data: bytes) -> None:
    with pytest.raises(UsageError, match=f"{len(data)} bytes cannot be kept .* give 1 to"):
        blobs.put(data, 60)


@pytest.mark.parametrize(
    "name", ["", "*", "0" * 31, "0" * 33, "A" * 32, "../" * 8, "0" * 31 + "\n"]
)
def test_what_is_no_name_is_refused(blobs: Blobs, name: str) -> None:
    for use in (blobs.get, blobs.drop, lambda each: blobs.keep(each, 1)):
        with pytest.raises(UsageError, match="names no blob: give the first 32"):
            use(name)


def test_a_broker_that_does_not_answer_or_refuses_is_said_to(lane: Lane, blobs: Blobs) -> None:
    name = name_of(DATA)
    lane.client.lpush(names.blob(name), b"a list")
    with pytest.raises(BrokerUnavailableError, match="WRONGTYPE"):
        blobs.get(name)
    away = Blobs(redis_client(settings("redis://127.0.0.1:1/0")))
    for use in (lambda: away.get(name), lambda: away.put(DATA, 1), lambda: away.keep(name, 1),
                lambda: away.drop(name)):  # fmt: skip
        with pytest.raises(BrokerUnavailableError, match="does not answer"):
            use()
