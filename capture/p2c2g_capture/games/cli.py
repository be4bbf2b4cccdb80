"""``p2c2g-capture games`` and ``p2c2g-capture profile``."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from p2c2g.commands import options
from p2c2g.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from p2c2g_capture.games.profile import GameProfile
    from p2c2g_capture.games.store import ProfileStore

profile = options.new_typer("What is known of each game: how it is started, captured and played.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The game's, as games lists it.")]


def games() -> None:
    """Show the games that run, are installed, or lie in a launcher."""
    from rich.table import Table

    from p2c2g.commands.console import new_console
    from p2c2g.text import plain
    from p2c2g_capture.games.shelf import of_launchers, of_this_machine

    console = new_console()
    table = Table("game", "what it is", "here", "play it by", box=None, pad_edge=False)
    for each in of_this_machine():
        name, kind = each.profile.name, each.profile.kind
        title = f"{each.title} ({kind})" if kind else each.title
        table.add_row(name, title, each.how, f"--source game:{name}")
    if table.row_count:
        console.print(table)
    else:
        console.print("No game of a profile is here: p2c2g-capture profile show lists them all.")
    theirs = of_launchers()
    if theirs:
        console.print(
            "\nOf launchers: start it there, then capture its window by "
            "--source screen:window=TITLE."
        )
    for other, launcher in theirs:
        console.print(f"  {plain(other)} ({launcher})", markup=False, highlight=False)


@profile.command()
def show(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A game's; without one, all names.")
    ] = None,
) -> None:
    """Print a profile, or the names of all."""
    from p2c2g_capture.games.store import ProfileStore

    store = ProfileStore()
    if name is not None:
        typer.echo(store.text(name)[0].rstrip())
        return
    for each in store.names():
        typer.echo(f"{each}  ({store.path(each)})" if store.path(each).is_file() else each)


@profile.command()
def edit(name: NameArgument) -> None:
    """Open your own profile of a game in your editor ($EDITOR); it goes before the shipped one."""
    from p2c2g.system.files import write_whole
    from p2c2g_capture.games.profile import GameProfile
    from p2c2g_capture.games.store import ProfileStore

    store = ProfileStore()
    path = store.path(name)
    if not path.is_file():
        text = store.text(name)[0] if name in store.names() else _new(name)
        GameProfile.of(text, f"A profile of {name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    if not editor:
        typer.echo(f"Your profile is {path}: edit it, then p2c2g-capture profile check {name}.")
        return
    try:
        code = subprocess.call([*editor, str(path)])  # noqa: S603 - the user's own editor
    except OSError as error:
        raise UnavailableError(
            f"The editor {editor[0]!r} cannot be started ({error.strerror}): set EDITOR to one "
            f"that can, or edit {path} yourself."
        ) from error
    if code:
        raise UnavailableError(f"The editor ended with {code}; the profile is {path}.")
    _checked(store, name)


@profile.command()
def check(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A game's; without one, all.")
    ] = None,
) -> None:
    """Say what is wrong in a profile, or that nothing is."""
    from p2c2g_capture.games.store import ProfileStore

    store = ProfileStore()
    if name is not None:
        _checked(store, name)
        return
    wrong = []
    for each in store.names():
        try:
            store.load(each)
        except UsageError as error:
            wrong.append(str(error))
    for sentence in wrong:
        sys.stderr.write(f"{sentence}\n")
    if wrong:
        raise UsageError(f"{len(wrong)} of {len(store.names())} profiles are wrong.")
    typer.echo(f"All {len(store.names())} profiles are right.")


def profile_of(source: str) -> GameProfile | None:
    """Return the profile of the game that ``--source`` names; None where it names none.

    Raises:
        UsageError: there is no such game, or its profile is wrong.
    """
    kind, _, name = source.strip().partition(":")
    if kind != "game" or not name.strip():
        return None
    from p2c2g_capture.games.store import ProfileStore

    return ProfileStore().load(name.strip())


def _checked(store: ProfileStore, name: str) -> None:
    from p2c2g_capture.games.played import file_of

    found = store.load(name)
    typer.echo(f"The profile {name} is right.")
    if found.start.command and file_of(found) is None:
        typer.echo(f"{found.start.command[0]} is not installed here.")


def _new(name: str) -> str:
    return f"""\
# What P2C2G knows of this game; docs/games.md says what each line is for.
name = "{name}"
title = "{name}"

[find]
programs = ["{name}"]
classes = []
titles = []

[start]
command = ["{name}"]

[look]
size = "640x360"
fps = 30

[input]
mouse = "points"
"""
