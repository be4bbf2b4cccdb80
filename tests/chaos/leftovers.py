"""What a run has left behind: in this process, in the machine, and at the broker."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

import psutil
import redis

from p2c2g.messaging import names
from p2c2g.messaging.dispatcher import DIRECT_LIFETIME, QUEUE_LIFETIME
from p2c2g.peers import shared_breakers as shared
from p2c2g.peers import shared_health, versions
from p2c2g.peers.registry import Registry
from tests.chaos.workers import RESULT_LIFETIME

#: Seconds that what has been closed may take to be gone, on a machine that is busy.
SETTLE = 30.0
#: A thread that the package keeps for good, to start processes with.
_FORKER = "p2c2g-forker"
#: kombu's one list of when each table of bindings is overdue; each channel that opens sweeps it.
_DEADLINES = f"{names.celerys()}_kombu.binding_deadlines"
_BINDING = f"{names.celerys()}_kombu.binding."
#: Exchanges that it may name: those of remote control and its replies.
_TABLES = 2


@dataclass(frozen=True, slots=True)
class Belongings:
    """What this process has: names of threads, ids of children, and its sockets."""

    threads: frozenset[tuple[str, int | None]]
    children: frozenset[int]
    sockets: frozenset[tuple[object, ...]]

    @classmethod
    def now(cls) -> Self:
        """Look."""
        process = psutil.Process()
        return cls(
            frozenset(
                (thread.name, thread.ident)
                for thread in threading.enumerate()
                if not thread.name.startswith(_FORKER)
            ),
            frozenset(child.pid for child in process.children(recursive=True)),
            frozenset(
                (each.fd, each.laddr, each.raddr) for each in process.net_connections("inet")
            ),
        )

    def left_since(self) -> list[str]:
        """Say what there is now and was not then, once it has had time to go."""
        deadline = time.monotonic() + SETTLE
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.05)  # Nobody tells when the kernel has buried a process.
        return left

    def _left(self) -> list[str]:
        now = Belongings.now()
        return [
            *(f"the thread {name!r}" for name, _ in sorted(now.threads - self.threads, key=str)),
            *(f"the process {pid}" for pid in sorted(now.children - self.children)),
            *(f"the socket {each}" for each in sorted(now.sockets - self.sockets, key=str)),
        ]


def judge_keys(client: redis.Redis) -> tuple[list[str], list[str]]:
    """Look at every key of the broker, once its sessions and workers have ended.

    Returns:
        Those that are leaks, and those that are not, each with the reason.
    """
    _sweep_the_dead(client)
    left: list[str] = []
    kinds: Counter[str] = Counter()
    scan: Any = client.scan_iter(count=1000)
    for raw in sorted(scan):
        key = raw.decode(errors="replace")
        seconds: Any = client.ttl(raw)
        most, why = _allowed(key)
        if _is_swept(client, key):
            kinds[
                "of kombu's tables of bindings, which its next channel sweeps within an hour"
            ] += 1
        elif 0 <= seconds <= most:
            kinds[f"{why}, gone within {most} s"] += 1
        elif seconds != -2:  # It has gone meanwhile.
            kind: Any = client.type(raw)
            life = "for good" if seconds < 0 else f"for {seconds} s more"
            left.append(f"the broker keeps the {kind.decode()} {key!r} {life}")
    return left, [f"{count} {why}" for why, count in kinds.items()]


def _sweep_the_dead(client: redis.Redis) -> None:
    """Do what the next session or operator does: peers that were killed last are swept."""
    registry = Registry(client)
    deadline = time.monotonic() + SETTLE
    while (ids := registry.ids()) and time.monotonic() < deadline:
        registry.sweep(ids)
        time.sleep(0.05)  # Nobody tells when a beat has run out.


def _is_swept(client: redis.Redis, key: str) -> bool:
    """Tell whether kombu itself sweeps a key away, with a worker that was killed gone."""
    if key == _DEADLINES:
        return bool(client.zcard(key) <= _TABLES)
    exchange = key.removeprefix(_BINDING)
    return exchange != key and client.zscore(_DEADLINES, exchange) is not None


def _allowed(key: str) -> tuple[int, str]:
    """Return how long a key may last when nobody is there any more, and what it is."""
    if key.startswith(f"{names.celerys()}celery-task-meta-"):
        return RESULT_LIFETIME, "results for AsyncResult"
    if key in map(names.queue_key, names.CAPABILITIES):
        return QUEUE_LIFETIME, "capability queues"
    if key.endswith(names.own_queue("")):
        return DIRECT_LIFETIME, "peers' own queues"
    if key.startswith(names.queue_key(names.recall(""))):
        return 60, "recall lists of workers that lost their connection"
    if key == names.spoken():
        return versions.LIFETIME, "what sessions speak"
    if key == names.sessions() or key.startswith(names.health("")):
        return shared_health.LIFETIME, "words of sessions on their peers' health"
    if key == names.breakers():
        return shared.LIFETIME, "set of open breakers"
    return -1, ""


def judge_connections(client: redis.Redis) -> list[str]:
    """Say which connections the broker still has beside the one that asks."""
    deadline = time.monotonic() + SETTLE
    me = client.client_id()
    while True:
        rows: Any = client.client_list()
        others = [row for row in rows if int(row["id"]) != me]
        if not others or time.monotonic() > deadline:
            return [f"a connection to the broker ({row['name']} {row['cmd']})" for row in others]
        time.sleep(0.05)  # The broker buries a connection when its loop comes to it.
