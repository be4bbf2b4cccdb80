"""Coordinators for tests: their settings, a clock that the test moves, and a client of one."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import httpx
from fastapi.testclient import TestClient
from limits.storage import memory
from pydantic import SecretStr

from p2c2g.coordinator import server
from p2c2g.coordinator.accounts import new_id
from p2c2g.coordinator.app import create_app
from p2c2g.coordinator.audit import Actor
from p2c2g.coordinator.keys import KeyRole, Scope
from p2c2g.coordinator.models import PrincipalRow
from p2c2g.coordinator.services import Services, opened
from p2c2g.settings import Settings
from tests.brokers import OpenRedis
from tests.lane import PATIENCE

#: Where nothing listens.
NOWHERE = "redis://127.0.0.1:1/0"
#: The coordinator's address, and its client's.
ADDRESS, CLIENT = "https://pool.example", "203.0.113.7"
TESTER = Actor("local:tester")


class Clock:
    """Seconds since 1970, as the test says."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def coordinator_settings(
    folder: Path, database: str | None = None, broker: str = NOWHERE, **fields: Any
) -> Settings:
    """Return the settings of a coordinator that keeps its data in a folder."""
    settings = Settings()
    settings.broker.use(broker)
    own = settings.coordinator.model_copy(update={"data": folder, **fields})
    own.database_url = SecretStr(database) if database else None
    settings.coordinator = own
    return settings


class Coordinator:
    """A coordinator that runs, and its parts.

    Args:
        client: asks it.
        clock: it goes by this.
        services: its parts; those of the client's application where None.
        address: where its client asks it.
    """

    def __init__(
        self,
        client: httpx.Client,
        clock: Clock,
        services: Services | None = None,
        address: str = ADDRESS,
    ) -> None:
        self.client = client
        self.clock = clock
        self.address = address
        self._services = services

    @property
    def services(self) -> Services:
        if self._services is not None:
            return self._services
        found: Services = self.client.app.state.services  # type: ignore[attr-defined]
        return found

    def key(
        self, role: KeyRole, account: str = "ada", *, scopes: set[Scope] | None = None, **how: Any
    ) -> str:
        """Make a key and return it."""
        return self.services.accounts.create_key(account, role, TESTER, scopes=scopes, **how)[1]

    def ask(self, method: str, path: str, key: str | None = None, **how: Any) -> Any:
        """Ask with a key, and return the answer."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return self.client.request(method, path, headers=headers, **how)


@contextmanager
def running(settings: Settings) -> Iterator[Coordinator]:
    """Run the application of a coordinator in this process, by a clock that the test moves.

    So is what it counts by the minute: a real minute may end between two requests of a test, and
    forgives some of what was asked in it.
    """
    clock = Clock()
    if settings.coordinator.database_url is not None:
        with opened_database(settings):
            pass
    app = create_app(settings, clock)
    with (
        patch.object(memory, "time", SimpleNamespace(time=clock)),
        TestClient(app, ADDRESS, client=(CLIENT, 50_000)) as client,
    ):
        yield Coordinator(client, clock)


@contextmanager
def at_a_port(settings: Settings) -> Iterator[str]:
    """Serve a coordinator from a thread, as its command does; give its address."""
    addresses, stops = Queue[str](), Queue[Callable[[], None]]()

    @contextmanager
    def stopping(stop: Callable[[], None]) -> Iterator[None]:
        stops.put(stop)
        yield

    settings.coordinator.listen_port = 0
    thread = Thread(target=server.serve, args=(settings, addresses.put, stopping))
    thread.start()
    try:
        yield addresses.get(timeout=PATIENCE)
    finally:
        if not stops.empty():
            stops.get()()
        thread.join(PATIENCE)


@contextmanager
def served(folder: Path, **fields: Any) -> Iterator[Coordinator]:
    """Serve one by TLS, with a TLS-only Redis; by a clock that the test moves."""
    with ExitStack() as stack:
        broker = OpenRedis(stack, folder)
        settings = coordinator_settings(
            folder / "data", broker=broker.url, tls_cert=folder / "coordinator.crt",
            tls_key=folder / "coordinator.key", **fields,
        )  # fmt: skip
        settings.broker.ca = broker.ca
        clock, parts = Clock(), Queue[Services]()

        @contextmanager
        def opening(settings: Settings) -> Iterator[Services]:
            with opened(settings, clock) as found:
                parts.put(found)
                yield found

        stack.enter_context(patch.object(server, "opened", opening))
        address = stack.enter_context(at_a_port(settings))
        trusted = ssl.create_default_context(cafile=broker.ca)
        client = httpx.Client(
            base_url=address, verify=trusted, trust_env=False, follow_redirects=True,
            timeout=PATIENCE,
        )  # fmt: skip
        with client:
            yield Coordinator(client, clock, parts.get(), address)


@contextmanager
def opened_database(
    settings: Settings, clock: Callable[[], float] | None = None
) -> Iterator[Services]:
    """Open a coordinator's parts, with its tables brought up to date."""
    from p2c2g.coordinator.database import Database

    database = Database.of(settings.coordinator)
    database.migrate()
    database.close()
    with opened(settings, clock or Clock()) as services:
        yield services


def add_principal(services: Services, role: str, account: str, **fields: Any) -> str:
    """Write down a peer or a gamer as if it had joined; return its id."""
    key, _ = services.accounts.create_key(account, KeyRole(role), TESTER)
    row = PrincipalRow(
        id=new_id(), role=role, account_id=key.account_id, key_id=key.id, digest=bytes(32),
        public_key="A" * 43 + "=" if role == "peer" else "",
        created=services.clock(), renewed=services.clock(), account=key.account, **fields,
    )  # fmt: skip
    with services.database.writing() as session:
        session.merge(row)
    # Keys of one that nobody knows would be removed at the broker.
    services.gate.settle([row.id])
    return row.id
