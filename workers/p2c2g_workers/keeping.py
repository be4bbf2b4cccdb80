"""``p2c2g peer keep`` and ``p2c2g peer update``: this machine's worker, and its version."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from time import time
from typing import Final

import typer

from p2c2g import __version__
from p2c2g.commands.options import stopping_at_signals
from p2c2g.errors import P2C2GError, UnavailableError
from p2c2g.lending import peer_config
from p2c2g.lending.home import KEEP, Home
from p2c2g.logs import configure
from p2c2g.settings.membership import Membership
from p2c2g.settings.updating import UpdateSettings
from p2c2g.updating.course import Keeping
from p2c2g.updating.fetching import PoolSource
from p2c2g.updating.journal import Journal
from p2c2g.updating.keeper import TICK, Keeper, Trials
from p2c2g.updating.trial import Patience
from p2c2g.updating.venvs import environment
from p2c2g.updating.worker import Worker
from p2c2g_workers.configured import trusting
from p2c2g_workers.membership import place

#: Seconds in which a keeper that runs has begun what it is asked for.
_HEARD: Final = 30.0


def check() -> int:
    """Look whether this version could keep this machine; what cannot be is raised."""
    home = Home.find()
    peer_config.read(home.config)
    Journal.read(home.keeper)
    UpdateSettings()
    typer.echo(f"p2c2g {__version__} can keep {home.root}.")
    return 0


def keep(*, trial: bool) -> int:
    """Keep this machine; return the exit code, or become another version.

    Args:
        trial: whether only to have this version's worker work, once.

    Raises:
        UsageError: the machine is not set up, or a setting is wrong.
        UnavailableError: another keeper keeps it, or it cannot be noted what is done.
    """
    home, ending = Home.find(), Event()
    peer_config.read(home.config)
    os.environ.setdefault("P2C2G_LOG_DIR", str(home.log))
    configure(role="keeper")
    with stopping_at_signals(ending.set):
        if trial:
            return _work_once(home, ending)
        with _alone(home):
            if not keeper_of(home, ending).run():
                return 0
    return _become(home)


def update() -> int:
    """Look at once, by the keeper that runs or without one; say what comes of it."""
    home, ending = Home.find(), Event()
    peer_config.read(home.config)
    with stopping_at_signals(ending.set):
        try:
            with _alone(home):
                keeper_of(home, ending).update(typer.echo)
                return 0
        except _KeptError:
            return _ask_keeper(home, ending)


def say_what_there_is() -> int:
    """Look, and change nothing."""
    home = Home.find()
    keeper = keeper_of(home, Event(), write=lambda _: None)
    typer.echo(keeper.look(again=True).why)
    return 0


def keeper_of(home: Home, ending: Event, write: Callable[[Journal], None] | None = None) -> Keeper:
    """Return the keeper of a machine.

    Raises:
        UsageError: the machine is not set up, or a setting is wrong.
        UnavailableError: what was tried cannot be read.
    """
    settings = UpdateSettings()
    journal = Journal.read(home.keeper)
    keeping = Keeping(journal, write or (lambda new: new.write(home.keeper)), time)
    os.environ.update(trusting(home))
    source = PoolSource(lambda: membership_of(home))
    machine = Trials(
        home,
        source,
        settings.index,
        ending,
        worker=Worker(home),
        patience=Patience(settings.patience, settings.idle),
    )
    return Keeper(
        home,
        machine,
        keeping,
        source,
        lambda: peer_config.read(home.config).updates.automatic,
        settings.every,
        ending,
    )


def membership_of(home: Home) -> Membership | None:
    """Return this machine's place in an open pool; None where it has none yet, or needs none.

    Raises:
        UsageError: it cannot be read.
    """
    config = peer_config.read(home.config)
    if not config.pool.join:
        return None
    return place(config.pool.join, config.peer.name, home.pools)[1].read()


class _KeptError(P2C2GError):
    """Another keeper keeps this machine."""


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Be the one keeper of a machine.

    Raises:
        _KeptError: there is one.
    """
    try:
        import fcntl
    except ImportError:  # Windows; its scheduled task starts one alone.
        yield
        return
    home.prepare()
    with (home.root / "keeper.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _KeptError("Another p2c2g peer keep runs on this machine.") from error
        yield


def _work_once(home: Home, ending: Event) -> int:
    """Have a worker of this version work until it ends, or is to."""
    worker = Worker(home)
    worker.start(__version__)
    while worker.ended is None and not ending.wait(TICK):
        pass
    code = worker.ended or 0
    worker.stop()
    return code


def _ask_keeper(home: Home, ending: Event) -> int:
    """Have the keeper that runs look at once; say what comes of it."""
    before = Journal.read(home.keeper)
    home.wanted.touch(mode=0o600)
    waited, shown = 0.0, ""
    while not ending.wait(TICK):
        waited += TICK
        now = Journal.read(home.keeper)
        if home.wanted.exists():
            if waited > _HEARD:
                home.wanted.unlink(missing_ok=True)
                raise UnavailableError(
                    "This machine's keeper does not look: it may be trying a version out."
                )
        elif (now.said, now.at) != (before.said, before.at):
            if now.said != shown:
                typer.echo(now.said)
            shown = now.said
            if now.trying is None and not _goes_on(now):
                return 0
    return 1


def _goes_on(journal: Journal) -> bool:
    return journal.said.endswith("is to be installed.")


def _become(home: Home) -> int:
    """Become the version that is used from now on."""
    command = [str(home.program()), *KEEP]
    if os.name == "posix":
        sys.stdout.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        own = environment(home)
        os.execve(command[0], command, own)  # noqa: S606 - no shell is wanted
    return subprocess.call(command, env=environment(home))  # noqa: S603 - our own words
