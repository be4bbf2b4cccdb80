"""What a routing decision costs: microseconds of one ``choose``.

At 10, 100 and 1,000 peers, each policy beside a plain scan of all peers in the same run, in
turns, so that a busy machine harms both.  What a policy is worth is for the simulator to say
(``simulate.py``).  Run ``python benchmarks/routing.py --help``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from benchmarks.options import Parser, run, whole
from benchmarks.tables import Table, view
from p2c2g.peers.candidate import Candidate
from p2c2g.routing.policies import POLICIES, make
from p2c2g.routing.policy import Job, Policy
from p2c2g.routing.pool import QUARTER

PEERS = (10, 100, 1000)
#: Decisions of one turn, in which the weights are summed twice; turns of each policy.
TURN, TURNS = 512, 9
SCAN = "plain scan"
TARGET_US = 50.0


class Scan:
    """The plain way: predict for every peer, take the least."""

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
        Job("bench", index % 16, QUARTER, 0.1, (pool[0].id,) if index % 8 == 0 else ())
        for index in range(TURN)
    ]
    begun = time.thread_time()
    for job in jobs:
        policy.choose(job, pool, 0.0)
    return (time.thread_time() - begun) / TURN


def table(cost: Mapping[str, Mapping[str, float]]) -> Table:
    """Return the figures, each with its ratio to a plain scan."""
    rows = [
        (name, *(f"{us:.1f} ({us / cost[SCAN][peers]:.2f})" for peers, us in by_peers.items()))
        for name, by_peers in cost.items()
    ]
    return Table(
        "One decision, µs (× a plain scan)", ("", *(f"{peers} peers" for peers in PEERS)), rows
    )


def main(argv: list[str]) -> int:
    """Measure, print, and return the exit status: 1 where a decision takes too long."""
    parser = Parser(prog="routing.py", description="Measure what a routing decision costs.")
    parser.add_argument(
        "--seed", metavar="N", default=7, type=whole("a seed", 0, 10**9), help="default: 7"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options: argparse.Namespace = parser.parse_args(argv)
    cost = decision_cost(options.seed)
    if options.json:
        print(json.dumps(cost))
    else:
        Console().print(view(table(cost)))
    slowest = max(cost[name][str(max(PEERS))] for name in POLICIES)
    return int(slowest > TARGET_US)


if __name__ == "__main__":
    run(main)
