"""The coordinator as uvicorn serves it: where it may be reached, and how it starts and drains."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

from starlette.types import ASGIApp, Receive, Scope, Send

from p2c2g.coordinator import doorkeeper
from p2c2g.coordinator.app import create_app
from p2c2g.coordinator.services import make_first_key, opened
from p2c2g.coordinator.sockets import WS_MAX_SIZE
from p2c2g.display.door import Door, Limits, network_of
from p2c2g.display.serving import GuardedConfig, Server, listen
from p2c2g.errors import UsageError
from p2c2g.settings import Settings
from p2c2g.settings.addresses import is_loopback
from p2c2g.settings.coordinator import CoordinatorSettings, split

#: Seconds for which requests that were begun may still be answered when it is to end.
DRAIN_SECONDS = 10
#: How many of the connections one network may have, and how many are for this machine.
_OF_A_NETWORK, _OWN = 4, 16

Stopping: TypeAlias = Callable[[Callable[[], None]], AbstractContextManager[None]]


def serve(settings: Settings, say: Callable[[str], None], stopping: Stopping) -> None:
    """Serve until it is enough, and answer what was asked by then.

    Args:
        settings: its own, and the broker's with the operator's login.
        say: told the address, once it answers.
        stopping: gives a block in which signals call what it is given.

    Raises:
        UsageError: it may not, or cannot, be started so; the sentence says what would be right.
        DatabaseUnavailableError: the database does not answer.
        BrokerRefusesError: the broker is none for an open pool.
    """
    own = settings.coordinator
    check_exposure(own)
    with opened(settings) as services:
        if own.pool == "open":
            doorkeeper.check(services)
        make_first_key(services)
        listener = listen(own.listen_host, own.listen_port)
        with listener:
            config = _Config(create_app(settings, services=services), own)
            server = _Server(config, lambda: say(_address(own, listener)))
            with stopping(server.stop):
                server.run(sockets=[listener])


def check_exposure(own: CoordinatorSettings) -> None:
    """Refuse to be reached in a way in which keys could be read on the way.

    Raises:
        UsageError: it would; or a certificate is there without its key, or cannot be read.
    """
    for name, file in (("CERT", own.tls_cert), ("KEY", own.tls_key)):
        if file is not None and not _is_readable(file):
            raise UsageError(
                f"P2C2G_COORDINATOR_TLS_{name} names {str(file)!r}, which cannot be read: give a "
                "file in PEM; p2c2g certs dev makes one for trying out."
            )
    if (own.tls_cert is None) != (own.tls_key is None):
        raise UsageError(
            "TLS needs both P2C2G_COORDINATOR_TLS_CERT and P2C2G_COORDINATOR_TLS_KEY: one is "
            "missing."
        )
    is_safe = own.tls_cert is not None or own.trusted_proxies or is_loopback(own.listen_host)
    if not is_safe and not own.development:
        raise UsageError(
            f"At {own.listen_host} keys could be read on the way: set P2C2G_COORDINATOR_TLS_CERT "
            "and P2C2G_COORDINATOR_TLS_KEY, or name the proxy that ends TLS in front of it as "
            "P2C2G_COORDINATOR_TRUSTED_PROXIES."
        )


class _Config(GuardedConfig):
    """uvicorn's configuration of a coordinator."""

    def __init__(self, application: ASGIApp, own: CoordinatorSettings) -> None:
        proxies = split(own.trusted_proxies)
        most = own.max_connections
        # Behind a proxy all come from one network.
        of_a_network = most if proxies else max(1, most // _OF_A_NETWORK)
        limits = Limits(most, of_a_network, max(1, most // _OWN))
        door = Door(limits, map(network_of, proxies))
        super().__init__(_with_seats(application, door), door, limits)
        self.ws_max_size = WS_MAX_SIZE
        self.lifespan = "on"
        self.timeout_graceful_shutdown = DRAIN_SECONDS
        if own.tls_cert is not None:
            self.ssl_certfile, self.ssl_keyfile = own.tls_cert, own.tls_key


def _with_seats(application: ASGIApp, door: Door) -> ASGIApp:
    """Let an application say that a WebSocket is welcome, so that it need not go for others.

    A proxy that is trusted changes a request's address afterwards, and the door knows the real one.
    """

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            scope["state"]["stay"] = partial(door.watches, scope["client"])
        await application(scope, receive, send)

    return told


class _Server(Server):
    """uvicorn, which leaves signals to who runs it, and says when it answers."""

    def __init__(self, config: _Config, answers: Callable[[], None]) -> None:
        super().__init__(config)
        self._answers = answers

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: uvicorn's own would end the process by the signal once it has drained."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        await super().startup(sockets)
        self._answers()

    def stop(self) -> None:
        """Have it drain and end; safe in a signal's handler."""
        self.should_exit = True


def _address(own: CoordinatorSettings, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    place = f"[{local}]" if ":" in local else local
    scheme = "http" if own.tls_cert is None else "https"
    return own.public_url or f"{scheme}://{place}:{port}{own.root_path}"


def _is_readable(file: Path) -> bool:
    try:
        with file.open("rb"):
            return True
    except OSError:
        return False
