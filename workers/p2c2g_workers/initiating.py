"""``p2c2g peer init``: makes this machine a peer, and says step by step what becomes of that."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from p2c2g.commands.console import new_console
from p2c2g.commands.peer_checks import Check, Worth
from p2c2g.errors import PoolUnavailableError, UnavailableError, UsageError
from p2c2g.joining.peer import label_of
from p2c2g.lending import peer_config
from p2c2g.lending.home import Home
from p2c2g.lending.peer_settings import PeerConfig
from p2c2g.lending.service import Service, installed, service_of
from p2c2g.lending.state import State
from p2c2g.lending.unit import service_name
from p2c2g.settings import url_file
from p2c2g.settings.broker_url import redacted
from p2c2g_workers import removing, setting_up
from p2c2g_workers.dialogue import asked
from p2c2g_workers.membership import place

if TYPE_CHECKING:
    from rich.console import Console

_MARKS = {Worth.WELL: ("✓", "green"), Worth.DOUBT: ("!", "yellow"), Worth.BAD: ("✗", "red")}


def initiate(
    changes: dict[str, Any],
    *,
    pool: str | None,
    token_file: Path | None,
    broker_file: Path | None,
    service: str,
    seconds: float | None,
    yes: bool,
) -> None:
    """Make this machine a peer.

    Args:
        changes: settings that were given, by their names.
        pool: its coordinator's address; None where the file says, or it is to be asked for.
        token_file: holds the join token.
        broker_file: holds the URL of a broker of one's own.
        service: the kind of it.
        seconds: that the first chunk is waited for; None where it is not to be started.
        yes: whether nothing is to be asked.
    """
    if pool is not None and broker_file is not None:
        raise UsageError("POOL and --broker-file name two pools: leave one of them out.")
    home = Home.find()
    setup = _Setup(home, changes, talks=sys.stdin.isatty() and not yes)
    kind = service_of(service, home)
    try:
        setup.run(pool, token_file, broker_file, kind)
    except BaseException:
        if not home.config.exists():
            # Nothing is left of what did not come about.
            home.clear()
        raise
    if seconds is None:
        typer.echo("Start it with p2c2g peer run --configured.")
    else:
        _watch(home, kind, seconds, setup.tell)


class _Setup:
    """One run of it.

    Args:
        home: the machine's.
        changes: settings that were given.
        talks: whether questions can be asked.
    """

    def __init__(self, home: Home, changes: dict[str, Any], *, talks: bool) -> None:
        self._home = home
        self._changes = changes
        self._talks = talks
        self._console: Console = new_console(soft_wrap=True)

    def run(
        self, pool: str | None, token_file: Path | None, broker_file: Path | None, kind: Service
    ) -> None:
        """Do all but start it."""
        home, say = self._home, partial(typer.echo, err=True)
        is_new = not home.config.exists()
        before = PeerConfig() if is_new else peer_config.read(home.config)
        if is_new:
            self._changes.setdefault("peer.name", _this_host())
        if pool is None and broker_file is None:
            pool = before.pool.join
            if not pool and not home.broker_url.exists():
                pool = self._ask_pool()
        home.prepare()
        setting_up.keep_cache(home)
        setting_up.checked(home, self._show_check)
        if pool:
            setting_up.reached(home, pool, self._show_check)
        if self._talks and is_new:
            typer.echo("What may be used of this machine? Enter takes what is in brackets.")
            self._changes |= asked(PeerConfig.of(self._changes), ask, say)
        earlier = installed(home)
        if earlier.is_running(service_name(home)):
            earlier.stop(service_name(home))
        name = self._changes.get("peer.name", before.peer.name)
        if pool:
            member = setting_up.joined(home, pool, name, token_file, say)
            self._changes["pool.join"] = place(pool, name, home.pools)[0].url
            self.tell("Joined", f"as {member}")
            try:
                for left in removing.leave_pools(home, self._changes["pool.join"]):
                    self.tell("Left", left)
            except PoolUnavailableError as error:
                say(f"{error} This machine's login there stays.")
        elif broker_file is not None:
            url = url_file.read(broker_file)
            setting_up.keep_broker(home, url)
            self._changes["pool.join"] = ""
            self.tell("Pool", f"your own, by the broker {redacted(url)}")
        with self._console.status("Measuring what it can do, some seconds…"):
            setting_up.measured()
        self.tell("Measured", "what it can do; p2c2g peer probe shows it")
        setting_up.configured(home, self._changes)
        self.tell("Written", str(home.config))
        setting_up.install(home, kind)
        self.tell("Service", f"{kind.kind}, {service_name(home)}. {kind.note()}".rstrip())

    def tell(self, what: str, said: str, worth: Worth = Worth.WELL) -> None:
        """Print one step."""
        from rich.text import Text

        mark, colour = _MARKS[worth]
        self._console.print(Text.assemble((mark, colour), f" {what:<14}"), Text(said), sep="")

    def _show_check(self, check: Check) -> None:
        advice = f" ({check.advice})" if check.advice else ""
        self.tell(check.what, f"{check.found}{advice}", check.worth)

    def _ask_pool(self) -> str:
        if not self._talks:
            raise UsageError(
                "The pool is missing: give its coordinator's address, such as p2c2g peer init "
                "https://pool.example.org."
            )
        return ask("The pool's address, such as https://pool.example.org")


def ask(question: str) -> str:
    """Ask one question on the terminal."""
    answer: str = typer.prompt(question, default="", show_default=False)
    return answer


def _watch(home: Home, kind: Service, seconds: float, tell: Callable[..., None]) -> None:
    """Start it, and wait for its first chunk; that none comes is no error."""
    state = setting_up.started(home, kind)
    tell("Started", f"process {state.pid}")
    if state.page:
        tell("Page", state.page)
    try:
        state = setting_up.wait(home, kind, seconds, lambda now: now.chunks > 0)
    except UnavailableError:
        if not kind.is_running(service_name(home)):
            raise
        now = State.read(home.state) or state
        why = f" ({now.why})" if now.why else ""
        typer.echo(
            f"It is {now.word.value}{why}, and no work has come yet: p2c2g peer status says when "
            "it has."
        )
        return
    spent = 1000 * state.worked / max(state.total, 1)
    tell("First work", f"{state.chunks} done, {spent:.0f} ms each. This machine is a peer.")


def _this_host() -> str:
    """Return what this machine is called, as a peer's name."""
    return label_of(platform.node().partition(".")[0]).strip() or "peer"
