"""``p2c2g coordinator``: the front door of a pool."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from p2c2g.settings import Settings

logger = logging.getLogger(__name__)

app = typer.Typer(help="The front door of a pool.", no_args_is_help=True)


@app.command()
def run(
    *,
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Where to listen; else 127.0.0.1."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=65_535, help="Its port, 0 for any; else 8770."),
    ] = None,
    cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its certificates for TLS, in PEM.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The key of the first, in PEM.")
    ] = None,
    own_pool: Annotated[
        bool,
        typer.Option(
            "--own-pool", help="Of a pool whose machines share the broker's password: Flower too."
        ),
    ] = False,
    development: Annotated[
        bool,
        typer.Option("--development", help="Let weak secrets and plain HTTP pass, to try it out."),
    ] = False,
) -> None:
    """Let peers and gamers in, and keep the broker's rights, until it is told to end.

    Settings are P2C2G_COORDINATOR_* and P2C2G_BROKER_*, and PORT where a host of applications sets
    it. The first start makes an operator's key.
    """
    from p2c2g.commands.options import stopping_at_signals
    from p2c2g.coordinator.server import serve
    from p2c2g.logs import configure
    from p2c2g.settings import load

    settings = load()
    configure(settings.log, "coordinator")
    own = settings.coordinator
    _as_the_host_wants(settings)
    own.pool = "own" if own_pool else own.pool
    own.listen_host = own.listen_host if host is None else host
    own.listen_port = own.listen_port if port is None else port
    own.tls_cert = own.tls_cert if cert is None else cert
    own.tls_key = own.tls_key if key is None else key
    own.development = own.development or development

    def say(address: str) -> None:
        for sentence in _lost_with_the_machine(settings):
            logger.warning("%s", sentence)
        typer.echo(f"The coordinator is at {address}")

    serve(settings, say, stopping_at_signals)


@app.command()
def migrate() -> None:
    """Bring the database to what this version needs; SQLite's is by itself at the start."""
    from p2c2g.settings import load

    _migrate(load())


@app.command()
def release() -> None:
    """Migrate, before a host of applications starts a new version.

    A runner of a Procfile starts it beside all others, and ends them where one ends: there it then
    waits to be ended.
    """
    from threading import Event

    from p2c2g.commands.options import stopping_at_signals
    from p2c2g.settings import load

    settings = load()
    _migrate(settings)
    if settings.host.process and not settings.host.name:
        ended = Event()
        with stopping_at_signals(ended.set):
            ended.wait()


def _migrate(settings: Settings) -> None:
    from p2c2g.coordinator.database import Database

    database = Database.of(settings.coordinator)
    try:
        database.migrate()
    finally:
        database.close()
    typer.echo("The database is what this version needs.")


def _as_the_host_wants(settings: Settings) -> None:
    """Listen where the host's router asks, and believe it; what is set by ours goes before.

    A router is the only way to a process there.  A runner of a Procfile on one's own machine sets
    PORT as well, and has no router: there it stays this machine's alone.
    """
    from p2c2g.settings import hosts

    own, host = settings.coordinator, settings.host
    given = own.model_fields_set
    port = None if "listen_port" in given else host.listen_port()
    if port is not None:
        own.listen_port = port
    if port is None or not host.name:
        return
    if "listen_host" not in given:
        own.listen_host = "0.0.0.0"  # noqa: S104 - its router has the only way to it
    own.trusted_proxies = own.trusted_proxies or hosts.ROUTERS
    own.public_url = own.public_url or host.address


def _lost_with_the_machine(settings: Settings) -> list[str]:
    """Return what is missing where a host gives a new machine whenever it likes."""
    own, name = settings.coordinator, settings.host.name
    if not name:
        return []
    said = []
    if own.database_url is None and own.database_url_file is None:
        said.append(
            f"Keys and the audit log are in a file that {name} drops with this process: add a "
            "PostgreSQL, whose DATABASE_URL is used."
        )
    if own.secret is None and own.secret_file is None:
        said.append(
            f"The secret is in a file that {name} drops with this process, and every key with it: "
            "set P2C2G_COORDINATOR_SECRET to 64 random digits in hex."
        )
    return said
