"""A worker tells foreign messages from its own faults."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state
from redis.exceptions import ConnectionError as RedisConnectionError

from p2c2g.errors import OwnFaultError, WireError
from p2c2g.messaging.recalling import SESSION, SOUND, SOURCE
from p2c2g_workers.receiving import MAX_FAULTS, Receiving


class Channel:
    def __init__(self) -> None:
        self.refused: list[tuple[str, str]] = []

    def refuse(self, queue: str, reason: str) -> None:
        self.refused.append((queue, reason))


class Message:
    def __init__(self, channel: Channel, *, sound: bool) -> None:
        self.channel = channel
        self.headers = {"id": "s.1.0"}
        self.acknowledged = False
        self._decoded_cache: object = None
        self._raw: dict[str, Any] = {SOURCE: "cpu", **({SOUND: True} if sound else {})}

    def ack(self) -> None:
        assert not self.acknowledged
        self.acknowledged = True


BODY: list[Any] = [[b"header", b"picture"], {}, {}]


def read(_message: object, _queue: str) -> tuple[list[Any], str]:
    return BODY, "s"


class Handler:
    """Raises what it is told."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __call__(self, message: object) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def channel() -> Channel:
    return Channel()


def test_what_was_read_is_what_celery_begins_with(handler: Handler, channel: Channel) -> None:
    message = Message(channel, sound=False)
    Receiving(handler, read)(message)
    assert message._decoded_cache is BODY
    assert message._raw[SESSION] == "s"


def test_what_the_queue_does_not_carry_is_refused_before_celery_sees_it(
    handler: Handler, channel: Channel
) -> None:
    def refuse(_message: object, queue: str) -> tuple[list[Any], str]:
        raise WireError(f"its task is no task of {queue}")

    handler.error = AssertionError("it saw it")
    message = Message(channel, sound=False)
    Receiving(handler, refuse)(message)
    assert message.acknowledged
    assert channel.refused == [("cpu", "it is no task: its task is no task of cpu.")]


@pytest.mark.parametrize(
    "error", [RuntimeError("no threads"), KeyError("a"), AttributeError("b"), ValueError("c")]
)
def test_any_fault_of_its_own_in_a_row_ends_it(
    handler: Handler, channel: Channel, error: Exception
) -> None:
    receive = Receiving(handler, read)
    handler.error = error
    held = [Message(channel, sound=True) for _ in range(MAX_FAULTS)]
    for each in held[:-1]:
        receive(each)
    with pytest.raises(OwnFaultError, match=f"3 chunks in a row.*{type(error).__name__}"):
        receive(held[-1])
    assert all(each.acknowledged for each in held)
    assert not channel.refused


def test_one_that_begins_between_them_counts_anew(handler: Handler, channel: Channel) -> None:
    receive = Receiving(handler, read)
    for count in range(4 * MAX_FAULTS):
        handler.error = RuntimeError("now and then") if count % MAX_FAULTS else None
        receive(Message(channel, sound=True))


def test_any_number_of_foreign_messages_is_thrown_away(handler: Handler, channel: Channel) -> None:
    receive = Receiving(handler, read)
    handler.error = KeyError("id")
    for _ in range(10 * MAX_FAULTS):
        message = Message(channel, sound=False)
        receive(message)
        assert message.acknowledged
    assert channel.refused == [("cpu", "it is no task: KeyError: 'id'.")] * 30


def test_what_another_message_began_by_the_same_id_goes_on(channel: Channel) -> None:
    """A stranger can write any id: a worker that is told to end would not wait for the chunk."""

    def refuse(_message: object, _queue: str) -> tuple[list[Any], str]:
        raise WireError("no chunk")

    running = SimpleNamespace(id="s.1.0", message=object())
    state.requests["s.1.0"] = running
    try:
        Receiving(lambda _: None, refuse)(Message(channel, sound=False))
        assert state.requests["s.1.0"] is running
    finally:
        del state.requests["s.1.0"]


@pytest.mark.parametrize("error", [RedisConnectionError("gone"), OSError("gone"), OwnFaultError()])
def test_a_lost_connection_is_nobodys_fault(
    handler: Handler, channel: Channel, error: Exception
) -> None:
    handler.error = error
    message = Message(channel, sound=False)
    with pytest.raises(type(error)):
        Receiving(handler, read)(message)
    assert not message.acknowledged
