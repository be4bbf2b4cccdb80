"""``p2c2g nets``: the nets that this gamer's games have."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from p2c2g.errors import UsageError

if TYPE_CHECKING:
    from p2c2g.nets.store import OwnNet

app = typer.Typer(help="The nets that p2c2g train made for your games.", no_args_is_help=True)

GameArgument = Annotated[str, typer.Argument(metavar="GAME", help="The game's name.")]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("list")
def list_nets(*, as_json: JsonOption = False) -> None:
    """List the games that have nets, and their nets."""
    from rich.table import Table

    from p2c2g.commands.console import new_table_console
    from p2c2g.nets.store import NetStore

    store = NetStore()
    nets = [net for game in store.games() for net in store.find(game)]
    if as_json:
        typer.echo(json.dumps([_as_json(net) for net in nets], indent=1))
        return
    if not nets:
        typer.echo("No game has a net yet: p2c2g train --game NAME makes one.")
        return
    table = Table("game", "net", "weights", "KB", "made", box=None)
    for net in nets:
        file = net.path.stat()
        made = datetime.fromtimestamp(file.st_mtime).strftime("%Y-%m-%d %H:%M")
        table.add_row(net.game, net.method, net.name, f"{file.st_size / 1e3:.0f}", made)
    new_table_console().print(table)


@app.command()
def show(game: GameArgument, *, as_json: JsonOption = False) -> None:
    """Show the cards of a game's nets: what taught them, and their figures."""
    nets = _nets(game)
    if as_json:
        typer.echo(json.dumps([_as_json(net) for net in nets], indent=1))
        return
    for net in nets:
        typer.echo(f"{net.method} {net.name} {net.path}")
        typer.echo(json.dumps(net.card, indent=1))


@app.command()
def drop(game: GameArgument) -> None:
    """Remove a game's nets from this machine."""
    from p2c2g.nets.store import NetStore

    count = len(_nets(game))
    NetStore().drop(game)
    typer.echo(f"Removed {count} net{'s' if count > 1 else ''} of {game}.")


def _nets(game: str) -> tuple[OwnNet, ...]:
    from p2c2g.nets.store import NetStore

    store = NetStore()
    nets = store.find(game)
    if not nets:
        games = ", ".join(store.games()) or "none"
        raise UsageError(f"There is no net of {game}: the games that have some are {games}.")
    return nets


def _as_json(net: OwnNet) -> dict[str, object]:
    return {
        "game": net.game,
        "method": net.method,
        "name": net.name,
        "path": str(net.path),
        "card": net.card,
    }
