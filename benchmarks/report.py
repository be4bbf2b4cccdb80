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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.options import Parser, run
from benchmarks.tables import TABLES, markdown
from p2c2g.errors import UsageError

_ROOT = Path(__file__).resolve().parent.parent
Report = Mapping[str, Any]

#: What a marker may ask for: a table, or what was measured on.
NAMES = ("machine", *TABLES)
#: What is said of a machine with more to do than it has cores.
_BUSY = "It was busy with other things: its milliseconds say little, its ratios are rough. "
_PLACE = re.compile(r"(<!-- figures: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def machine(report: Report) -> str:
    """Return a paragraph: on what, when and with which versions a run was made."""
    made = report["made"]
    about, versions = made["machine"], made["versions"]
    busy = max(made["load"]) > about["cpus"]
    loads = " and ".join(f"{load:g}" for load in made["load"])
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{about['cpus']} × {about['cpu']}, {made['at'][:10]}"
        f"{', a quick run' if made['quick'] else ''}; load {loads} before and after. "
        f"{_BUSY if busy else ''}"
        f"Versions: {names}.\n"
    )


def written(name: str, report: Report) -> str:
    """Return what stands in the document for a name of :data:`NAMES`."""
    return machine(report) if name == "machine" else "\n".join(map(markdown, TABLES[name](report)))


def fill(document: str, report: Report) -> str:
    """Return the document with the report's tables between its markers.

    Raises:
        UsageError: a marker names a table that there is not.
    """

    def table(match: re.Match[str]) -> str:
        if match[2] not in NAMES:
            raise UsageError(f"The document asks for {match[2]!r}: there is {', '.join(NAMES)}.")
        return f"{match[1]}\n{written(match[2], report)}\n{match[3]}"

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
