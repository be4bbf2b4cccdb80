"""``p2c2g keys``: the keys of an open pool, in the coordinator's database or by its API."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from p2c2g.commands.operating import (
    Afar,
    AtOption,
    JsonOption,
    KeyFileOption,
    day,
    here,
    local_actor,
)
from p2c2g.errors import UsageError
from p2c2g.text import plain

if TYPE_CHECKING:
    from p2c2g.coordinator.keys_api import MadeKey, ShownKey

app = typer.Typer(
    help="The keys of an open pool: on the coordinator's machine, or from afar with --at.",
    no_args_is_help=True,
)


@app.command()
def create(
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="Whose; made where there is none.")
    ],
    *,
    role: Annotated[str, typer.Option(metavar="ROLE", help="gamer, peer or operator.")],
    label: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    days: Annotated[
        float | None, typer.Option(metavar="N", help="Days until it expires; else never.")
    ] = None,
    uses: Annotated[
        int | None, typer.Option(metavar="N", help="How many machines it lets in; else any number.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="What it is for, if less than all; can be repeated."),
    ] = None,
    as_json: JsonOption = False,
    at: AtOption = None,
    key_file: KeyFileOption = None,
) -> None:
    """Make a key, and print it this once."""
    made = _Keys(at, key_file).create(
        {"account": account, "role": role, "label": label, "days": days, "uses": uses,
         "scopes": scope or None}
    )  # fmt: skip
    if as_json:
        typer.echo(made.model_dump_json(indent=1))
        return
    typer.echo(made.key)
    if sys.stderr.isatty():
        typer.echo(f"Its id is {made.id}. Nobody can read the key again: keep it.", err=True)


@app.command("list")
def list_keys(
    *, as_json: JsonOption = False, at: AtOption = None, key_file: KeyFileOption = None
) -> None:
    """List the keys, the newest first; never the keys themselves."""
    from rich.table import Table
    from rich.text import Text

    from p2c2g.commands.console import new_table_console

    keys = _Keys(at, key_file).list()
    if as_json:
        typer.echo(json.dumps([key.model_dump() for key in keys], indent=1))
        return
    table = Table("id", "account", "role", "for", "label", "made", "last used", "state", box=None)
    for key in keys:
        cells = (
            key.id, key.account, key.role, " ".join(key.scopes), key.label, day(key.created),
            day(key.last_used), _state(key),
        )  # fmt: skip
        table.add_row(*(Text(plain(cell)) for cell in cells))
    new_table_console().print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As p2c2g keys list shows it.")],
    *,
    at: AtOption = None,
    key_file: KeyFileOption = None,
) -> None:
    """End a key at once, and with it whom it let in."""
    _Keys(at, key_file).revoke(key_id)
    typer.echo(f"{key_id} is revoked.")


class _Keys:
    """Keys, wherever they are.

    Args:
        at: the coordinator's address; the database of this machine where None.
        key_file: holds an operator's key for that.
    """

    def __init__(self, at: str | None, key_file: Path | None) -> None:
        self._at = Afar.find(at, key_file)

    def create(self, fields: dict[str, object]) -> MadeKey:
        from p2c2g.coordinator.keys_api import MadeKey, NewKey, made
        from p2c2g.coordinator.problems import checked

        wanted = checked(NewKey, fields)
        if self._at is not None:
            with self._at.client() as client:
                return client.post("/v1/keys", self._at.key, wanted, MadeKey)
        with here() as services:
            return made(services.accounts, wanted, local_actor())

    def list(self) -> Sequence[ShownKey]:
        from p2c2g.coordinator.keys_api import ShownKey, ShownKeys

        if self._at is not None:
            with self._at.client() as client:
                return client.get("/v1/keys", self._at.key, ShownKeys).root
        with here() as services:
            return [ShownKey.of(row) for row in services.accounts.list_keys()]

    def revoke(self, key_id: str) -> None:
        if not re.fullmatch(r"[0-9A-Za-z]{12}", key_id):
            raise UsageError("A key's id is 12 letters and digits, as p2c2g keys list shows it.")
        if self._at is not None:
            with self._at.client() as client:
                client.delete(f"/v1/keys/{key_id}", self._at.key)
            return
        with here() as services:
            services.gate.settle(services.accounts.revoke(key_id, local_actor()))


def _state(key: ShownKey) -> str:
    if key.revoked is not None:
        return f"revoked {day(key.revoked)}"
    if key.expires is None:
        return "counts"
    is_over = key.expires <= datetime.now(UTC).timestamp()
    return f"{'expired' if is_over else 'counts until'} {day(key.expires)}"
