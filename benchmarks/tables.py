"""One run's figures as tables, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.table import Table

from benchmarks.streaming import ROLES
from benchmarks.targets import targets
from p2c2g.session.tally import STAGES

Report = Mapping[str, Any]


def _table(title: str, first: str, *headings: str) -> Table:
    view = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    view.add_column(first)
    for heading in headings:
        view.add_column(heading, justify="right")
    return view


def bench_table(report: Report) -> Table:
    """Return the one table of a whole run.

    First what has a target, ratios before milliseconds; then each contender's round trip.
    """
    view = _table("P2C2G's benchmarks", "measure", "figure", "target", "")
    for target in targets(report):
        view.add_row(
            target.measure,
            f"{target.value:.4g} {target.unit}".strip(),
            f"{target.relation} {target.bound:g}",
            "[green]✓[/]" if target.met else "[red]✗[/]",
        )
    for case, contenders in report.get("roundtrip", {}).items():
        view.add_section()
        for name, got in contenders.items():
            words = f"{name}, {case.replace('rtt=', 'RTT ').replace(',kib=', ' ms, ')} KiB: tasks/s"
            figure = f"{got['tasks_per_s']:.0f}, p50 {got['p50_ms']:.1f} ms"
            view.add_row(words, figure, "", "")
    return view


def pipeline_tables(report: Report) -> Iterator[Table]:
    """Give the tables of the pipeline's part of a report."""
    yield stream_table(report["streams"])
    yield stage_table(report["streams"])
    yield capacity_table(report["capacity"])
    view = _table("The thread that sends: 576 chunks/s of 40 KiB", "way", "% of a core")
    for name, label in (
        ("percent", "the dispatcher: one write a frame"),
        ("unbatched", "one write a chunk"),
        ("stock", "stock Celery's send_task"),
    ):
        view.add_row(label, f"{report['dispatcher'][name]:.1f}")
    yield view
    for name, points in report.get("growth", {}).items():
        yield growth_table(name, points)


def stream_table(streams: Report) -> Table:
    """Return latency, frames and processor of each stream."""
    headings = ("p50 ms", "p95", "p99", "complete", "degraded", "dropped")
    view = _table("The whole pipeline, two workers", "case", *headings, *_cpu_headings())
    for name, got in streams.items():
        view.add_row(
            name,
            *(f"{got['latency_ms'][point]:.1f}" for point in ("p50", "p95", "p99")),
            *(str(got["frames"][state]) for state in ("complete", "degraded", "dropped")),
            *_cpu(got),
        )
    return view


def stage_table(streams: Report) -> Table:
    """Return where the time goes: the median of each stage."""
    view = _table("Where the time goes, p50 in ms", "case", *STAGES)
    for name, got in streams.items():
        view.add_row(name, *(f"{got['stages_ms'][stage]['p50']:.2f}" for stage in STAGES))
    return view


def capacity_table(capacity: Report) -> Table:
    """Return frames a second of the pool and of plain processes."""
    headings = ("÷ plain", "÷ plain, raw", "pool", "plain", "raw", "pool's CPU ms", "plain's")
    view = _table("Frames a second, as many as two workers do", "case", *headings)
    for name, got in capacity.items():
        rates, cost = got["frames_per_s"], got["cpu_ms"]
        view.add_row(
            name,
            f"{got['ratio']:.2f}",
            f"{got['ratio_raw']:.2f}",
            *(f"{rates[which]:.0f}" for which in ("pool", "plain", "plain_raw")),
            f"{cost['pool']:.1f}",
            f"{cost['plain']:.1f}",
        )
    return view


def growth_table(name: str, points: list[Report]) -> Table:
    """Return one curve."""
    view = _table(f"Growth with {name}", name, "p50 ms", "p99", *_cpu_headings())
    for point in points:
        latency = point["latency_ms"]
        view.add_row(
            str(point["n"]), f"{latency['p50']:.1f}", f"{latency['p99']:.1f}", *_cpu(point)
        )
    return view


def _cpu_headings() -> list[str]:
    return [f"CPU ms: {ROLES[0]}", *ROLES[1:]]


def _cpu(got: Report) -> Iterator[str]:
    return (f"{got['cpu_ms'][role]:.2f}" for role in ROLES)
