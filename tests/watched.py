"""A coordinator that serves, sessions that it shows, and viewers of them, all over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from p2c2g.coordinator.services import FIRST_KEY
from p2c2g.display.hub import Hub
from p2c2g.display.relay import Relay
from p2c2g.joining.address import PoolAddress
from p2c2g.joining.lease import play
from p2c2g.settings.membership import Membership
from tests.coordinators import at_a_port, coordinator_settings
from tests.watchers import PATIENCE, STATS, Client

TOKEN = "t" * 32


class Site:
    """A coordinator's address, and its operator's key."""

    def __init__(self, address: str, operator: str) -> None:
        self.address = address
        self.operator = operator

    def key(self, account: str, role: str = "gamer") -> str:
        """Make a key."""
        made = httpx.post(
            f"{self.address}/v1/keys",
            json={"account": account, "role": role},
            headers={"Authorization": f"Bearer {self.operator}"},
            trust_env=False,
            timeout=PATIENCE,
        )
        assert made.status_code == 201, made.text
        return str(made.json()["key"])

    def join(self, account: str = "ada") -> Membership:
        """Have an account play."""
        return play(PoolAddress(self.address), "desk", self.key(account))

    @contextmanager
    def browser(self, key: str | None = None) -> Iterator[httpx.Client]:
        """Open a browser, signed in by a key."""
        with httpx.Client(base_url=self.address, trust_env=False, timeout=PATIENCE) as browser:
            if key is not None:
                answer = browser.post(
                    "/sign-in", data={"key": key}, headers={"Sec-Fetch-Site": "same-origin"}
                )
                assert answer.status_code == 303, answer.text
            yield browser

    def page(self, session: str) -> str:
        return f"{self.address}/s/{session}/"

    def socket(self, session: str, query: str = f"?token={TOKEN}") -> str:
        return f"{self.page(session).replace('http', 'ws', 1)}ws{query}"

    @contextmanager
    def viewer(
        self, session: str, query: str = f"?token={TOKEN}", *, draws: bool = True, **how: Any
    ) -> Iterator[Client]:
        """Watch a session."""
        with opened(self.socket(session, query), max_size=None, **how) as connection:
            client = Client(connection)
            client.wish(draws=draws)
            yield client


def opened(address: str, **how: Any) -> ClientConnection:
    """Open a socket, however long a busy machine takes."""
    return connect(address, proxy=None, open_timeout=PATIENCE, **how)


@contextmanager
def serving(folder: Path, broker: str, **fields: Any) -> Iterator[Site]:
    """Serve a coordinator from a thread."""
    often = dict.fromkeys(
        ("requests_per_minute", "joins_per_minute", "logins_per_minute", "sessions_per_account"),
        10**6,
    )
    settings = coordinator_settings(folder, broker=broker, **often | fields)
    with at_a_port(settings) as address:
        yield Site(address, (folder / FIRST_KEY).read_text().strip())


class Playing:
    """A session that can be watched: its pictures are published by the test."""

    def __init__(self, membership: Membership) -> None:
        self.id = membership.id
        self.membership = membership
        self.hub = Hub()
        self.said: list[str] = []
        self.relay = Relay(
            self.hub, lambda: STATS, membership, TOKEN, self.said.append, clock=lambda: 10.05
        )


@contextmanager
def playing(membership: Membership) -> Iterator[Playing]:
    """Have a session be watchable."""
    session = Playing(membership)
    session.relay.start()
    assert session.relay.known.wait(PATIENCE), session.said
    try:
        yield session
    finally:
        session.relay.close()
