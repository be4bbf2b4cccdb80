"""``p2c2g simulate``: a pool of thousands on one machine, in less time than it would take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

_SHARE = "PERCENT"


def simulate(
    *,
    peers: Annotated[int, typer.Option(metavar="N", help="Peers in the pool.")] = 100,
    sessions: Annotated[int, typer.Option(metavar="N", help="Gamers.")] = 1,
    seconds: Annotated[float, typer.Option(metavar="S", help="Seconds of frames.")] = 60.0,
    fps: Annotated[float, typer.Option(metavar="N", help="Frames a second of each gamer.")] = 60.0,
    chunks: Annotated[int, typer.Option(metavar="N", help="Chunks of each frame.")] = 4,
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Size of the frames, which peers double.")
    ] = "640x360",
    seed: Annotated[int, typer.Option(metavar="N", help="Same seed, same figures.")] = 7,
    policy: Annotated[
        str, typer.Option(metavar="NAME", help="capability, weighted, predictive or affinity.")
    ] = "predictive",
    stealing: Annotated[
        bool, typer.Option(help="Move what waits at a slow peer to one that is sooner.")
    ] = True,
    deadline: Annotated[
        float, typer.Option(metavar="MS", help="Milliseconds until a frame is shown at the latest.")
    ] = 100.0,
    churn: Annotated[
        str, typer.Option(metavar=_SHARE, help="Peers that leave and are replaced, a minute.")
    ] = "0%",
    stragglers: Annotated[
        str, typer.Option(metavar=_SHARE, help="Peers that stand still now and then.")
    ] = "0%",
    liars: Annotated[
        str, typer.Option(metavar=_SHARE, help="Peers that lie in half of their results.")
    ] = "0%",
    subtle: Annotated[
        str, typer.Option(metavar=_SHARE, help="Lies that only a second opinion finds out.")
    ] = "0%",
    made_up: Annotated[
        int,
        typer.Option(metavar="N", help="Made-up sessions that praise liars and blame all others."),
    ] = 0,
    day: Annotated[
        float, typer.Option(metavar="S", help="Seconds of a day; machines go off by night.")
    ] = 0.0,
    rtt: Annotated[
        float | None, typer.Option(metavar="MS", help="Round trip of every peer to the broker.")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(metavar="MP/S", help="Megapixels a second of every slot.")
    ] = None,
    spread: Annotated[
        float | None, typer.Option(metavar="N", help="The fastest is N times the slowest.")
    ] = None,
    slots: Annotated[
        int | None, typer.Option(metavar="N", help="Chunks that every peer works on at once.")
    ] = None,
    mbps: Annotated[
        float | None, typer.Option(metavar="N", help="Every peer's line, up and down.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report.")] = False,
    plots: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Draw latency, frames and peers.")
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIGURE=N", help="Exit with 1 where a figure is worse: complete=0.999."
        ),
    ] = None,
) -> int:
    """Simulate what a pool would do: the session's own decisions under a clock that jumps."""
    from p2c2g.errors import UsageError
    from p2c2g.simulator import plot, report
    from p2c2g.simulator.distributions import Machines
    from p2c2g.simulator.scenario import Scenario, share
    from p2c2g.simulator.world import World

    for name, value in (("--speed", speed), ("--mbps", mbps)):
        if value is not None and not value > 0:
            raise UsageError(f"{value:g} cannot be for {name}: give a number above 0.")
    scenario = Scenario(
        peers=peers,
        sessions=sessions,
        seconds=seconds,
        fps=fps,
        chunks=chunks,
        size=size,
        seed=seed,
        policy=policy,
        stealing=stealing,
        deadline=deadline / 1e3,
        churn=share(churn, "churn"),
        stragglers=share(stragglers, "share of stragglers"),
        liars=share(liars, "share of liars"),
        subtle=share(subtle, "share of lies"),
        made_up=made_up,
        day=day,
        machines=Machines(
            rtt=None if rtt is None else rtt / 1e3,
            seconds_per_megapixel=None if speed is None else 1 / speed,
            spread=spread,
            slots=slots,
            bandwidth=None if mbps is None else mbps * 1e6,
        ),
    )
    report.read_gates(gate or [])
    if plots is not None:
        plot.check_folder(plots)
    world = World(scenario)
    with report.quietly():
        world.play()
    figures = report.build_report(world)
    missed = report.check_gates(figures, gate or [])
    if as_json:
        typer.echo(report.as_json(figures))
    else:
        _print(figures)
    if plots is not None:
        title = f"{peers} peers, {sessions} × {fps:g} frames a second, {policy}, seed {seed}"
        plot.draw(world, plots, title)
    for sentence in missed:
        typer.echo(sentence, err=True)
    return 1 if missed else 0


def _print(figures: dict[str, Any]) -> None:
    """Print what a person wants to know first."""
    from rich.table import Table

    from p2c2g.commands.console import new_console

    frames, chunks, latency = figures["frames"], figures["chunks"], figures["latency_ms"]
    settings, pool, lies = figures["settings"], figures["pool"], figures["lies"]
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    rows = {
        "frames": f"{frames['captured']:,}: {figures['complete']:.2%} complete, "
        f"{frames['degraded']:,} degraded, {frames['dropped']:,} dropped",
        "latency": f"p50 {latency['p50']:.1f} ms, p95 {latency['p95']:.1f}, "
        f"p99 {latency['p99']:.1f}",
        "chunks": f"{chunks['all']:,}: {chunks['late']:,} late, {chunks['unsent']:,} never sent",
        "runs": ", ".join(f"{count:,} × {runs}" for runs, count in figures["runs"].items()),
        "hedges": f"{figures['hedges']['sent']:,}, {figures['hedges']['won']:,} came first",
        "moved": f"{figures['steals']['moved']:,} chunks to another peer, "
        f"{figures['steals']['too_late']:,} too late",
        "lies": f"{lies['told']:,} told, {lies['found']:,} found, {lies['shown']:,} shown",
        "peers": f"{pool['worked']:,} of {pool['joined']:,} had work; {pool['drained']:,} left, "
        f"{pool['vanished']:,} vanished, {pool['stalls']:,} stalls",
        "fairness": f"{figures['fairness']['peers']:.2f} over peers, "
        f"{figures['fairness']['sessions']:.2f} over sessions",
        "asked": f"{settings['policy']}, seed {settings['seed']}; --json tells everything",
    }
    for name, text in rows.items():
        table.add_row(name, text)
    new_console().print(table)
