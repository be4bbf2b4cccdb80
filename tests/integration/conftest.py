"""A real broker, sessions' lanes and real workers for the integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer
from p2c2g.messaging.embedded import EmbeddedBroker
from tests.lane import Lane, settings
from tests.pool import MakeWorker, Pool, Worker
from tests.watchers import STATS, Serving


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """One broker for all tests that do not harm it."""
    with EmbeddedBroker() as started:
        yield started


@pytest.fixture
def lane(broker: EmbeddedBroker) -> Iterator[Lane]:
    """A session's side on an empty broker."""
    with Lane(settings(broker.url)) as opened:
        opened.client.flushall()
        opened.open()
        yield opened


@pytest.fixture
def worker(broker: EmbeddedBroker, lane: Lane, tmp_path: Path) -> Iterator[MakeWorker]:
    """Make workers: ``worker("-c", "8", url=…)`` returns one that answers."""
    with ExitStack() as stack:

        def make(*options: str, url: str = "", **keywords: Any) -> Worker:
            log = tmp_path / f"{keywords.get('name', 'w')}.log"
            made = Worker(lane.app, url or broker.url, log, *options, **keywords)
            stack.callback(made.kill)
            made.start()
            return made

        yield make


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    """A broker that a test may harm, and workers on it."""
    with Pool(tmp_path) as opened:
        yield opened


@pytest.fixture
def serving() -> Iterator[Serving]:
    """Serve a hub to viewers."""
    hub = Hub()
    viewer = ViewerServer(hub, lambda: STATS, clock=lambda: 10.05)
    url = viewer.start()
    yield Serving(hub, viewer, url)
    viewer.close()
