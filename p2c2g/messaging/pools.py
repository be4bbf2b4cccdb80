"""Few connections: small plans of hosted brokers have twenty.

Whoever in a process sends a command and takes its answer borrows a connection for so long, from
one pool for each broker; whatever the pool has more than one of is closed when it comes back.
Reads that wait, subscriptions and streams of commands hold connections of their own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

import redis

#: What tells two pools apart; the other options of connections are the same for all of a process.
_MARKS = (
    "host", "port", "db", "username", "password", "socket_timeout", "socket_connect_timeout",
)  # fmt: skip


class SharedPool(redis.ConnectionPool):
    """A pool that keeps one idle connection; ``users`` counts those who have taken it."""

    users = 0

    def release(self, connection: Any) -> None:
        """Take a connection back, and close what is one too many."""
        super().release(connection)
        with self._lock:
            spare = self._available_connections[:-1]
            del self._available_connections[:-1]
            self._created_connections -= len(spare)
        for each in spare:
            each.disconnect()


class _Pools:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: dict[tuple[object, ...], SharedPool] = {}

    def take(self, options: Mapping[str, Any]) -> SharedPool:
        key = (
            *map(options.get, _MARKS),
            *sorted((name, str(options[name])) for name in options if name.startswith("ssl")),
        )
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = SharedPool(**options)
            pool.users += 1
            return pool

    def give(self, pool: redis.ConnectionPool) -> None:
        if isinstance(pool, SharedPool):
            with self._lock:
                pool.users -= 1
                if pool.users > 0:
                    return
                self._pools = {key: each for key, each in self._pools.items() if each is not pool}
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
    """Give a pool back; its connections are closed with its last user, or if it is no shared one."""
    _pools.give(pool)
