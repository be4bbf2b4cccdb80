"""A broker of its own and its peers, for tests that harm either."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from p2c2g.messaging.embedded import EmbeddedBroker
from tests.lane import Lane, Worker, settings

HONEST = "p2c2g"
LIAR = "tests.liar_app"


class Pool:
    """A broker and its peers."""

    def __init__(self, stack: ExitStack, broker: EmbeddedBroker, logs: Path) -> None:
        self._stack = stack
        self._logs = logs
        self.broker = broker
        self.lane = stack.enter_context(Lane(settings(broker.url)))
        self.client = self.lane.client
        self.client.delete(self.lane.stream)

    def peer(self, name: str, application: str = HONEST) -> Worker:
        worker = Worker(
            self.lane, self.broker.url, self._logs / f"{name}.log", "-Q", "cpu", "-c", "1",
            name=name, application=application,
        )  # fmt: skip
        self._stack.callback(worker.stop)
        worker.start()
        return worker

    def left(self) -> list[bytes]:
        """Return what is at the broker and belongs to a session or to nobody."""
        keys: list[bytes] = self.client.keys("*")  # type: ignore[assignment]
        # What peers tell of themselves, and sessions of peers, is for the next session.
        kept = (b"p2c2g.peers", b"p2c2g.beat.", b"p2c2g.health")
        ours = (b"celery-task-meta", b"_kombu", *kept)
        return [key for key in keys if not key.startswith(ours)]
