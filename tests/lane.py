"""What the lane's integration tests share: a session's side of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from p2c2g.messaging import envelope, names
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.client import redis_client
from p2c2g.settings import BrokerSettings, Settings

ROOT = Path(__file__).resolve().parents[1]
#: Seconds after which a test that waits has failed, even on a slow machine.
PATIENCE = 60.0
#: Milliseconds of one look at the stream.
LOOK_MS = 500


def by_port(url: str, port: int) -> str:
    """Return a broker's URL with another port, such as a delay proxy's."""
    head, _, _ = url.rpartition(":")
    return f"{head}:{port}/0"


class Lane:
    """A session's side of the lane: it sends chunks and sees every entry of its stream."""

    def __init__(self, settings: Settings, session: str = "s") -> None:
        self.broker = Broker(settings)
        self.app = self.broker.app
        # As patient as the tests, and not as a session, which gives up after a second.
        self.client = redis_client(settings, timeout=2 * PATIENCE)
        self.app.conf.include = []
        self.stream = names.results(session)
        self.session = session
        self._connection = self.app.connection_for_write()
        self.producer = self.app.amqp.Producer(self._connection)
        self._next = 0
        self._last: bytes | str = "0"
        self.entries: list[dict[bytes, bytes]] = []
        self.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.release()
        self.client.close()
        self.broker.close()

    def open(self) -> None:
        """Make the stream again and forget what was seen."""
        self.client.delete(self.stream)
        self.client.xgroup_create(self.stream, "test", id="$", mkstream=True)
        self._last, self.entries = "0", []

    def send(
        self,
        count: int = 1,
        seconds: float = 0.0,
        queue: str = "cpu",
        task: str = "lane.echo",
        payload: bytes = b"picture",
    ) -> list[str]:
        """Send chunks in one batch; return their task ids."""
        ids = []
        with self.producer.batch():
            for _ in range(count):
                self._next += 1
                ids.append(f"{self.session}.{self._next}.0")
                self.app.send_task(
                    task,
                    args=(seconds, payload),
                    task_id=ids[-1],
                    queue=Queue(queue, Exchange("", type="direct"), routing_key=queue),
                    declare=(),  # A plain list needs none, and it is a third of the call.
                    producer=self.producer,
                    argsrepr="chunk",
                    kwargsrepr="",
                    add_to_parent=False,
                )
        return ids

    def confirm(self) -> None:
        """Wait until the broker has everything that was sent."""
        self.producer.channel.stream.collect(leave=0)

    def push(self, item: bytes, queue: str = "cpu") -> None:
        """Put raw bytes into a queue."""
        self.client.lpush(names.queue_key(queue), item)

    def look(self, block_ms: int = LOOK_MS) -> None:
        """Wait for more entries of the stream, and keep them."""
        reply: Any = self.client.xread({self.stream: self._last}, block=block_ms)
        pairs = reply.items() if isinstance(reply, dict) else reply or ()
        for _, entries in pairs:
            # One more level of list in RESP3.
            rows = entries[0] if entries and isinstance(entries[0], list) else entries
            for identifier, fields in rows:
                self._last = identifier
                self.entries.append(fields)

    def done(self) -> list[str]:
        """Return the task ids of the entries so far, in order."""
        return [fields[b"id"].decode() for fields in self.entries]

    def wait(self, count: int) -> list[str]:
        """Wait until the stream has had ``count`` entries; return their task ids."""
        deadline = time.monotonic() + PATIENCE
        while len(self.entries) < count:
            self.look()
            assert time.monotonic() < deadline, (
                f"{len(self.entries)} of {count} results came; {self.queued()} are queued"
            )
        return self.done()

    def wait_for(self, ids: Iterable[str]) -> None:
        """Wait until all of these tasks are done."""
        missing = set(ids)
        deadline = time.monotonic() + PATIENCE
        while missing := missing - set(self.done()):
            self.look()
            assert time.monotonic() < deadline, f"no result of {sorted(missing)}"

    def wait_until(self, condition: Callable[[], Any]) -> None:
        """Wait for something that nobody tells, a look every 50 ms."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.look(50)
            assert time.monotonic() < deadline

    def round_trip(self, queue: str = "cpu", **options: Any) -> dict[bytes, bytes]:
        """Send one chunk, wait until it is done, and return its entry."""
        (sent,) = self.send(queue=queue, **options)
        self.wait_for([sent])
        return next(fields for fields in self.entries if fields[b"id"].decode() == sent)

    def round_trip_in_the_end(self, queue: str = "cpu") -> None:
        """Send chunks until one is done: the first may be lost with a connection."""
        deadline = time.monotonic() + PATIENCE
        sent: set[str] = set()
        while not sent & set(self.done()):
            assert time.monotonic() < deadline, "no result of any"
            with suppress(OperationalError):
                sent |= set(self.send(queue=queue))
            self.look()

    def queued(self, queue: str = "cpu") -> list[str]:
        """Return the task ids that are in a queue, the next to be read last."""
        items: Any = self.client.lrange(names.queue_key(queue), 0, -1)
        return [str(envelope.unpack(item)["headers"]["id"]) for item in items]

    def release_held(self, count: int) -> None:
        """Let ``count`` held tasks go."""
        self.client.rpush("gate", *(["go"] * count))

    def wait_started(self) -> str:
        """Wait until one more held task has started; return its id."""
        reply: Any = self.client.blpop(["started"], timeout=PATIENCE)
        assert reply is not None, "no held task has started"
        return str(reply[1].decode())


def settings(url: str, **broker: Any) -> Settings:
    """Return settings for a broker's URL."""
    return Settings(broker=BrokerSettings(url=url, **broker))


def connections(client: redis.Redis, command: str) -> Iterable[int]:
    """Return the ids of the broker's connections whose last command is ``command``."""
    rows: Any = client.client_list()
    return [int(row["id"]) for row in rows if row["cmd"].startswith(command)]
