"""``p2c2g peer init``, ``status``, ``config``, ``pause``, ``resume`` and ``uninstall``.

Each imports what it needs when it runs, as the other commands do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from p2c2g_workers import lending_options as options


def init(
    pool: Annotated[
        str | None, typer.Argument(metavar="[POOL]", help="The pool's coordinator.")
    ] = None,
    *,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Holds the join token; else P2C2G_JOIN_TOKEN does, or it is asked for.",
        ),
    ] = None,
    broker_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="For a pool of your own: its first line is the broker's URL."
        ),
    ] = None,
    name: options.NameOption = None,
    region: options.RegionOption = None,
    queues: options.QueuesOption = None,
    slots: options.SlotsOption = None,
    max_cpu: options.CpuOption = None,
    only_idle: options.IdleOption = None,
    hours: options.HoursOption = None,
    max_mbps: options.LineOption = None,
    page: options.PageOption = None,
    page_port: options.PortOption = None,
    updates: options.UpdatesOption = None,
    service: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="What starts it: auto, systemd, launchd, windows, or none for a plain process.",
        ),
    ] = "auto",
    start: Annotated[bool, typer.Option("--start/--no-start", help="Start it at the end.")] = True,
    wait: Annotated[
        float,
        typer.Option(
            metavar="S", min=0, max=3600, help="Seconds to wait for the first chunk's work."
        ),
    ] = 20.0,
    yes: options.YesOption = False,
) -> None:
    """Make this machine a peer: look at it, join a pool, and have it start by itself."""
    from p2c2g_workers.dialogue import changes
    from p2c2g_workers.initiating import initiate

    given = changes(
        name=name, region=region, queues=queues, slots=slots, max_cpu=max_cpu,
        only_idle=only_idle, hours=hours, max_mbps=max_mbps, page=page, page_port=page_port,
        updates=updates,
    )  # fmt: skip
    initiate(
        given, pool=pool, token_file=token_file, broker_file=broker_file, service=service,
        seconds=wait if start else None, yes=yes,
    )  # fmt: skip


def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for machines.")] = False,
) -> int:
    """Say what this machine's peer does; the exit code is 3 where it does not run."""
    from p2c2g_workers import lending_commands

    return lending_commands.status(as_json=as_json)


def config(
    *,
    name: options.NameOption = None,
    region: options.RegionOption = None,
    queues: options.QueuesOption = None,
    slots: options.SlotsOption = None,
    max_cpu: options.CpuOption = None,
    only_idle: options.IdleOption = None,
    hours: options.HoursOption = None,
    max_mbps: options.LineOption = None,
    page: options.PageOption = None,
    page_port: options.PortOption = None,
    updates: options.UpdatesOption = None,
    show: Annotated[bool, typer.Option("--show", help="Only say what there is.")] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Write the file anew; all but the pool as is usual.")
    ] = False,
) -> None:
    """Change what is lent: by options, or by questions where there are none."""
    from p2c2g_workers import lending_commands
    from p2c2g_workers.dialogue import changes

    given = changes(
        name=name, region=region, queues=queues, slots=slots, max_cpu=max_cpu,
        only_idle=only_idle, hours=hours, max_mbps=max_mbps, page=page, page_port=page_port,
        updates=updates,
    )  # fmt: skip
    lending_commands.config(given, show=show, reset=reset)


def pause(
    reason: Annotated[
        str, typer.Argument(metavar="[REASON]", help="What the pool's people read.")
    ] = "",
) -> None:
    """Take no more work until resume, also after the next start; what has come is finished."""
    from p2c2g_workers import lending_commands

    lending_commands.pause(reason)


def resume() -> None:
    """Have a peer that was paused work again."""
    from p2c2g_workers import lending_commands

    lending_commands.resume()


def uninstall(
    *,
    yes: options.YesOption = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Even where the coordinator does not answer.")
    ] = False,
) -> None:
    """Make this machine a peer no more: leave the pool, and delete all that init has made."""
    from p2c2g_workers import lending_commands

    lending_commands.uninstall(yes=yes, anyway=anyway)


#: All of them, in the order of the help.
COMMANDS = (init, status, config, pause, resume, uninstall)
