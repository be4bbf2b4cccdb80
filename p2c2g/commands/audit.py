"""``p2c2g audit``: who changed what in an open pool."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated

import typer

from p2c2g.errors import UsageError
from p2c2g.text import plain

app = typer.Typer(
    help="Who changed what in an open pool; on the coordinator's machine.", no_args_is_help=True
)


@app.command()
def verify(
    *,
    noted: Annotated[
        str | None,
        typer.Option(
            metavar="ROWS:HASH", help="What this command said earlier: nothing before may be gone."
        ),
    ] = None,
) -> None:
    """Check that no row was changed, taken out or put in, and say how far the log goes.

    Note what it says elsewhere: who cuts rows off at the end is found by that alone.
    """
    from p2c2g.coordinator.audit import Head
    from p2c2g.coordinator.services import opened
    from p2c2g.settings import load

    head = None
    if noted is not None:
        found = re.fullmatch(r"(\d{1,15}):([0-9a-f]{64})", noted)
        if found is None:
            raise UsageError("--noted needs what p2c2g audit verify said, such as 12:8f0c…")
        head = Head(int(found[1]), found[2])
    with opened(load()) as services, services.database.reading() as session:
        verified = services.audit.verify(session, head)
    typer.echo(f"{verified.rows}:{verified.hash}")


@app.command("list")
def list_rows(
    *,
    last: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="How many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the last rows, the newest at the end."""
    from rich.table import Table
    from rich.text import Text

    from p2c2g.commands.console import new_table_console
    from p2c2g.coordinator.services import opened
    from p2c2g.settings import load

    with opened(load()) as services, services.database.reading() as session:
        rows = services.audit.newest(session, last)[::-1]
    if as_json:
        told = [
            {
                "n": row.n, "at": row.at, "actor": row.actor, "address": row.address,
                "action": row.action, "subject": row.subject, "details": json.loads(row.details),
            }
            for row in rows
        ]  # fmt: skip
        typer.echo(json.dumps(told, indent=1))
        return
    table = Table("", "when (UTC)", "who", "from", "did", "to", "details", box=None)
    for row in rows:
        when = datetime.fromtimestamp(row.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        cells = (str(row.n), when, row.actor, row.address, row.action, row.subject, row.details)
        table.add_row(*(Text(plain(cell)) for cell in cells))
    new_table_console().print(table)
