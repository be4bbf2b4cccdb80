"""One run's figures as tables, each defined once: for the terminal, and for the documents.

Pure.  Each function gives the tables of one part of a report; ``**`` around a figure makes it
bold in a document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.table import Table as RichTable

from benchmarks.rungs import RUNGS
from benchmarks.streaming import ROLES
from benchmarks.targets import targets
from p2c2g.session.tally import STAGES

Report = Mapping[str, Any]
#: What all round trips are compared with.
FLOOR = "redis"

_CPU = tuple(f"CPU ms: {role}" for role in ROLES)
_FRAMES = ("complete", "degraded", "dropped")


class Table(NamedTuple):
    """A table; all columns but the first are of numbers."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def markdown(table: Table) -> str:
    """Return a table of Markdown, without its title."""
    lines = [table.head, ["---", *["---:"] * (len(table.head) - 1)], *table.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def view(table: Table) -> RichTable:
    """Return a table for the terminal."""
    shown = RichTable(box=box.SIMPLE_HEAD, title=table.title, title_justify="left")
    for place, heading in enumerate(table.head):
        shown.add_column(heading, justify="right" if place else "left")
    for row in table.rows:
        shown.add_row(*(cell.replace("**", "") for cell in row))
    return shown


# -- the parts of a report -------------------------------------------------------------------------


def bounds(report: Report) -> Iterator[Table]:
    """Give what has a target, ratios before milliseconds."""
    rows = [
        (
            each.measure,
            f"**{each.value:.4g}** {each.unit}".strip(),
            f"{each.relation} {each.bound:g}",
            "met" if each.met else "missed",
        )
        for each in targets(report)
    ]
    yield Table("P2C2G's benchmarks", ("measure", "figure", "target", ""), rows)


def ladder(report: Report) -> Iterator[Table]:
    """Give each rung beside the lowest."""
    got = report["ladder"]
    lowest = next(iter(got.values()))
    head = ("taken out, rung by rung", "p50 ms", "p99 ms", "tasks/s", "× stock")
    rows = [
        (
            rung.label,
            f"{got[rung.name]['p50_ms']:.1f}",
            f"{got[rung.name]['p99_ms']:.1f}",
            f"{got[rung.name]['tasks_per_s']:.0f}",
            f"{got[rung.name]['tasks_per_s'] / lowest['tasks_per_s']:.1f}",
        )
        for rung in RUNGS
    ]
    yield Table("The ladder", head, rows)


def roundtrip(report: Report) -> Iterator[Table]:
    """Give each case, with a column a contender."""
    cases = report["roundtrip"]
    names = list(dict.fromkeys(name for got in cases.values() for name in got))

    def cell(figures: Report | None) -> str:
        if figures is None:
            return "–"
        return f"{figures['p50_ms']:.1f} ms · {figures['tasks_per_s']:.0f}/s"

    rows = [
        (case.replace("rtt=", "").replace("kib=", " "), *(cell(got.get(name)) for name in names))
        for case, got in cases.items()
    ]
    yield Table("Round trips", ("RTT ms, KiB", *names), rows)


def trips(report: Report) -> Iterator[Table]:
    """Give the same with a row a contender and case, for a terminal that is narrow."""
    rows = [
        (
            f"{name}, {case.replace('rtt=', 'RTT ').replace(',kib=', ' ms, ')} KiB: tasks/s",
            f"{figures['tasks_per_s']:.0f}, p50 {figures['p50_ms']:.1f} ms",
        )
        for case, got in report["roundtrip"].items()
        for name, figures in got.items()
    ]
    yield Table("Round trips", ("contender, case", "figures"), rows)


def contenders(title: str, got: Report) -> Table:
    """Return the contenders of one case beside the floor."""
    floor = got.get(FLOOR)
    rows = [
        (
            name,
            f"{each['p50_ms'] / floor['p50_ms']:.2f}" if floor else "–",
            f"{each['p50_ms']:.2f}",
            f"{each['p99_ms']:.2f}",
            f"{each['tasks_per_s']:.0f}",
        )
        for name, each in got.items()
    ]
    return Table(title, ("", "p50 ÷ Redis", "p50 ms", "p99 ms", "tasks/s"), rows)


def loopback(report: Report) -> Iterator[Table]:
    """Give what a task costs by itself."""
    yield contenders("On loopback, 100 KiB each way, no work", report["loopback"])


def streams(report: Report) -> Iterator[Table]:
    """Give latency, frames and processor of each stream."""
    rows = [
        (
            name,
            *(f"{got['latency_ms'][point]:.1f}" for point in ("p50", "p95", "p99")),
            *(str(got["frames"][state]) for state in _FRAMES),
            *(f"{got['cpu_ms'][role]:.1f}" for role in ROLES),
        )
        for name, got in report["streams"].items()
    ]
    head = ("case", "p50 ms", "p95", "p99", *_FRAMES, *_CPU)
    yield Table("The whole pipeline, two workers", head, rows)


def stages(report: Report) -> Iterator[Table]:
    """Give where the time goes: the median of each stage."""
    rows = [
        (name, *(f"{got['stages_ms'][stage]['p50']:.2f}" for stage in STAGES))
        for name, got in report["streams"].items()
    ]
    yield Table("Where the time goes, p50 in ms", ("case", *STAGES), rows)


def capacity(report: Report) -> Iterator[Table]:
    """Give frames a second of the pool and of plain processes."""
    ways = ("pool", "plain", "plain_raw")
    head = ("case", "÷ plain", "÷ plain, raw", "pool", "plain", "plain, raw",
            "CPU ms: pool", "plain", "plain, raw")  # fmt: skip
    rows = [
        (
            name,
            f"**{got['ratio']:.2f}**",
            f"{got['ratio_raw']:.2f}",
            *(f"{got['frames_per_s'][way]:.0f}/s" for way in ways),
            *(f"{got['cpu_ms'][way]:.1f}" for way in ways),
        )
        for name, got in report["capacity"].items()
    ]
    yield Table("Frames a second, as many as two workers do", head, rows)


def dispatcher(report: Report) -> Iterator[Table]:
    """Give what the thread that sends costs."""
    got = report["dispatcher"]
    rows = [
        ("the dispatcher: one write a frame", f"**{got['percent']:.1f}**"),
        ("the dispatcher, one write a chunk", f"{got['unbatched']:.1f}"),
        ("stock Celery's `send_task`, msgpack", f"{got['stock']:.1f}"),
    ]
    yield Table("The thread that sends", ("576 chunks/s of 40 KiB", "% of a core"), rows)


def played(report: Report) -> Iterator[Table]:
    """Give how long a key takes, into the game and to the picture that shows it."""
    got = report.get("input", {})
    head = ("from a key in the browser", "p50 ms", "p95 ms", "p99 ms")
    named = {
        "still": "to the game's window, two pictures a second",
        "window": "to the game's window, 30 pictures a second",
        "pattern": "to the test pattern's mark on the canvas",
        "automap": "to Chocolate Doom's map on the canvas",
    }
    rows = [
        (told, *(f"{got[name][f'{part}_ms']:.1f}" for part in ("p50", "p95", "p99")))
        for name, told in named.items()
        if "p50_ms" in got.get(name, {})
    ]
    if rows:
        yield Table("A key", head, rows)


def confinement(report: Report) -> Iterator[Table]:
    """Give an open pool beside one's own."""
    own, strangers = (report["confinement"][kind] for kind in ("own", "open"))
    rows = [
        (name, f"{own[key]:.2f}", f"{strangers[key]:.2f}", f"{strangers[key] - own[key]:+.2f}")
        for key, name in (
            ("p50_ms", "p50 of a frame alone, ms"),
            ("p95_ms", "p95, ms"),
            ("frames_per_s", "frames a second, four out"),
            ("session_ms", "processor of the session, ms a frame"),
            ("workers_ms", "processor of the workers, ms a frame"),
        )
    ]
    yield Table("An open pool beside one's own", ("", "own pool", "open pool", "more"), rows)


def sealing(report: Report) -> Iterator[Table]:
    """Give what an open pool's seals and signatures take, at both ends together."""
    got = report["sealing"]
    names = {
        "seal": "seal a chunk",
        "open": "open it",
        "sign and seal": "sign and seal a result",
        "open result": "open it",
        "check signature": "check its signature: of one in eight",
        "whole": "**all of it**",
    }
    rows = [(name, *(f"{each[step]:.3f}" for each in got.values())) for step, name in names.items()]
    rows.append(("bytes that are added", *(f"{each['bytes']:.0f}" for each in got.values())))
    head = ("ms, of a chunk and a result of …", *(f"{kib} KiB each" for kib in got))
    yield Table("Sealing", head, rows)


def growth(report: Report) -> Iterator[Table]:
    """Give each curve."""
    for name, points in report["growth"].items():
        rows = [
            (
                str(point["n"]),
                *(f"{point['latency_ms'][key]:.1f}" for key in ("p50", "p99")),
                *(f"{point['cpu_ms'][role]:.2f}" for role in ROLES),
            )
            for point in points
        ]
        yield Table(f"Growth with {name}", (name, "p50 ms", "p99", *_CPU), rows)


#: By the names that the documents' markers have.
TABLES: dict[str, Callable[[Report], Iterator[Table]]] = {
    "targets": bounds,
    "ladder": ladder,
    "roundtrip": roundtrip,
    "loopback": loopback,
    "streams": streams,
    "stages": stages,
    "capacity": capacity,
    "dispatcher": dispatcher,
    "sealing": sealing,
    "confinement": confinement,
    "growth": growth,
}
