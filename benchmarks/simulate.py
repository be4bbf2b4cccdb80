"""What the simulator says of the policies: the tables and the pictures of ``docs/routing.md``.

``python benchmarks/simulate.py`` prints the tables as Markdown; ``--images FOLDER`` draws the
pictures too; ``--real`` plays a small scenario with real processes instead, and compares.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.tables import Table, markdown
from p2c2g.simulator import plot
from p2c2g.simulator.distributions import Machines
from p2c2g.simulator.report import build_report, quietly
from p2c2g.simulator.scenario import Scenario
from p2c2g.simulator.world import World

POLICIES = ("capability", "weighted", "predictive", "affinity")
SEEDS = (7, 8, 9, 10, 11)
#: Lines on which bytes take hardly any time, in bits a second.
FAST_LINES = 1e9
#: Slow enough peers that it matters which one gets a chunk: 3 to 32 megapixels a second.
UNEVEN: dict[str, Any] = {
    "peers": 40,
    "machines": Machines(
        seconds_per_megapixel=0.1, spread=10, slots=1, rtt=0.02, bandwidth=FAST_LINES
    ),
}
#: One of eight peers stands still for half a second; a frame has sixteen chunks.
STALL: dict[str, Any] = {
    "peers": 8,
    "chunks": 16,
    "seconds": 14.0,
    "stall_at": 10.0,
    "gamer_rtt": 0.002,
    "machines": Machines(seconds_per_megapixel=0.1, slots=1, rtt=0.005, bandwidth=FAST_LINES),
}
#: Three gamers share six peers, one core each, which run `ml-large`; each stands still for a tenth
#: of a second now and then.  A session does not see what the others have sent since the last beat.
SHARED: dict[str, Any] = {
    "sessions": 3,
    "peers": 6,
    "chunks": 16,
    "fps": 10.0,
    "deadline": 0.2,
    "seconds": 20.0,
    "stragglers": 1.0,
    "stall": 0.1,
    "stall_every": 2.0,
    "machines": Machines(seconds_per_megapixel=0.12, slots=1, rtt=0.005, bandwidth=FAST_LINES),
}
#: The pool that is aimed at: strangers who come and go, stand still, and lie.
STRANGERS: dict[str, Any] = {"peers": 1000, "churn": 0.2, "stragglers": 0.05, "liars": 0.01}

Row = tuple[str, dict[str, Any]]


def rows() -> Iterator[tuple[str, list[Row]]]:
    """Give the tables: a title, and what each row is played with."""
    yield (
        "40 peers, the fastest ten times as fast as the slowest",
        [(policy, {**UNEVEN, "policy": policy}) for policy in POLICIES],
    )
    yield (
        "One of eight peers stands still for 500 ms",
        [
            (
                f"second runs {_word(second)}, stealing {_word(stealing)}",
                {**STALL, "second_runs": second, "stealing": stealing},
            )
            for second in (False, True)
            for stealing in (False, True)
        ],
    )
    yield (
        "Three gamers share six peers that stand still now and then",
        [
            (
                f"{name}, second runs {_word(second)}, stealing {_word(stealing)}",
                {**SHARED, "gamer_rtt": rtt, "second_runs": second, "stealing": stealing},
            )
            for name, rtt in (("near", 0.002), ("14 ms away", 0.014))
            for second in (False, True)
            for stealing in (False, True)
        ],
    )
    yield (
        "1,000 strangers: 20 % churn a minute, 5 % stragglers, 1 % liars",
        [
            (
                f"{policy}, {name}",
                {**STRANGERS, "policy": policy, "machines": Machines(bandwidth=bandwidth)},
            )
            for name, bandwidth in (("lines of 1 Gbit/s", FAST_LINES), ("home lines", None))
            for policy in ("capability", "predictive")
        ],
    )


def play(asked: dict[str, Any]) -> dict[str, Any]:
    """Play a scenario; return its report."""
    with quietly():
        world = World(Scenario(**asked))
        world.play()
    return build_report(world)


def table(title: str, asked: Sequence[Row], seeds: Sequence[int], workers: int) -> str:
    """Return a table of runs, each figure over all seeds."""
    jobs = [{**row, "seed": seed} for _, row in asked for seed in seeds]
    with ProcessPoolExecutor(workers) as pool:
        reports = list(pool.map(play, jobs))
    head = ("", "complete %", "late chunks %", "never sent %", "p50 ms", "p99 ms", "moved")
    lines: list[list[str]] = []
    for place, (name, _) in enumerate(asked):
        of_row = reports[place * len(seeds) : (place + 1) * len(seeds)]

        def total(*path: str, of_row: list[dict[str, Any]] = of_row) -> float:
            return sum(_get(report, *path) for report in of_row)

        chunks = total("chunks", "all") / 100
        count = len(of_row)
        cells = [
            f"{100 * total('frames', 'complete') / total('frames', 'captured'):.2f}",
            f"{total('chunks', 'late') / chunks:.3f}",
            f"{total('chunks', 'unsent') / chunks:.3f}",
            f"{total('latency_ms', 'p50') / count:.1f}",
            f"{total('latency_ms', 'p99') / count:.1f}",
            f"{total('steals', 'moved') / count:.0f}",
        ]
        lines.append([name, *cells])
    return f"**{title}**\n\n{markdown(Table(title, head, lines))}"


def real(seconds: float) -> str:
    """Play four peers with real processes and again here; return both figures.

    The simulator is told what the real peers took for their work.  It has no capture and no
    encoding, and hands a result over in no time: those stages of the real run are added.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "real.json")
        command = "from p2c2g.commands.main import main; main()"
        arguments = [
            "demo", "--headless", "--source=pattern", "--peers=4", "--fps=30", "--chunks=2x2",
            "--policy=capability",
            f"--seconds={seconds:g}", f"--report={path}",
        ]  # fmt: skip
        subprocess.run(
            [sys.executable, "-c", command, *arguments], check=True, timeout=seconds + 60
        )
        report = json.loads(path.read_text(encoding="utf-8"))
    stages = {name: got["p50"] / 1e3 for name, got in report["stages_ms"].items()}
    around = sum(stages[name] for name in ("capture", "encode", "reassemble"))
    megapixels = 0.2304  # a quarter of 1280x720
    work = (stages["decode"] + stages["process"] + stages["result"]) / megapixels
    machines = Machines(seconds_per_megapixel=work, slots=1, rtt=2e-4, bandwidth=1e10)
    got = play(
        {"peers": 4, "fps": 30.0, "seconds": seconds, "policy": "capability",
         "gamer_rtt": 2e-4, "machines": machines}
    )  # fmt: skip
    p50 = got["latency_ms"]["p50"] + around * 1e3
    complete = report["success_rate"]
    return (
        f"p50: real {report['latency_ms']['p50']:.1f} ms, simulated {p50:.1f} ms "
        f"({p50 / report['latency_ms']['p50'] - 1:+.0%})\n"
        f"complete: real {complete:.3%}, simulated {got['complete']:.3%}\n"
    )


def draw(folder: Path) -> None:
    """Draw the 1,000 strangers."""
    plot.check_folder(folder)
    world = World(Scenario(**STRANGERS, machines=Machines(bandwidth=FAST_LINES)))
    with quietly():
        world.play()
    for path in plot.draw(world, folder, "1,000 strangers, lines of 1 Gbit/s, predictive"):
        if path.stem == "peers":
            path.replace(path.with_name(f"routing-{path.name}"))
        else:  # The policies' picture has the latency, and the frames are all complete.
            path.unlink()


def draw_policies(folder: Path) -> None:
    """Draw the latency of each policy, among uneven peers and among strangers."""
    pools: dict[str, dict[str, Any]] = {
        "40 peers, 1 to 10 times as fast": UNEVEN,
        "1,000 strangers on home lines": STRANGERS,
    }
    latencies: plot.Panels = {}
    for title, pool in pools.items():
        latencies[title] = {}
        for policy in POLICIES:
            world = World(Scenario(**pool, policy=policy))
            with quietly():
                world.play()
            latencies[title][policy] = [
                each for gamer in world.gamers for each in gamer.figures.latencies
            ]
    plot.compare(latencies, world.scenario.deadline, folder / "routing-policies.png")


def _get(report: dict[str, Any], *path: str) -> float:
    value: Any = report
    for name in path:
        value = value[name]
    return float(value)


def _word(wanted: bool) -> str:
    return "on" if wanted else "off"


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="simulate.py", description=__doc__)
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="draw the pictures there")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), metavar="N")
    parser.add_argument("--workers", type=int, default=2, help="processes at once")
    parser.add_argument("--real", action="store_true", help="compare with real processes")
    parser.add_argument("--seconds", type=float, default=15.0, help="of the real run")
    options = parser.parse_args(argv)
    if options.real:
        print(real(options.seconds))
        return 0
    for title, asked in rows():
        print(table(title, asked, options.seeds, options.workers), flush=True)
    if options.images is not None:
        draw(options.images)
        draw_policies(options.images)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
