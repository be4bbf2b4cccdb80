"""One run: a broker, many light peers in a few processes, and one session in another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from threading import Event
from time import monotonic
from typing import Any

import psutil
import redis

from benchmarks.child import Child, last_words
from p2c2g.errors import UnavailableError
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.messages import PeerState
from p2c2g.peers.registry import Registry
from p2c2g.settings import BrokerSettings, Settings
from tests.load.broker import LOOK_EVERY, Reading, await_empty, pending
from tests.load.gamer import NAME
from tests.load.terms import Terms
from tests.pool import Pool, used_seconds

#: Peers of one process at most: its interpreter serves them one after another.
CROWD = 50
#: Seconds that all peers have to be there, on a machine that is busy.
JOIN_TIMEOUT = 200.0
#: Commands that are told one by one; the rest is their sum.
TOLD = 8
MIB = 1 << 20


def crowds(peers: int) -> Iterator[tuple[int, int]]:
    """Give the first peer and the number of peers of each process: as equal as may be."""
    processes = -(-peers // CROWD)
    first = 0
    for index in range(processes):
        count = (peers - first) // (processes - index)
        yield first, count
        first += count


def run(terms: Terms, more: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Carry out one run; return its figures, with what is ``pending`` at its end.

    ``more`` is of the peers' environment.

    Raises:
        UnavailableError: a process ended, or the peers did not come.
    """
    with ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile())
        broker = stack.enter_context(EmbeddedBroker())
        client = redis_client(Settings(broker=BrokerSettings(url=broker.url)))
        stack.callback(client.close)
        process = int(client.info("server")["process_id"])
        gamer = stack.enter_context(Child("tests.load.gamer", broker.url, log))
        peers = []
        for first, count in crowds(terms.peers):
            peers.append(stack.enter_context(Child("tests.load.peers", broker.url, log, more)))
            peers[-1].say({"terms": terms.as_json(), "first": first, "count": count})
        for child in peers:
            child.answer()
        try:
            _await_peers(client, terms.peers)
        except UnavailableError as error:
            raise UnavailableError(f"{error} Their last words: {last_words(log)}") from error
        gamer.ask(terms.as_json())
        before = Reading.now(client, process, NAME), _used(peers), os.getloadavg()[0]
        gamer.answer()
        after = Reading.now(client, process, NAME), _used(peers), os.getloadavg()[0]
        memory = {
            "broker": psutil.Process(process).memory_info().rss,
            "peers": sum(psutil.Process(child.pid).memory_info().rss for child in peers),
        }
        report = gamer.ask("close")
        await_empty(client, terms.plan().queue)
        for child in peers:
            child.say("leave")
        left = [child.answer() for child in peers]
        return {
            **_figures(terms, report, before, after, memory),
            "strange": sum(each["strange"] for each in left),
            "served": sum(each["served"] for each in left),
            "failures": [failure for each in left for failure in each["failures"]],
            "pending": pending(client, terms.plan().queue),
            "report": report,
        }


def real_worker() -> dict[str, float]:
    """Start one real Celery worker; return its memory in MiB and seconds until it answers."""
    with Pool() as pool:
        began = monotonic()
        pool.grow(1)
        started = monotonic() - began
        process = pool.workers["peer1"].process
        assert process is not None
        worker = psutil.Process(process.pid)
        return {
            "start_s": round(started, 1),
            "rss_mib": round(worker.memory_info().rss / MIB, 1),
            "own_mib": round(worker.memory_full_info().uss / MIB, 1),
        }


def _await_peers(client: redis.Redis, count: int) -> None:
    registry = Registry(client)
    deadline = monotonic() + JOIN_TIMEOUT
    ready = 0
    while ready < count:
        if monotonic() > deadline:
            raise UnavailableError(f"{ready} of {count} peers were ready in {JOIN_TIMEOUT:g} s.")
        Event().wait(LOOK_EVERY)
        ready = sum(
            record.beat is not None and record.beat.state is PeerState.READY
            for record in registry.records()
        )


def _used(children: Sequence[Child]) -> float:
    return sum(used_seconds(child.pid) for child in children)


def _figures(
    terms: Terms,
    report: dict[str, Any],
    before: tuple[Reading, float, float],
    after: tuple[Reading, float, float],
    memory: dict[str, int],
) -> dict[str, Any]:
    """Return the table's figures: percent of one core, MiB, milliseconds."""
    seconds = after[0].at - before[0].at
    calls = after[0].calls - before[0].calls
    used = {
        "broker": after[0].cpu - before[0].cpu,
        "broker_waits": after[0].waited - before[0].waited,
        **report["cpu_s"],
        "peers": after[1] - before[1],
    }
    looks = report["rounds"]
    frames = report["frames"]
    return {
        "peers": terms.peers,
        "policy": terms.policy,
        "frames": frames,
        "complete": frames["complete"] / max(1, frames["captured"]),
        "latency_ms": report["latency_ms"],
        "cpu_percent": {name: round(each / seconds * 100, 1) for name, each in used.items()},
        "memory_mib": {
            name: round(each / MIB, 1)
            for name, each in {**memory, "session": report["memory"]}.items()
        },
        "registry": {
            **looks,
            "kib": round((after[0].keeping - before[0].keeping) / 1024 / max(1, looks["count"]), 1),
        },
        "commands_per_s": {
            "all": round(calls.total() / seconds, 1),
            **{name: round(count / seconds, 1) for name, count in calls.most_common(TOLD)},
        },
        "load": [round(before[2], 2), round(after[2], 2)],
    }
