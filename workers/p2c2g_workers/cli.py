"""``p2c2g peer``: what this machine can do, and lending it to the pool.

``p2c2g`` finds these commands by the entry point ``p2c2g.commands``.  Each imports what it
needs when it runs, so that the others' help does not wait for it.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from p2c2g.commands.options import new_typer, use_broker
from p2c2g.errors import BrokerUnavailableError, UsageError
from p2c2g_workers import keeping_cli
from p2c2g_workers.lending_cli import COMMANDS

if TYPE_CHECKING:
    from p2c2g.peers.messages import Capabilities
    from p2c2g.settings import Settings
    from p2c2g_workers.engine import Engine

app = new_typer("Lend this machine to the pool, and see what it can do.")

JoinOption = Annotated[
    str | None,
    typer.Option(
        "--join",
        metavar="URL",
        help="An open pool's coordinator; the first time, a join token is asked for, or "
        "P2C2G_JOIN_TOKEN.",
    ),
]
NameOption = Annotated[str, typer.Option(metavar="NAME", help="What people call this peer.")]
BrokerOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The broker; else P2C2G_BROKER_URL or this machine's."),
]


@app.command()
def probe(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for machines.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Measure again, even what is remembered.")
    ] = False,
    memory: Annotated[
        bool, typer.Option("--memory", help="Also how much memory chunks take, by size.")
    ] = False,
    broker: BrokerOption = None,
) -> None:
    """Measure what this machine can do for the pool."""
    from p2c2g.commands.console import new_console
    from p2c2g.logs import configure
    from p2c2g_workers.engine.choosing import open_engine
    from p2c2g_workers.probe import gpus
    from p2c2g_workers.probe.table import show, show_memory

    if as_json and memory:
        raise UsageError("--memory is a table for people: leave out --json.")
    configure()
    settings = _settings(broker)
    choice = open_engine(settings.worker, gpus())
    measure = partial(_measure, settings, choice.engine, fresh, asked=broker is not None)
    try:
        if as_json:
            typer.echo(measure().model_dump_json(indent=2))
            return
        console = new_console()
        with console.status("Measuring, some seconds…"):
            measured = measure()
        show(measured, console, choice.trials)
        if memory:
            from p2c2g_workers.probe import peaks

            with console.status("Measuring memory, some seconds…"):
                found = peaks.profile(choice.engine)
            whose = "This process" if choice.gpu is None else choice.gpu.name
            show_memory(found, whose, console)
    finally:
        choice.engine.close()


@app.command()
def run(
    ctx: typer.Context,
    *,
    configured: Annotated[
        bool,
        typer.Option("--configured", help="As peer.toml says, which p2c2g peer init has written."),
    ] = False,
    page: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=1, max=65535, help="Show what it does on a page at 127.0.0.1."
        ),
    ] = None,
    queues: Annotated[
        str, typer.Option(metavar="NAMES", help="Queues to serve, of cpu, gpu and train.")
    ] = "cpu",
    name: NameOption = "peer",
    region: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where it is, such as berlin.")
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=256, help="Chunks at once; else one a core."),
    ] = None,
    broker: BrokerOption = None,
    join: JoinOption = None,
    join_token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds the join token.")
    ] = None,
    max_cpu: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Of the CPU at most, such as 50%.")
    ] = None,
    only_idle: Annotated[
        bool, typer.Option("--only-idle", help="Only while nobody else uses this machine.")
    ] = False,
    hours: Annotated[
        str | None, typer.Option(metavar="FROM-TO", help="Only at these hours, such as 22-7.")
    ] = None,
    max_mbps: Annotated[
        str | None,
        typer.Option(metavar="N", help="Megabits a second at most, up and down each, such as 20."),
    ] = None,
    cpu_fallback: Annotated[
        bool, typer.Option("--cpu-fallback", help="Serve cpu where gpu is asked for and none is.")
    ] = False,
) -> int:
    """Serve the pool: becomes a Celery worker with options that suit this machine."""
    from p2c2g.commands.guest import Limits
    from p2c2g.commands.worker_checks import refused_queues
    from p2c2g.system.cpus import cores
    from p2c2g_workers.launch import Launch

    if configured:
        return _run_configured(ctx, page)
    if join is not None and broker is not None:
        raise UsageError("--join and --broker name two pools: leave one of them out.")
    settings = _settings(broker)
    settings.broker.tls()  # Says what is wrong with it here, not in the worker.
    launch = Launch(
        queues=queues,
        name=name,
        region=region,
        slots=slots,
        limits=Limits.parse(max_cpu=max_cpu, only_idle=only_idle, hours=hours, max_mbps=max_mbps),
        cpu_fallback=cpu_fallback,
    )
    arguments = launch.arguments(cores())
    if wrong := refused_queues(launch.queues, strict=True):
        raise UsageError(wrong)
    from p2c2g_workers.configured import become  # It needs what has just been looked for.

    command = [sys.executable, "-m", "celery", *arguments]
    # Through the environment: everybody on the machine can read a command line.
    environment = dict(os.environ)
    with ExitStack() as stack:
        if join is None:
            environment["P2C2G_BROKER_URL"] = settings.broker.url
        else:
            from p2c2g_workers.membership import TOKEN_VARIABLE, entered

            say = partial(typer.echo, err=True)
            path = stack.enter_context(entered(join, name, join_token_file, say))
            environment["P2C2G_MEMBERSHIP"] = str(path)
            environment.pop(TOKEN_VARIABLE, None)
        if page is not None:
            environment |= _page_of(page)
        return become(command, environment)


@app.command()
def leave(
    *,
    join: Annotated[str, typer.Option("--join", metavar="URL", help="The pool's coordinator.")],
    name: NameOption = "peer",
) -> None:
    """Leave an open pool for good: this machine's login there is deleted."""
    from p2c2g_workers.membership import left

    left(join, name)
    typer.echo(f"{name} has left the pool.")


for _command in (*COMMANDS, keeping_cli.update):
    app.command()(_command)
app.command(hidden=True)(keeping_cli.keep)


def _run_configured(ctx: typer.Context, page: int | None) -> int:
    from p2c2g.lending.home import Home
    from p2c2g_workers.configured import run_configured

    given = [
        f"--{name.replace('_', '-')}"
        for name in ctx.params
        if name not in ("configured", "page")
        and getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise UsageError(
            f"--configured takes all but the page from peer.toml: leave out {', '.join(given)}, or "
            "change it by p2c2g peer config."
        )
    return run_configured(Home.find(), page, partial(typer.echo, err=True))


def _page_of(port: int) -> dict[str, str]:
    """Return the variables of a page for one run, and say where that is."""
    from p2c2g.display.access import new_token
    from p2c2g_workers.wishes import PAGE_VARIABLE, TOKEN_VARIABLE

    token = new_token()
    typer.echo(f"This peer's page is at http://127.0.0.1:{port}/?token={token}", err=True)
    return {PAGE_VARIABLE: str(port), TOKEN_VARIABLE: token}


def _settings(broker: str | None) -> Settings:
    from p2c2g.settings import load

    settings = load()
    use_broker(settings, broker)
    settings.broker.checked_url()
    return settings


def _measure(settings: Settings, engine: Engine, fresh: bool, *, asked: bool) -> Capabilities:
    """Measure; a broker that was asked for must answer, the default one need not be there."""
    from p2c2g.messaging import open_names
    from p2c2g.messaging.broker import Broker
    from p2c2g.messaging.errors import translated
    from p2c2g_workers import probe

    with Broker(settings) as broker:
        try:
            with translated(f"The broker {broker.where} does not answer"):
                broker.client.ping()
        except BrokerUnavailableError:
            if asked:
                raise
            return probe.capabilities(engine=engine, fresh=fresh)
        membership = broker.membership
        key = None if membership is None else open_names.measurement(membership.id, "probe")
        return probe.capabilities(broker.client, engine=engine, fresh=fresh, line_key=key)
