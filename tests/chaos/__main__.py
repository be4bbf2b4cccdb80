"""``python -m tests.chaos --seed 7 --seconds 60``: run the chaos and say what broke.

Exits with 1 where an invariant broke.  The last line is a JSON object: the figures of the run,
or with ``--seeds`` the sums and worst cases of all, each run's own line before it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from p2c2g.errors import UsageError
from p2c2g.media.frame import Size
from p2c2g.routing.policies import POLICIES
from tests.chaos.scenario import TOLERANCE, Options, Outcome, faults_of, run

#: Violations that are told one by one; the rest is a count.
TOLD = 40


def main(arguments: list[str] | None = None) -> int:
    """Run as the arguments say; return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        options = [
            Options(
                seed=seed,
                seconds=asked.seconds,
                source=asked.source,
                size=Size.parse(asked.size),
                fps=asked.fps,
                deadline=asked.deadline / 1e3,
                policy=asked.policy,
                tolerance=asked.tolerance / 1e3,
                keep=asked.keep,
            )
            for seed in range(asked.seed, asked.seed + asked.seeds)
        ]
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    lines = []
    for each in options:
        _say(f"Seed {each.seed}, {each.seconds:g} s of {each.source}:")
        for fault in faults_of(each):
            _say(f"  {fault}")
        outcome = run(each)
        _tell(outcome)
        lines.append(outcome.figures)
        if len(options) > 1:
            _say(json.dumps(outcome.figures))
    broken = any(line["broken"] for line in lines)
    _say(json.dumps(lines[0] if len(lines) == 1 else _sum(lines)))
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="what the faults are drawn from")
    parser.add_argument("--seeds", type=int, default=1, help="run so many seeds, from --seed on")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a run")
    parser.add_argument("--source", choices=("pattern", "clip"), default="pattern")
    parser.add_argument("--size", default="320x180", help="of the source, such as 640x360")
    parser.add_argument("--policy", choices=tuple(POLICIES), default="capability")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--deadline", type=float, default=100.0, help="milliseconds")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e3 * TOLERANCE,
        help="milliseconds that the machine may take to wake the session",
    )
    parser.add_argument("--keep", type=Path, help="folder for the logs of workers and session")
    return parser


def _tell(outcome: Outcome) -> None:
    for violation in outcome.violations[:TOLD]:
        _say(f"  BROKEN {violation}")
    if len(outcome.violations) > TOLD:
        _say(f"  … and {len(outcome.violations) - TOLD} more")
    if outcome.violations:
        _say(f"  To see it again: make chaos SEED={outcome.options.seed} "
             f"SECONDS={outcome.options.seconds:g}")  # fmt: skip


def _sum(lines: list[dict[str, Any]]) -> dict[str, Any]:
    broken: dict[str, int] = {}
    for line in lines:
        for name, count in line["broken"].items():
            broken[name] = broken.get(name, 0) + count
    outside = sum(line["outside_faults"]["frames"] for line in lines)
    complete = sum(line["outside_faults"]["complete"] for line in lines)
    worst = (
        "longest_recovery_ms",
        "longest_recovery_with_other_faults_ms",
        "longest_return_of_broker_ms",
        "longest_gap_ms",
        "latest_after_deadline_ms",
        "machine_held_up_ms",
    )
    return {
        "seeds": [line["seed"] for line in lines],
        "failed_seeds": [line["seed"] for line in lines if line["broken"]],
        "faults": sum(line["faults"] for line in lines),
        "broken": broken,
        "frames": {
            name: sum(line["frames"][name] for line in lines) for name in lines[0]["frames"]
        },
        "outside_faults": {
            "frames": outside,
            "complete": complete,
            "share": round(complete / outside, 4) if outside else None,
        },
        **{name: max((line[name] for line in lines if line[name]), default=None) for name in worst},
        "late_for_the_machines_sake": sum(line["late_for_the_machines_sake"] for line in lines),
        "lies_shown": sum(line["lies_shown"] for line in lines),
        "liars": [liar for line in lines for liar in line["liars"]],
    }


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
