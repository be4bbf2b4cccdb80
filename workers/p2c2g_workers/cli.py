"""``p2c2g peer``: what this machine can do, and lending it to the pool.

``p2c2g`` finds these commands by the entry point ``p2c2g.commands``.  Each imports what it
needs when it runs, so that the others' help does not wait for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from p2c2g.commands.options import new_typer
from p2c2g.errors import BrokerUnavailableError, UsageError

if TYPE_CHECKING:
    from p2c2g.peers.messages import Capabilities
    from p2c2g.settings import Settings
    from p2c2g_workers.engine import Engine

app = new_typer("Lend this machine to the pool, and see what it can do.")

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
    from rich.console import Console

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
        console = Console(highlight=False)
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
    *,
    queues: Annotated[
        str, typer.Option(metavar="NAMES", help="Queues to serve, of cpu, gpu and train.")
    ] = "cpu",
    name: Annotated[str, typer.Option(metavar="NAME", help="What people call this peer.")] = "peer",
    region: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where it is, such as berlin.")
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=256, help="Chunks at once; else one a core."),
    ] = None,
    broker: BrokerOption = None,
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
        typer.Option(metavar="N", help="Megabits a second at most, such as 20."),
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
    command = [sys.executable, "-m", "celery", *arguments]
    # Through the environment: everybody on the machine can read a command line.
    environment = {**os.environ, "P2C2G_BROKER_URL": settings.broker.url}
    if os.name == "posix":
        sys.stdout.flush()
        os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted
    return subprocess.call(command, env=environment)  # noqa: S603 - each argument is checked


def _settings(broker: str | None) -> Settings:
    from p2c2g.settings import load

    settings = load()
    if broker is not None:
        settings.broker.use(broker)
    settings.broker.checked_url()
    return settings


def _measure(settings: Settings, engine: Engine, fresh: bool, *, asked: bool) -> Capabilities:
    """Measure; a broker that was asked for must answer, the default one need not be there."""
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
        return probe.capabilities(broker.client, engine=engine, fresh=fresh)
