"""``p2c2g peers``: who is in the pool, and what an operator does about it.

A peer is given by its id, or by what people call it where only one is called that.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from p2c2g.commands import options
from p2c2g.errors import UnavailableError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from p2c2g.commands.roster import Pool, Roster
    from p2c2g.messaging.broker import Broker

app = typer.Typer(
    help="Who is in the pool, and what an operator does about it.", no_args_is_help=True
)

#: Seconds between two pictures of ``--watch``, and between two looks at one that is to leave.
REDRAW = 1.0
LOOK = 0.25
#: Seconds in which a worker answers a command.
ANSWER = 5.0
#: Columns of a table that goes to a file or a pipe.
WIDE = 140

BrokerOption = Annotated[
    str | None, typer.Option(metavar="URL", help="The pool's broker; else P2C2G_BROKER_URL.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON; with --watch a line a second.")]
WatchOption = Annotated[bool, typer.Option("--watch", help="Again every second, until Ctrl-C.")]
PeerArgument = Annotated[
    str, typer.Argument(metavar="PEER", help="The peer's id, such as cpu1@host, or its name.")
]
TimeoutOption = Annotated[
    float, typer.Option(metavar="S", min=0, help="Wait so long for it to leave.")
]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a command shows: for people, and for machines."""

    table: RenderableType
    data: Any


@app.command("list")
def list_(
    *, broker: BrokerOption = None, as_json: JsonOption = False, watch: WatchOption = False
) -> None:
    """List the living peers."""
    with _open(broker) as (roster, _):
        _present(lambda: _listed(roster.look()), as_json=as_json, watch=watch)


@app.command()
def rank(
    *, broker: BrokerOption = None, as_json: JsonOption = False, watch: WatchOption = False
) -> None:
    """Rank the peers by score, and say what costs each most."""
    with _open(broker) as (roster, _):
        _present(lambda: _ranked(roster.look()), as_json=as_json, watch=watch)


@app.command()
def show(
    peer: PeerArgument,
    *,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
    watch: WatchOption = False,
) -> None:
    """Show everything of one peer."""
    from p2c2g.commands import roster_table as tables

    with _open(broker) as (roster, _):

        def look() -> Shown:
            member = roster.look().member(peer)
            return Shown(tables.shown(member), member.details())

        _present(look, as_json=as_json, watch=watch)


@app.command()
def drain(
    peer: PeerArgument, *, broker: BrokerOption = None, timeout: TimeoutOption = 60.0
) -> None:
    """Let a peer finish what it has and leave; wait until it has left."""
    with _open(broker) as (roster, opened):
        member = roster.look().member(peer)
        peer = member.id
        _ask_to_drain(opened, peer)
        end = _wait_until_gone(roster, peer, timeout)
        if end is End.STAYED:
            raise UnavailableError(
                f"{peer} is told to drain and has not left within {timeout:g} s: it has "
                f"{_in_flight(roster, peer)} in flight."
            )
        if end is End.DIED:
            raise UnavailableError(f"{peer} was told to drain and died before it had left.")
        had = _chunks(member.beat.in_flight)
        typer.echo(f"{peer} has finished what it had ({had} in flight) and left.")


@app.command()
def ban(
    peer: PeerArgument,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why: the peer is told.")],
    broker: BrokerOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """Shut a peer out of the pool: it ends, and cannot enrol again until it is let back in."""
    with _open(broker) as (roster, _):
        pool = roster.look()
        if peer not in pool.banned:
            peer = pool.member(peer).id
        roster.registry.ban(peer, reason)
        stayed = _wait_until_gone(roster, peer, timeout) is End.STAYED
        end = "has not left, but nothing of it counts" if stayed else "has left"
        typer.echo(f"{peer} is banned and {end}.")


@app.command()
def unban(peer: PeerArgument, *, broker: BrokerOption = None) -> None:
    """Let a banned peer back in."""
    from p2c2g.commands.roster import unknown

    with _open(broker) as (roster, _):
        banned = roster.registry.banned()
        if peer not in banned:
            raise unknown(peer, list(banned), "is not banned")
        roster.registry.unban(peer)
        typer.echo(f"{peer} may enrol again.")


# -- inside ---------------------------------------------------------------------------------


@contextmanager
def _open(url: str | None) -> Iterator[tuple[Roster, Broker]]:
    from p2c2g.commands.roster import Roster
    from p2c2g.logs import configure
    from p2c2g.messaging.broker import Broker
    from p2c2g.settings import load

    settings = load()
    configure()
    options.use_broker(settings, url)
    with Broker(settings) as broker:
        broker.require_own("p2c2g peers")
        broker.check()
        yield Roster(broker.client), broker


def _present(look: Callable[[], Shown], *, as_json: bool, watch: bool) -> None:
    """Show a look, once or every second until a signal."""
    from rich.live import Live

    from p2c2g.commands.console import new_console

    # A pipe has no width of its own.
    narrow = new_console().is_terminal or "COLUMNS" in os.environ
    console = new_console(width=None if narrow else WIDE)
    if not watch:
        shown = look()
        if as_json:
            typer.echo(json.dumps(shown.data, indent=2))
        else:
            console.print(shown.table)
        return
    ending = threading.Event()
    with options.stopping_at_signals(ending.set):
        if as_json:
            while not ending.is_set():
                typer.echo(json.dumps(look().data))
                ending.wait(REDRAW)
            return
        with Live(look().table, console=console, auto_refresh=False) as live:
            while not ending.wait(REDRAW):
                live.update(look().table, refresh=True)


def _listed(pool: Pool) -> Shown:
    from p2c2g.commands import roster_table as tables

    return Shown(tables.listed(pool), tables.counts(pool))


def _ranked(pool: Pool) -> Shown:
    from p2c2g.commands import roster_table as tables

    ranking = [
        {
            "id": member.id,
            "score": round(member.score.value, 1),
            "factors": {name: round(value, 3) for name, value in member.score.factors.items()},
            "moved": member.score.moved,
        }
        for member in pool.ranked()
    ]
    return Shown(tables.ranked(pool), {"operation": pool.operation, "peers": ranking})


def _ask_to_drain(broker: Broker, peer: str) -> None:
    """Send the command, and wait for the answer.

    Raises:
        UnavailableError: the peer does not answer, or refuses.
    """
    answer = broker.drain(peer, ANSWER, _who())
    if not isinstance(answer, dict) or "ok" not in answer:
        what = "does not answer" if answer is None else f"refuses: {answer}"
        raise UnavailableError(f"{peer} is enrolled and {what}, so it was not drained.")


def _who() -> str:
    """Return who is at this keyboard, for the lender whose peer is to leave."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError, ImportError):  # It differs by system and version.
        return socket.gethostname()


class End(Enum):
    """What became of a peer that was to leave."""

    LEFT = "left"  # deregistered
    DIED = "died"  # enrolled, and without a beat
    STAYED = "stayed"


def _wait_until_gone(roster: Roster, peer: str, timeout: float) -> End:
    """Wait until a peer has left or died."""
    deadline = monotonic() + timeout
    pause = threading.Event()
    while True:
        if roster.registry.beats([peer])[peer].beat is None:
            return End.DIED if roster.registry.sweep([peer]) else End.LEFT
        if monotonic() >= deadline:
            return End.STAYED
        pause.wait(LOOK)


def _in_flight(roster: Roster, peer: str) -> str:
    beat = roster.registry.beats([peer])[peer].beat
    return _chunks(beat.in_flight if beat else 0)


def _chunks(count: int) -> str:
    return "1 chunk" if count == 1 else f"{count or 'no'} chunks"
