"""``python -m tests.load``: run a session with ever more light peers, and print one table.

Exits with 1 where something was left pending, or a light peer failed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.options import Parser, new_file, number, run, whole
from p2c2g.routing.policies import POLICIES
from tests.load import tables, trial
from tests.load.terms import Terms

#: Peers of each run.
PEERS = (10, 50, 100, 200)


def main(arguments: list[str]) -> int:
    """Run as the arguments say; return the exit status."""
    asked = _parser().parse_args(arguments)
    console = Console(stderr=True)
    report: dict[str, Any] = {
        "cpus": os.cpu_count(),
        "terms": Terms(seconds=asked.seconds, fps=asked.fps).as_json(),
        "real_worker": trial.real_worker(),
        "runs": [],
    }
    for peers in asked.peers:
        for policy in asked.policy:  # In turns, since a busy moment harms who meets it.
            console.print(f"{peers} peers, {policy}, {asked.seconds:g} s …")
            terms = Terms(peers=peers, policy=policy, seconds=asked.seconds, fps=asked.fps)
            report["runs"].append(trial.run(terms))
    for table in tables.shown(report):
        Console(width=None if sys.stdout.isatty() else tables.WIDTH).print(table)
    print(tables.notes(report))  # noqa: T201
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if asked.document:
        text = asked.document.read_text(encoding="utf-8")
        asked.document.write_text(tables.fill(text, report), encoding="utf-8")
    broken = [
        f"{each['peers']} peers, {each['policy']}: {what}"
        for each in report["runs"]
        for what in (*each["pending"], *each["failures"])
    ]
    for line in broken:
        sys.stderr.write(f"BROKEN {line}\n")
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="tests.load", description="Measure a session among many light peers.")
    parser.add_argument(
        "--peers", nargs="+", type=whole("a number of peers", 1, 1000), default=PEERS, metavar="N"
    )
    parser.add_argument(
        "--policy", nargs="+", choices=sorted(POLICIES), default=["capability", "predictive"]
    )
    parser.add_argument(
        "--seconds", type=number("a time in seconds", 1, 3600), default=20.0, metavar="S",
        help="length of each run (default: 20)",
    )  # fmt: skip
    parser.add_argument(
        "--fps", type=number("frames a second", 1, 240), default=30.0, metavar="N",
        help="frames a second, of four chunks each (default: 30)",
    )  # fmt: skip
    parser.add_argument("--json", type=new_file(".json"), metavar="FILE", help="all figures")
    parser.add_argument(
        "--document", type=Path, metavar="FILE", help="put the table between its markers there"
    )
    return parser


if __name__ == "__main__":
    run(main)
