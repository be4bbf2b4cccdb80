"""What a routing decision costs, and what it is worth.

The cost: microseconds of one ``choose`` at 10, 100 and 1,000 peers, each policy beside a plain
scan of all peers in the same run, in turns, so that a busy machine harms both.  The worth:
percent of chunks later than their deadline, in the queueing model of ``benchmarks/queueing.py``.

Run ``python benchmarks/routing.py --help``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.options import Parser, number, run
from benchmarks.queueing import MEGAPIXELS, Model, Terms
from p2c2g.peers.candidate import Candidate
from p2c2g.routing.policies import POLICIES, make
from p2c2g.routing.policy import Job, Policy

PEERS = (10, 100, 1000)
#: Decisions of one turn, in which the weights are summed again twice; turns of each policy.
TURN, TURNS = 512, 9
SCAN = "plain scan"
TARGET_US = 50.0


class Scan:
    """Predict for every peer, and take the least."""

    def choose(self, job: Job, pool: Sequence[Candidate], now: float) -> Candidate | None:
        """Return the peer that would be back first."""
        return min(
            (each for each in pool if each.id not in job.used),
            key=lambda each: each.finish(job.megapixels),
            default=None,
        )


def pool_of(peers: int, random: Random) -> tuple[Candidate, ...]:
    """Return peers as they are in the midst of work."""
    found = []
    for index in range(peers):
        seconds_per_megapixel = 0.15 / 10 ** random.random()
        slots = random.choice((1, 1, 2, 4))
        found.append(
            Candidate(
                f"peer{index}",
                slots=slots,
                seconds_per_megapixel=seconds_per_megapixel,
                seconds_per_megapixel_p95=seconds_per_megapixel * 1.5,
                rtt=random.uniform(0.010, 0.060),
                own=random.randrange(2 * slots),
                others=random.randrange(slots + 1),
            )
        )
    return tuple(found)


def decision_cost(seed: int) -> dict[str, dict[str, float]]:
    """Return the median microseconds of one decision, by policy and by number of peers."""
    makers: dict[str, Callable[[], Policy]] = {
        SCAN: Scan,
        **{name: lambda name=name: make(name, Random(seed)) for name in POLICIES},  # type: ignore[misc]
    }
    result: dict[str, dict[str, float]] = {name: {} for name in makers}
    for peers in PEERS:
        pool = pool_of(peers, Random(seed))
        policies = {name: maker() for name, maker in makers.items()}
        turns: dict[str, list[float]] = {name: [] for name in policies}
        for _ in range(TURNS):
            for name, policy in policies.items():
                turns[name].append(_turn(policy, pool))
        for name, took in turns.items():
            result[name][str(peers)] = round(statistics.median(took) * 1e6, 2)
    return result


def _turn(policy: Policy, pool: Sequence[Candidate]) -> float:
    """Return the seconds of one decision; a chunk in eight is a second run."""
    jobs = [
        Job("bench", index % 16, MEGAPIXELS, 0.1, (pool[0].id,) if index % 8 == 0 else ())
        for index in range(TURN)
    ]
    begun = time.thread_time()
    for job in jobs:
        policy.choose(job, pool, 0.0)
    return (time.thread_time() - begun) / TURN


def cases(seconds: float, seed: int) -> Iterator[tuple[str, Terms]]:
    """Give what is compared, by a name."""
    base = Terms(seconds=seconds, seed=seed)
    yield "1 session, all peers", replace(base, sessions=1, pooled=False)
    yield "4 sessions, all peers", replace(base, pooled=False)
    yield "4 sessions, own pools", base
    stalls = replace(base, stalls=True)
    yield "… a peer stalls", stalls
    yield "… and is stolen from", replace(stalls, stealing=True)


def worth(seconds: float, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return what came of each policy in each case."""
    return {
        case: {policy: asdict(Model(replace(terms, policy=policy)).run()) for policy in POLICIES}
        for case, terms in cases(seconds, seed)
    }


def tables(report: Mapping[str, Any]) -> Iterator[Table]:
    """Give the two tables of a report."""
    cost = report["decision_us"]
    view = _table("One decision, µs (× a plain scan)", *(f"{peers} peers" for peers in PEERS))
    for name, by_peers in cost.items():
        view.add_row(
            name,
            *(f"{us:.1f} ({us / cost[SCAN][peers]:.2f})" for peers, us in by_peers.items()),
        )
    yield view
    view = _table("Chunks late, % (p99 in ms; moves that found, and did not)", *POLICIES)
    for case, by_policy in report["late"].items():
        view.add_row(case, *map(_cell, by_policy.values()))
    yield view


def _cell(got: Mapping[str, float]) -> str:
    moves = f"; {got['moved']}, {got['missed']}" if got["moved"] or got["missed"] else ""
    return f"{got['late']:.2f} ({got['p99']:.0f}{moves})"


def _table(title: str, *headings: str) -> Table:
    view = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    view.add_column("")
    for heading in headings:
        view.add_column(heading, justify="right")
    return view


def main(argv: list[str]) -> int:
    """Measure, print, and return the exit status: 1 where a decision takes too long."""
    parser = Parser(prog="routing.py", description="Measure and compare the routing policies.")
    parser.add_argument(
        "--seconds",
        metavar="S",
        default=20.0,
        type=number("a time in seconds", 3, 3600),
        help="of the model's time, for each case and policy (default: 20)",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        default=7.0,
        type=number("a seed", 0, 1e9),
        help="of all chance (default: 7)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options: argparse.Namespace = parser.parse_args(argv)
    seed = int(options.seed)
    report: dict[str, Any] = {
        "decision_us": decision_cost(seed),
        "late": worth(options.seconds, seed),
    }
    if options.json:
        print(json.dumps(report))
    else:
        for table in tables(report):
            Console().print(table)
    slowest = max(report["decision_us"][name][str(max(PEERS))] for name in POLICIES)
    return int(slowest > TARGET_US)


if __name__ == "__main__":
    run(main)
