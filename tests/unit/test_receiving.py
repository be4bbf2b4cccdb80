"""A worker tells foreign messages from its own faults."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from p2c2g.errors import OwnFaultError
from p2c2g.messaging.recalling import SOUND, SOURCE
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
        self._raw: dict[str, Any] = {SOURCE: "cpu", **({SOUND: True} if sound else {})}

    def ack(self) -> None:
        assert not self.acknowledged
        self.acknowledged = True


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


@pytest.mark.parametrize(
    "error", [RuntimeError("no threads"), KeyError("a"), AttributeError("b"), ValueError("c")]
)
def test_any_fault_of_its_own_in_a_row_ends_it(
    handler: Handler, channel: Channel, error: Exception
) -> None:
    receive = Receiving(handler)
    handler.error = error
    held = [Message(channel, sound=True) for _ in range(MAX_FAULTS)]
    for each in held[:-1]:
        receive(each)
    with pytest.raises(OwnFaultError, match=f"3 chunks in a row.*{type(error).__name__}"):
        receive(held[-1])
    assert all(each.acknowledged for each in held)
    assert not channel.refused


def test_one_that_begins_between_them_counts_anew(handler: Handler, channel: Channel) -> None:
    receive = Receiving(handler)
    for count in range(4 * MAX_FAULTS):
        handler.error = RuntimeError("now and then") if count % MAX_FAULTS else None
        receive(Message(channel, sound=True))


def test_any_number_of_foreign_messages_is_thrown_away(handler: Handler, channel: Channel) -> None:
    receive = Receiving(handler)
    handler.error = KeyError("id")
    for _ in range(10 * MAX_FAULTS):
        message = Message(channel, sound=False)
        receive(message)
        assert message.acknowledged
    assert channel.refused == [("cpu", "it is no task: KeyError: 'id'.")] * 30


@pytest.mark.parametrize("error", [RedisConnectionError("gone"), OSError("gone"), OwnFaultError()])
def test_a_lost_connection_is_nobodys_fault(
    handler: Handler, channel: Channel, error: Exception
) -> None:
    handler.error = error
    message = Message(channel, sound=False)
    with pytest.raises(type(error)):
        Receiving(handler)(message)
    assert not message.acknowledged
