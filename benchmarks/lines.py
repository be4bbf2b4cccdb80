"""What a home's line carries: a real session and a real peer, with a narrow line between.

Frames of games are played over lines of which rate, queue, jitter and losses are set by a delay
proxy.  Parts:

lines
    each line: frames complete, latency, dB over the base, bytes, flicker;
fall
    a line that falls from 40 to 4 Mbit/s and comes back, over time;
overload
    a peer that is asked for twice what it can do;
still
    a picture that stands, beside one that moves;
saved
    bits at the same dB over the base, against a curve of fixed settings;
limits
    what a gamer and a peer give at most, over any two seconds.

With ``--before`` another version, from a folder with its files, plays the same in the same run.
``--out`` keeps the parts that an earlier run has measured, and ``--document`` their rows.

Run ``python benchmarks/lines.py --help``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from benchmarks import lines_cases
from benchmarks.bench import FULL, made
from benchmarks.lines_cases import CASES, NEAR, PEER
from benchmarks.lines_player import Run
from benchmarks.lines_rig import GAMER, Rig, Way
from benchmarks.lines_tables import BEFORE, NOW, TABLES
from benchmarks.measuring import Tell
from benchmarks.options import Parser, new_file, number, run
from benchmarks.report import fill
from benchmarks.tables import view
from p2c2g.errors import UsageError

_ROOT = Path(__file__).resolve().parent.parent
PARTS = ("lines", "fall", "overload", "still", "saved", "limits")
#: Pictures a second that are compared with the original.
COMPARE = 4.0
#: What a peer does where it is to have too much to do: a net that it has no ladder for.
HEAVY = "upscale:2:ml-small"


def measure(options: argparse.Namespace, report: dict[str, Any], tell: Tell) -> None:
    """Measure the parts that are asked for, into the report.

    Raises:
        UnavailableError: a part of the pool does not start or ends with an error.
    """
    films = [str(film) for film in options.films] or [""]
    order = Run(film=films[0], seconds=options.seconds, compare=COMPARE)
    plays = list(_plays(options, order))
    for version, tree in _versions(options) if plays else ():
        for part, name, begin, act in plays:
            tell(f"{part}: {name}, {version}" if name else f"{part}, {version}")
            place = report.setdefault(part, {})
            # A peer of its own for each: what one knows of its line takes a while to change.
            with Rig(begin, tree=tree, pace=options.pace) as rig:
                (place.setdefault(name, {}) if name else place)[version] = act(rig)
    if "saved" in options.parts:
        for film in films:
            tell(f"saved: {Path(film).stem or 'the shipped clip'}")
            report.setdefault("saved", {})[Path(film).stem or "clip"] = _saved(
                options, replace(order, film=film)
            )

    if "limits" in options.parts:
        tell("limits")
        report["limits"] = lines_cases.limits(replace(order, compare=0.0))


def _versions(options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    if options.before is not None:
        yield BEFORE, options.before
    yield NOW, _ROOT


def _plays(
    options: argparse.Namespace, order: Run
) -> Iterator[tuple[str, str, dict[str, Way], Any]]:
    """Give each run of a version: its part, its name in that, the first lines, and what does it."""
    near = {GAMER: NEAR, PEER: NEAR}
    if "lines" in options.parts:
        for case in CASES:
            if not options.cases or any(word in case.name for word in options.cases):
                yield "lines", case.name, lines_cases.lines_of(case), _over(case, order)
    if "fall" in options.parts:
        longer = replace(order, seconds=3 * order.seconds)
        yield (
            "fall",
            "",
            near | {PEER: lines_cases.fallen(lines_cases.FALL_FROM)},
            lambda rig: lines_cases.fall(rig, longer),
        )
    if "overload" in options.parts:
        heavy = replace(order, ops=HEAVY, compare=0.0)
        yield "overload", "", near, lambda rig: lines_cases.overload(rig, heavy)
    if "still" in options.parts:
        plain = replace(order, compare=0.0)
        yield "still", "", near | {PEER: Way.of(100, 40)}, lambda rig: lines_cases.still(rig, plain)


def _over(case: lines_cases.Case, order: Run) -> Any:
    return lambda rig: lines_cases.line(rig, case, order)


def _saved(options: argparse.Namespace, order: Run) -> dict[str, Any]:
    """Return the curve of fixed settings, of the version before where it is there, and this."""
    lines = {GAMER: NEAR, PEER: NEAR}
    with Rig(lines, tree=options.before or _ROOT) as rig:
        points = lines_cases.curve(rig, order)
    with Rig(lines) as rig:
        got = lines_cases.line(rig, CASES[0], lines_cases.patient(order))
    return {
        "fixed": points,
        "mbps": round(got["mbps_up"] + got["mbps_down"], 3),
        "gain_db": got["gain_db"],
        "saved": lines_cases.saved(points, got),
    }


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="lines.py", description="Measure what a home's line carries.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--cases", nargs="+", metavar="WORD", default=[], help="only lines with such a word"
    )
    parser.add_argument(
        "--films", nargs="+", metavar="FILE", type=Path, default=[],
        help="films at 1280x720 (benchmarks/lines_films.py); the first is for all parts but saved, "
        "which has a row for each.  Without any, the shipped clip, and no dB",
    )  # fmt: skip
    parser.add_argument(
        "--before", metavar="FOLDER", type=Path, default=None, help="files of another version"
    )
    parser.add_argument(
        "--seconds", metavar="S", default=6.0, type=number("a time in seconds", 1, 600),
        help="of each single run (default: 6; the fall takes three times as long)",
    )  # fmt: skip
    parser.add_argument(
        "--pace", metavar="SHARE", default=1.0, type=number("a share", 0.05, 1),
        help="play and let lines go so much slower, and tell figures as if not: for a machine "
        "that others use, too (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="FILE", default=_ROOT / "out" / "lines.json", type=new_file(".json"),
        help="where the JSON goes (default: out/lines.json)",
    )  # fmt: skip
    parser.add_argument("--plot", metavar="FILE", default=None, type=new_file(".png"))
    parser.add_argument(
        "--document", metavar="FILE", default=None, type=Path, help="put the tables into it"
    )
    options = parser.parse_args(argv)
    for path in (*options.films, *filter(None, (options.document,))):
        if not path.is_file():
            raise UsageError(f"There is no file {str(path)!r}.")
    if options.before is not None and not (options.before / "p2c2g").is_dir():
        raise UsageError(f"There is no version of p2c2g in the folder {str(options.before)!r}.")
    return options


def main(argv: list[str]) -> int:
    """Measure, print, write, and return the exit status."""
    options = arguments(argv)
    progress = Console(stderr=True, highlight=False)
    report: dict[str, Any] = {}
    if options.out.is_file():
        report = json.loads(options.out.read_text(encoding="utf-8"))
    report["made"] = made(FULL) | {"pace": options.pace}
    measure(options, report, lambda line: progress.print(line, style="dim"))
    report["made"]["load"].append(round(os.getloadavg()[0], 1))
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _tell(report)
    print(f"The figures are in {options.out}.")
    if options.document is not None:
        text = options.document.read_text(encoding="utf-8")
        options.document.write_text(fill(text, report, TABLES, is_part=True), encoding="utf-8")
    if options.plot is not None and report.get("fall"):
        from benchmarks.lines_plot import draw  # matplotlib comes by an extra

        draw(report["fall"], options.plot)
        print(f"The plot is in {options.plot}.")
    return 0


def _tell(report: Mapping[str, Any]) -> None:
    for tables in TABLES.values():
        for table in tables(report):
            Console().print(view(table))


if __name__ == "__main__":
    run(main)
