"""A real broker, sessions' lanes and real workers for the integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer
from p2c2g.messaging.embedded import EmbeddedBroker
from tests.conftest import require
from tests.databases import empty, postgresql
from tests.lane import Lane, settings
from tests.pool import HONEST, MakeWorker, Pool, Worker, wait_until_known
from tests.watchers import STATS, Serving


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """One broker for all tests that do not harm it."""
    with EmbeddedBroker() as started:
        yield started


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return one in memory, where there is such: many who write would wait for a slow disk."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else None, prefix="p2c2g-test-") as name:
        yield Path(name)


@pytest.fixture
def lane(broker: EmbeddedBroker) -> Iterator[Lane]:
    """A session's side on an empty broker."""
    with Lane(settings(broker.url)) as opened:
        opened.client.flushall()
        opened.open()
        yield opened


@pytest.fixture
def worker(broker: EmbeddedBroker, lane: Lane, tmp_path: Path) -> Iterator[MakeWorker]:
    """Make workers: ``worker("-c", "8", url=…)`` returns one that answers.

    One of the pool's own application can be known to sessions, too.
    """
    with ExitStack() as stack:

        def make(*options: str, url: str = "", **keywords: Any) -> Worker:
            log = tmp_path / f"{keywords.get('name', 'w')}.log"
            made = Worker(lane.app, url or broker.url, log, *options, **keywords)
            stack.callback(made.kill)
            made.start()
            if keywords.get("application") == HONEST:
                wait_until_known(made, lane.client)
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


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """One PostgreSQL for all tests of the coordinator's."""
    require("postgres", "initdb", "pg_ctl")
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Name the coordinator's database: None for SQLite in its folder, or a PostgreSQL's URL."""
    if request.param == "sqlite":
        yield None
        return
    server = request.getfixturevalue("postgresql_server")
    empty(server)
    yield server
