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
from benchmarks.tables import TABLES, Table, markdown
from p2c2g.errors import UsageError

_ROOT = Path(__file__).resolve().parent.parent
Report = Mapping[str, Any]
Tables = Mapping[str, Callable[[Report], Iterable[Table]]]
#: What a marker may ask for: a table, or what was measured on.
NAMES = ("machine", *TABLES)
#: What is said of a machine with more to do than it has cores.
_BUSY = "It was busy with other things: its milliseconds say little, its ratios are rough. "
_PLACE = re.compile(r"(<!-- figures: ([a-z]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
#: Lines of a table of Markdown that are no rows.
_HEAD = 2


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


def written(name: str, report: Report, tables: Tables = TABLES) -> str:
    """Return what stands in the document for ``machine`` or the name of a table."""
    return machine(report) if name == "machine" else "\n".join(map(markdown, tables[name](report)))


def kept(before: str, now: str) -> str:
    """Return a table with those rows of another besides that it has no figures for.

    Rows are known by their first cell; those without any go with the one before them.  Of another
    head there is nothing to keep.
    """
    old, new = before.strip().splitlines(), now.strip().splitlines()
    if not new or old[:_HEAD] != new[:_HEAD]:
        return now or before
    rows = _by_name(old[_HEAD:]) | _by_name(new[_HEAD:])
    return "\n".join([*new[:_HEAD], *(line for lines in rows.values() for line in lines)]) + "\n"


def _by_name(lines: Iterable[str]) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        name = line.split("|")[1].strip() or name
        rows.setdefault(name, []).append(line)
    return rows


def fill(document: str, report: Report, tables: Tables = TABLES, *, is_part: bool = False) -> str:
    """Return the document with the report's tables between its markers.

    Args:
        document: with markers.
        report: of a run.
        tables: what a marker may ask for.
        is_part: whether it may be of a part: what it has no figures for stays as it is.

    Raises:
        UsageError: a marker names a table that there is not.
    """
    names = ("machine", *tables)

    def table(match: re.Match[str]) -> str:
        if match[2] not in names:
            raise UsageError(f"The document asks for {match[2]!r}: there is {', '.join(names)}.")
        text = written(match[2], report, tables)
        if is_part and match[2] in tables:
            text = kept(match[3].lstrip("\n"), text)
        return f"{match[1]}\n{text.rstrip(chr(10))}\n\n{match[4]}"

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
