"""What a broker and the kernel tell of a run: commands, bytes, waits, and what is left."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Self

import redis

from p2c2g.messaging import names
from tests.pool import used_seconds

#: Seconds that what a session and its peers leave may take to be gone, and between two looks.
SETTLE, LOOK_EVERY = 30.0, 0.05
#: The command by which a session waits for results: not part of its housekeeping.
_READ = "xreadgroup"
#: How a peer's own queue ends.
_OWN = names.own_queue("")


@dataclass(frozen=True, slots=True)
class Reading:
    """Where a broker's counters stand.

    ``cpu`` and ``waited`` for a core in seconds; ``calls`` by command; ``keeping`` the bytes,
    both ways, of the connections by which sessions do their housekeeping.
    """

    at: float
    cpu: float
    waited: float
    calls: Counter[str]
    keeping: int

    @classmethod
    def now(cls, client: redis.Redis, process: int, session: str) -> Self:
        """Read them.

        Args:
            client: of the broker.
            process: its process id.
            session: the name of the session's connections.
        """
        stats: Any = client.info("commandstats")
        rows: Any = client.client_list()
        return cls(
            at=monotonic(),
            cpu=used_seconds(process),
            waited=waited_seconds(process),
            calls=Counter(
                {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}
            ),
            keeping=sum(
                int(row["tot-net-in"]) + int(row["tot-net-out"])
                for row in rows
                if row["name"] == session and row["cmd"] != _READ
            ),
        )


def waited_seconds(process: int) -> float:
    """Return the seconds for which a process's threads, together, wanted a core and had none.

    Linux tells; 0 elsewhere.
    """
    waited = 0
    for path in Path(f"/proc/{process}/task").glob("*/schedstat"):
        with suppress(OSError):  # It has ended meanwhile.
            waited += int(path.read_text().split()[1])
    return waited / 1e9


def await_empty(client: redis.Redis, queue: str) -> None:
    """Wait until nothing is in a queue, nor in any peer's own, or nobody seems to take it.

    What a peer has in its own when it leaves goes to the other queue, which nobody may read then.
    """
    deadline = monotonic() + SETTLE
    while _waits(client, queue) and monotonic() < deadline:
        Event().wait(LOOK_EVERY)


def _waits(client: redis.Redis, queue: str) -> bool:
    own = client.scan_iter(match=f"*{_OWN}", count=1000)
    return bool(client.llen(names.queue_key(queue))) or any(True for _ in own)


def pending(client: redis.Redis, queue: str, settle: float = SETTLE) -> list[str]:
    """Say what is pending or left for good, once every session and every peer has gone.

    It is nothing where all went well: no peer in the registry, no queue, no stream, and no key
    without an end.

    Args:
        client: of the broker.
        queue: the capability queue.
        settle: seconds that things have to be gone.
    """
    deadline = monotonic() + settle
    while (left := _left(client, queue)) and monotonic() < deadline:
        Event().wait(LOOK_EVERY)
    return left


def _left(client: redis.Redis, queue: str) -> list[str]:
    left = []
    keys: Any = client.scan_iter(count=1000)
    for raw in sorted(keys):
        key = raw.decode(errors="replace")
        seconds: Any = client.ttl(raw)
        if (
            key in (names.peers(), names.queue_key(queue))
            or key.endswith(_OWN)
            or names.is_results(key)
        ):
            left.append(f"{key} is still there")
        elif seconds == -1:
            left.append(f"{key} has no end")
    return left
