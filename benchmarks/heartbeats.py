"""What a thousand peers' heartbeats cost the broker.

``python -m benchmarks.heartbeats --peers 1000 --seconds 10`` starts a broker, enrols so many
peers, each on a connection of its own as real ones are, and lets each beat once a second, their
moments spread evenly over it.  One process sends them all, one at a time: a beat is one round
trip, never several in a batch.  The broker's share of a core is read from its CPU time.

A session's look at all of them, beats and queues, is measured afterwards; the broker does
nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from dataclasses import dataclass

import redis
from rich.console import Console

from benchmarks.tables import Table, view
from p2c2g.errors import UnavailableError
from p2c2g.messaging.client import redis_client
from p2c2g.peers.messages import Beat, Capabilities, Enrolment, PeerState
from p2c2g.peers.registry import Registry
from tests.pool import Pool

#: The broker's share of a core that 1,000 peers may take, in percent.
TARGET = 10.0
#: Looks of a session at all peers.
LOOKS = 20
#: File descriptors beside the peers' connections.
SPARE_FILES = 200


@dataclass(frozen=True, slots=True)
class Figures:
    """What came out; ``behind`` is the seconds by which the last beat was late."""

    beats: int
    seconds: float
    broker_percent: float
    behind: float
    beat_ms: float
    look_ms: float
    look_bytes: int


class Pretended:
    """A peer's side of the registry, on a connection of its own."""

    def __init__(self, client: redis.Redis, number: int) -> None:
        self.id = f"peer{number}@host{number}"
        self._registry = Registry(client)
        self._enrolment = Enrolment(
            id=self.id,
            name=f"Peer {number}",
            region="eu",
            instance=f"{number:032x}",
            slots=8,
            queues=("cpu",),
            capabilities=Capabilities(cpu="A processor of some kind", cores=8, memory=1 << 34),
        )

    def enrol(self) -> None:
        """Join."""
        self._registry.enrol(self._enrolment, self._beat(0))

    def beat(self, count: int) -> None:
        """Beat once.

        Raises:
            UnavailableError: the broker has forgotten this peer, so it was too late.
        """
        if not self._registry.beat(self._enrolment, self._beat(count)).enrolled:
            raise UnavailableError(
                f"{self.id} was late by three beats: this machine is too slow for so many peers."
            )

    def _beat(self, count: int) -> Beat:
        return Beat(
            instance=self._enrolment.instance,
            state=PeerState.READY,
            load=0.421,
            in_flight=count % 8,
            served=25,
            seconds_per_chunk=0.0213 + count / 1e5,
            seconds_per_chunk_p95=0.0391,
            rtt=0.0204,
            uptime=float(count),
        )


def measure(peers: int, seconds: float, pool: Pool) -> Figures:
    """Let so many peers beat for so long at a pool's broker.

    Raises:
        UnavailableError: they cannot keep up.
    """
    clients = [redis_client(pool.settings()) for _ in range(peers)]
    for client in clients:
        client.ping()  # Connected before the first beat, since all of them take a while.
    pretended = [Pretended(client, number) for number, client in enumerate(clients)]
    for each in pretended:
        each.enrol()
    took: list[float] = []
    count, late = 0, 0.0
    pretended[0].beat(0)  # The broker learns the script.
    before, started = pool.cpu()["broker"], time.monotonic()
    while time.monotonic() - started < seconds:
        for each in pretended:
            due = started + count / peers
            now = time.monotonic()
            if now < due:
                time.sleep(due - now)
            late = max(late, now - due)
            sent = time.monotonic()
            each.beat(count // peers)
            took.append(time.monotonic() - sent)
            count += 1
    elapsed = time.monotonic() - started
    percent = 100 * (pool.cpu()["broker"] - before) / elapsed
    look, size = _look(clients[0], [each.id for each in pretended])
    for client in clients:
        client.close()
    return Figures(count, elapsed, percent, late, 1000 * statistics.median(took), 1000 * look, size)


def _look(client: redis.Redis, ids: list[str]) -> tuple[float, int]:
    """Return the median seconds of a look, and the bytes of the beats that it brings."""
    registry = Registry(client)
    took = []
    for _ in range(LOOKS):
        began = time.monotonic()
        pulses = registry.beats(ids)
        took.append(time.monotonic() - began)
    size = sum(len(pulse.beat.model_dump_json()) for pulse in pulses.values() if pulse.beat)
    return statistics.median(took), size


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="What peers' heartbeats cost the broker.")
    parser.add_argument("--peers", type=int, default=1000, help="peers that beat once a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long they beat")
    options = parser.parse_args()
    _allow_files(options.peers + SPARE_FILES)
    with Pool() as pool:
        got = measure(options.peers, options.seconds, pool)
    rows = [
        ("beats in the time", f"{got.beats} in {got.seconds:.1f} s"),
        (f"the broker, % of a core (target ≤ {TARGET:g})", f"{got.broker_percent:.1f}"),
        ("one beat, median ms", f"{got.beat_ms:.2f}"),
        ("latest beat, ms behind", f"{1000 * got.behind:.0f}"),
        ("a session's look at all of them, median ms", f"{got.look_ms:.1f}"),
        ("what a look brings, KiB", f"{got.look_bytes / 1024:.0f}"),
    ]
    title = f"{options.peers} peers, a beat a second each"
    Console().print(view(Table(title, ("measure", "figure"), rows)))


if __name__ == "__main__":
    main()
