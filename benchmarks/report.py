"""Puts one run's figures into ``docs/performance.md``, between its markers.

``<!-- figures: NAME -->`` and ``<!-- end -->`` stand around each table in the document, which
is otherwise written by hand.  The tables come from the JSON that ``make bench`` writes, so a
figure in the document is a figure that was measured::

    python benchmarks/report.py out/bench.json
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.options import Parser, run
from benchmarks.rungs import RUNGS
from benchmarks.streaming import ROLES
from benchmarks.targets import targets
from p2c2g.errors import UsageError
from p2c2g.session.tally import STAGES

_ROOT = Path(__file__).resolve().parent.parent
Report = Mapping[str, Any]

#: What is said of a machine with more to do than it has cores.
_BUSY = "It was busy with other things: its milliseconds say little, its ratios are rough. "
_PLACE = re.compile(r"(<!-- figures: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of Markdown; all columns but the first are of numbers."""
    head = list(headings)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _machine(report: Report) -> str:
    made = report["made"]
    machine, versions = made["machine"], made["versions"]
    busy = max(made["load"]) > machine["cpus"]
    loads = " and ".join(f"{load:g}" for load in made["load"])
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{machine['cpus']} × {machine['cpu']}, {made['at'][:10]}"
        f"{', a quick run' if made['quick'] else ''}; load {loads} before and after. "
        f"{_BUSY if busy else ''}"
        f"Versions: {names}.\n"
    )


def _targets(report: Report) -> str:
    return _table(
        ("measure", "figure", "target", ""),
        (
            (
                each.measure,
                f"**{each.value:.4g}** {each.unit}".strip(),
                f"{each.relation} {each.bound:g}",
                "met" if each.met else "missed",
            )
            for each in targets(report)
        ),
    )


def _ladder(report: Report) -> str:
    ladder = report["ladder"]
    lowest = next(iter(ladder.values()))
    return _table(
        ("taken out, rung by rung", "p50 ms", "p99 ms", "tasks/s", "× stock"),
        (
            (
                rung.label,
                f"{got['p50_ms']:.1f}",
                f"{got['p99_ms']:.1f}",
                f"{got['tasks_per_s']:.0f}",
                f"{got['tasks_per_s'] / lowest['tasks_per_s']:.1f}",
            )
            for rung in RUNGS
            for got in (ladder[rung.name],)
        ),
    )


def _roundtrip(report: Report) -> str:
    cases = report["roundtrip"]
    names = list(dict.fromkeys(name for got in cases.values() for name in got))

    def cell(got: Report, name: str) -> str:
        figures = got.get(name)
        if figures is None:
            return "–"
        return f"{figures['p50_ms']:.1f} ms · {figures['tasks_per_s']:.0f}/s"

    return _table(
        ("RTT ms, KiB", *names),
        (
            (case.replace("rtt=", "").replace("kib=", " "), *(cell(got, name) for name in names))
            for case, got in cases.items()
        ),
    )


def _loopback(report: Report) -> str:
    got = report["loopback"]
    floor = got["redis"]
    return _table(
        ("", "p50 ÷ Redis", "p50 ms", "p99 ms", "tasks/s"),
        (
            (
                name,
                f"{each['p50_ms'] / floor['p50_ms']:.2f}",
                f"{each['p50_ms']:.2f}",
                f"{each['p99_ms']:.2f}",
                f"{each['tasks_per_s']:.0f}",
            )
            for name, each in got.items()
        ),
    )


def _streams(report: Report) -> str:
    return _table(
        ("case", "p50 ms", "p95", "p99", "complete", "degraded", "dropped",
         *(f"CPU ms: {role}" for role in ROLES)),
        (
            (
                name,
                *(f"{got['latency_ms'][point]:.1f}" for point in ("p50", "p95", "p99")),
                *(str(got["frames"][state]) for state in ("complete", "degraded", "dropped")),
                *(f"{got['cpu_ms'][role]:.1f}" for role in ROLES),
            )
            for name, got in report["streams"].items()
        ),
    )  # fmt: skip


def _stages(report: Report) -> str:
    return _table(
        ("case", *STAGES),
        (
            (name, *(f"{got['stages_ms'][stage]['p50']:.2f}" for stage in STAGES))
            for name, got in report["streams"].items()
        ),
    )


def _capacity(report: Report) -> str:
    return _table(
        ("case", "÷ plain", "÷ plain, raw", "pool", "plain", "plain, raw",
         "CPU ms: pool", "plain", "plain, raw"),
        (
            (
                name,
                f"**{got['ratio']:.2f}**",
                f"{got['ratio_raw']:.2f}",
                *(f"{got['frames_per_s'][way]:.0f}/s" for way in ("pool", "plain", "plain_raw")),
                *(f"{got['cpu_ms'][way]:.1f}" for way in ("pool", "plain", "plain_raw")),
            )
            for name, got in report["capacity"].items()
        ),
    )  # fmt: skip


def _dispatcher(report: Report) -> str:
    got = report["dispatcher"]
    return _table(
        ("576 chunks/s of 40 KiB", "% of a core"),
        (
            ("the dispatcher: one write a frame", f"**{got['percent']:.1f}**"),
            ("the dispatcher, one write a chunk", f"{got['unbatched']:.1f}"),
            ("stock Celery's `send_task`, msgpack", f"{got['stock']:.1f}"),
        ),
    )


def _growth(report: Report) -> str:
    return "\n".join(
        _table(
            (name, "p50 ms", "p99", *(f"CPU ms: {role}" for role in ROLES)),
            (
                (
                    str(point["n"]),
                    *(f"{point['latency_ms'][key]:.1f}" for key in ("p50", "p99")),
                    *(f"{point['cpu_ms'][role]:.2f}" for role in ROLES),
                )
                for point in points
            ),
        )
        for name, points in report["growth"].items()
    )


TABLES: dict[str, Callable[[Report], str]] = {
    "machine": _machine,
    "targets": _targets,
    "ladder": _ladder,
    "roundtrip": _roundtrip,
    "loopback": _loopback,
    "streams": _streams,
    "stages": _stages,
    "capacity": _capacity,
    "dispatcher": _dispatcher,
    "growth": _growth,
}


def fill(document: str, report: Report) -> str:
    """Return the document with the report's tables between its markers.

    Raises:
        UsageError: a marker names a table that there is not.
    """

    def table(match: re.Match[str]) -> str:
        if match[2] not in TABLES:
            raise UsageError(f"The document asks for {match[2]!r}: there is {', '.join(TABLES)}.")
        return f"{match[1]}\n{TABLES[match[2]](report)}\n{match[3]}"

    return _PLACE.sub(table, document)


def main(argv: list[str]) -> int:
    """Fill the document, and return the exit status."""
    parser = Parser(prog="report.py", description="Put a run's figures into the document.")
    parser.add_argument("report", nargs="?", default=_ROOT / "out" / "bench.json", type=Path)
    parser.add_argument(
        "--document", default=_ROOT / "docs" / "performance.md", type=Path, metavar="FILE"
    )
    options: argparse.Namespace = parser.parse_args(argv)
    for path in (options.report, options.document):
        if not path.is_file():
            raise UsageError(f"There is no file {str(path)!r}: make bench writes out/bench.json.")
    report = json.loads(options.report.read_text(encoding="utf-8"))
    text = options.document.read_text(encoding="utf-8")
    options.document.write_text(fill(text, report), encoding="utf-8")
    print(f"The figures of {options.report} are in {options.document}.")
    return 0


if __name__ == "__main__":
    run(main)
