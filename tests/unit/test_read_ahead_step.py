"""The worker's loop connects again where nothing but the probe notices that its channel is gone."""

from __future__ import annotations

import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.asynchronous import Hub
from redis.exceptions import ConnectionError as RedisConnectionError

from p2c2g_workers.read_ahead_step import ReadAhead, _reconnect


class ClosedChannel:
    """A channel that something has closed behind the worker's back."""

    closed = True

    def round_trip(self) -> float:
        raise RedisConnectionError("the channel is closed")

    def hang_up(self) -> None:
        pass


@pytest.fixture
def hub() -> Any:
    hub = Hub()
    yield hub
    hub.close()


def turn(hub: Any) -> None:
    """Let the loop turn once, as the worker does."""
    hub.propagate_errors = (RedisConnectionError,)
    next(hub.create_loop())


def test_a_channel_that_was_closed_makes_the_loop_connect_again(hub: Any) -> None:
    pool = SimpleNamespace(limit=1, uses_semaphore=True)
    step = ReadAhead(SimpleNamespace(pool=pool, hub=hub, steps=[]))
    step._probe(threading.Event(), None, ClosedChannel())
    with pytest.raises(RedisConnectionError, match="was closed"):
        turn(hub)


def test_one_that_has_connected_again_meanwhile_is_left_alone(hub: Any) -> None:
    ended = threading.Event()
    hub.call_soon(partial(_reconnect, ended))
    ended.set()
    hub.timer.call_after(0, int)
    turn(hub)
