"""Few connections: small plans of hosted brokers have twenty.

Who in a process sends a command and takes its answer borrows a connection for so long, from
one pool for each broker; whatever the pool has more than one of is closed when it comes back.
Reads that wait, subscriptions and streams of commands hold connections of their own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError
from redis.retry import Retry

from p2c2g.messaging.parser import BoundedParser

#: What tells two pools apart; the other options of connections are the same for all of a process.
_MARKS = (
    "host", "port", "db", "username", "password", "socket_timeout", "socket_connect_timeout",
)  # fmt: skip

#: Seconds that Celery's commands wait for the broker, and a worker's own, so that they share.
PATIENCE = 5.0
_TIMEOUTS = ("socket_timeout", "socket_connect_timeout")
#: Seconds that a socket waits at least: none would mean not at all.
_LEAST = 0.01


def command_options() -> dict[str, Any]:
    """Return what holds for each connection that is borrowed for one command.

    It is tried again at once and once, for a connection that the broker has closed meanwhile.
    redis-py's own ten retries with growing pauses would find a broker that came back seconds
    late; who needs it asks again by their own clock.
    """
    return {
        "parser_class": BoundedParser,
        # Nobody introduces itself: in an open pool no login has the right to.
        "driver_info": None,
        "retry": Retry(NoBackoff(), 1),
        # Who was made a replica meanwhile: the name may be another server's by now.
        "retry_on_error": [ReadOnlyError],
    }


class SharedPool(redis.ConnectionPool):
    """A pool that keeps one idle connection; ``users`` counts those who have taken it."""

    users = 0

    def release(self, connection: Any) -> None:
        """Take a connection back, and close what is one too many."""
        super().release(connection)
        with self._lock:
            kept = [each for each in self._available_connections if each.is_connected][-1:]
            spare = [each for each in self._available_connections if each not in kept]
            self._available_connections[:] = kept
            self._created_connections -= len(spare)
        for each in spare:
            each.disconnect()


@contextmanager
def borrowed(pool: Any, seconds: float) -> Iterator[Any]:
    """Give a connection of a pool whose socket waits no longer than so many seconds.

    What fails closes it: a reply may still be on its way.
    """
    if any(each.is_connected for each in pool._available_connections[-1:]):
        connection = pool.get_connection()
    else:  # One of its own, since a pool's would be made with the pool's patience.
        patience = {name: max(seconds, _LEAST) for name in _TIMEOUTS}
        connection = pool.connection_class(**{**pool.connection_kwargs, **patience})
        pool = None
    try:
        if pool is None:
            connection.connect()
        connection._sock.settimeout(max(seconds, _LEAST))
        yield connection
        connection._sock.settimeout(connection.socket_timeout)
    except BaseException:
        connection.disconnect()
        raise
    finally:
        if pool is None:
            connection.disconnect()
        else:
            pool.release(connection)


class _Pools:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Weakly: who was never closed takes its connections along.
        self._pools: WeakValueDictionary[tuple[object, ...], SharedPool] = WeakValueDictionary()

    def take(self, options: Mapping[str, Any]) -> SharedPool:
        key = (
            *map(options.get, _MARKS),
            *sorted((name, str(options[name])) for name in options if name.startswith("ssl")),
        )
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                # Threads do not wait for each other: kombu would have ten at most.
                pool = self._pools[key] = SharedPool(**{**options, "max_connections": None})
            pool.users += 1
            return pool

    def give(self, pool: redis.ConnectionPool) -> None:
        if isinstance(pool, SharedPool):
            with self._lock:
                pool.users -= 1
                if pool.users > 0:
                    return
                for key in [key for key, each in self._pools.items() if each is pool]:
                    del self._pools[key]
        pool.disconnect()


_pools = _Pools()


def _renew() -> None:
    """Start a forked child without its parent's pools: a thread may have held their lock."""
    global _pools
    _pools = _Pools()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def take(options: Mapping[str, Any]) -> SharedPool:
    """Return this process's pool for a broker; each must be given back.

    Args:
        options: of a connection, as redis-py has them.
    """
    return _pools.take(options)


def give(pool: redis.ConnectionPool) -> None:
    """Give a pool back; its connections are closed by its last user, or where it is not shared."""
    _pools.give(pool)
