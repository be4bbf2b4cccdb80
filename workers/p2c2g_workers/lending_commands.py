"""What ``p2c2g peer status``, ``config``, ``pause``, ``resume`` and ``uninstall`` do."""

from __future__ import annotations

import json
import sys
from functools import partial
from threading import Event
from time import monotonic, time
from typing import Any

import typer

from p2c2g.commands import peer_status
from p2c2g.errors import PoolUnavailableError, UsageError
from p2c2g.lending import peer_config
from p2c2g.lending.home import Home
from p2c2g.lending.peer_settings import PeerConfig, settings
from p2c2g.lending.service import installed
from p2c2g.lending.state import State, Word
from p2c2g.lending.unit import service_name
from p2c2g.updating.journal import Journal
from p2c2g_workers import removing, wishes
from p2c2g_workers.dialogue import asked, lines
from p2c2g_workers.initiating import ask

#: The exit code of ``status`` where the peer does not run, as services' own commands have it.
NOT_RUNNING = 3
#: Seconds for which a running peer is waited for after a word to it.
HEARD = 10.0


def status(*, as_json: bool) -> int:
    """Say what this machine's peer does; the exit code is 3 where it does not run."""
    home = _home()
    state, paused, now = State.read(home.state), wishes.why_paused(home), time()
    running = installed(home).is_running(service_name(home))
    if as_json:
        told: dict[str, Any] = {} if state is None else state.model_dump(mode="json")
        told |= {"running": peer_status.is_well(state, now), "paused": paused}
        told["updates"] = Journal.read(home.keeper).said
        typer.echo(json.dumps(told, indent=2))
    else:
        said = peer_status.rows(state, running=running, paused=paused, now=now)
        if updates := Journal.read(home.keeper).said:
            said.append(("Updates", updates))
        typer.echo(peer_status.table(said))
    return 0 if running or peer_status.is_well(state, now) else NOT_RUNNING


def config(changes: dict[str, Any], *, show: bool, reset: bool) -> None:
    """Change what is lent.

    Args:
        changes: settings that were given, by their names; asked for where there are none.
        show: whether only to say what there is.
        reset: whether to write the file anew.
    """
    home = _home(broken=reset)
    if reset:
        pools = removing.memberships(home)
        kept = {"pool.join": pools[0][1].pool} if pools else {}
        peer_config.write(home.config, PeerConfig.of(kept | changes))
        _start_anew(home)
        typer.echo(f"{home.config} is written anew.")
        return
    before = peer_config.read(home.config)
    if show or (not changes and not sys.stdin.isatty()):
        typer.echo(f"In {home.config}:")
        typer.echo(peer_status.table(lines(peer_config.flat(before))))
        return
    if not changes:
        typer.echo("Enter takes what is in brackets.")
        changes = asked(before, ask, partial(typer.echo, err=True))
    after = peer_config.change(home.config, changes)
    changed = [
        each
        for each, _ in settings()
        if peer_config.flat(before)[each] != peer_config.flat(after)[each]
    ]
    if not changed:
        typer.echo("Nothing is changed.")
        return
    if not all(each.startswith("limits.") for each in changed):
        _start_anew(home)
    typer.echo(f"Changed in {home.config}: {', '.join(changed)}.")


def pause(reason: str) -> None:
    """Take no more work, from now on and after each start, until resume."""
    home = _home()
    wishes.pause(home, reason)
    _heard(home, lambda word: word is Word.PAUSED)
    typer.echo("Paused. p2c2g peer resume has it work again.")


def resume() -> None:
    """Have a peer that was paused work again."""
    home = _home()
    was = wishes.why_paused(home)
    wishes.resume(home)
    _heard(home, lambda word: word is not Word.PAUSED, patience=1.0)
    typer.echo("It works again." if was else "It was not paused.")


def uninstall(*, yes: bool, anyway: bool) -> None:
    """Make this machine a peer no more: leave the pool, and delete all that init has made."""
    home = Home.find()
    if not home.root.exists():
        raise UsageError(f"This machine is no peer: there is no {home.root}.")
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("This deletes the peer of this machine: give --yes.")
        question = f"Leave the pool, and delete {home.root} and the service?"
        if not typer.confirm(question):
            typer.echo("Nothing is deleted.")
            return
    service = installed(home)
    if service.is_running(service_name(home)):
        service.stop(service_name(home))
    try:
        for pool in removing.leave_pools(home):
            typer.echo(f"Left {pool}.")
    except PoolUnavailableError as error:
        if not anyway:
            raise PoolUnavailableError(
                f"{error} So the login there stays; try again later, or give --anyway to delete "
                "the rest."
            ) from error
        typer.echo(f"{error} The login there stays: its operator can ban it.", err=True)
    removing.remove(home, service)
    typer.echo(f"Deleted {home.root} and the service.")


def _home(*, broken: bool = False) -> Home:
    """Return the home of this machine.

    Raises:
        UsageError: it is not set up, or its file is wrong and may not be.
    """
    home = Home.find()
    if not (broken and home.config.exists()):
        peer_config.read(home.config)
    return home


def _start_anew(home: Home) -> None:
    service, name = installed(home), service_name(home)
    if service.is_running(name):
        service.stop(name)
        service.start(name)


def _heard(home: Home, until: Any, patience: float = HEARD) -> None:
    """Wait until a running peer has heard it; one that does not run need not."""
    look, deadline = Event(), monotonic() + patience
    while monotonic() < deadline:
        state = State.read(home.state)
        if state is None or not state.is_fresh(time()) or until(state.word):
            return
        look.wait(0.1)
