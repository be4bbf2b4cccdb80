"""``p2c2g certs``: certificates for trying out a pool over TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from p2c2g.errors import UsageError

app = typer.Typer(help="Certificates for trying out a pool over TLS.", no_args_is_help=True)

#: Whose certificates are made.
SERVERS = ("coordinator", "redis")


@app.callback()
def _root() -> None:
    """Hold the group together: it has one command so far."""


@app.command()
def dev(
    *,
    host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name or an address by which members reach this machine; can be repeated.",
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--dir", metavar="FOLDER", help="Where they are written.")
    ] = Path("certs"),
    days: Annotated[
        int, typer.Option(metavar="N", min=1, max=365, help="Days for which servers' are valid.")
    ] = 90,
    authority_days: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=3650, help="Days for which a new authority is valid."),
    ] = 365,
) -> None:
    """Make an authority of one's own, and certificates for the coordinator and the broker.

    For development, and for pools of a few who know each other: each member has to be given ca.crt.
    Again, it makes new certificates by the same authority.
    """
    from datetime import UTC, datetime

    from p2c2g.system.certificates import Authority, Pair

    now = datetime.now(UTC)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        pair = Pair.in_folder(folder, "ca")
        authority, is_new = Authority.at(pair, now, authority_days)
        for name in SERVERS:
            authority.issue(Pair.in_folder(folder, name), host or (), now, days)
    except OSError as error:
        raise UsageError(
            f"{str(folder)!r} cannot hold certificates ({error.strerror}): give a folder of yours "
            "by --dir."
        ) from error
    reached = host[0] if host else "localhost"
    made = "A new authority" if is_new else "The authority that was there"
    typer.echo(
        f"{made} ({pair.certificate}) has signed for {', '.join(SERVERS)}, in {folder}.\n"
        "Next:\n"
        f"  1. Redis: tls-cert-file {folder / 'redis.crt'}, tls-key-file {folder / 'redis.key'} "
        "(docs/pools.md has a whole redis.conf).\n"
        f"  2. p2c2g coordinator run --host 0.0.0.0 --cert {folder / 'coordinator.crt'} --key "
        f"{folder / 'coordinator.key'}\n"
        f"  3. Give {pair.certificate} to each member, who names it as P2C2G_POOL_CA and joins "
        f"https://{reached}:8770.\n"
        f"Keep {pair.key} to yourself: who has it can be any server for your members."
    )
