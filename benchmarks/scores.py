"""How a peer's score follows what it does: ``python benchmarks/scores.py`` draws the picture.

Lines are the formula of ``p2c2g/peers/ranking.py``.  Each dot is one simulated peer of which a
session has seen 200 results that vary as real ones do: what the session makes of them
(``health.py``) is a little beside the truth, and the dots show by how much.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from benchmarks.plot import _OURS, _SOFT, _STYLE
from p2c2g.peers.book import PeerBook
from p2c2g.peers.breaker import State
from p2c2g.peers.health import Health
from p2c2g.peers.ranking import Merits, merits, score

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "scores.png"
RESULTS = 200
#: What the other figures are while one is varied: a good peer next door.
ON_TIME, SERVICE, RTT, IN_A_ROW = 0.99, 0.010, 0.010, 50
#: How much single times vary: the deviation of their logarithm.
SPREAD = 0.25
#: A 95th percentile of such times, in means.
_P95 = 1.46


def simulated(
    on_time: float, seconds_per_megapixel: float, rtt: float, in_a_row: int, seed: int
) -> float:
    """Return the score of a peer after so many results.

    Args:
        on_time: the true share of its chunks in time.
        seconds_per_megapixel: true mean of seconds a megapixel.
        rtt: true mean of seconds of travel.
        in_a_row: comparisons in a row that agreed.
        seed: of what is random.
    """
    rng, health = random.Random(seed), Health(PeerBook())
    for number in range(RESULTS):
        vary = rng.lognormvariate(-(SPREAD**2) / 2, SPREAD)
        late = rng.random() >= on_time
        health.result(
            "p", "o", 1.0, seconds_per_megapixel * vary, rtt * vary, on_time=not late, now=number
        )
    return score(merits(health.of("p", "o"), in_a_row, State.CLOSED)).value


def exact(on_time: float, seconds_per_megapixel: float, rtt: float, in_a_row: int) -> float:
    """Return the score by the formula."""
    return score(
        Merits(
            on_time=on_time,
            results=RESULTS,
            seconds_per_megapixel=_P95 * seconds_per_megapixel,
            rtt=rtt,
            in_a_row=in_a_row,
        )
    ).value


#: Share in time, seconds a megapixel, seconds of travel, comparisons in a row.
_Peer = tuple[float, float, float, int]


def panel(axes: Axes, title: str, unit: str, values: Any, peer: Callable[[float], _Peer]) -> None:
    """Draw one figure's influence."""
    ends = (float(values[0]), float(values[-1]))
    line = np.linspace(*ends, 200)
    axes.plot(line, [exact(*peer(float(x))) for x in line], color=_OURS, linewidth=1.8)
    dots = [simulated(*peer(float(x)), seed=place) for place, x in enumerate(values)]
    axes.plot(values, dots, "o", color=_SOFT, markersize=3.5, alpha=0.8)
    axes.set(title=title, xlabel=unit, ylim=(0, 100), xlim=ends)


def draw(path: Path) -> None:
    """Write the picture.

    Args:
        path: of the PNG, which is replaced.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11.5, 3.1), layout=ConstrainedLayoutEngine(w_pad=0.1), dpi=130)
        time, speed, way, trust = figure.subplots(1, 4, sharey=True)
        panel(time, "In time", "% of chunks", np.linspace(0, 100, 41),
              lambda x: (x / 100, SERVICE, RTT, IN_A_ROW))  # fmt: skip
        panel(speed, "Speed", "ms a megapixel, mean", np.linspace(1, 300, 41),
              lambda x: (ON_TIME, x / 1e3, RTT, IN_A_ROW))  # fmt: skip
        panel(way, "Nearness", "ms of travel", np.linspace(0, 300, 41),
              lambda x: (ON_TIME, SERVICE, x / 1e3, IN_A_ROW))  # fmt: skip
        panel(trust, "Trust", "comparisons in a row", np.arange(0, 21),
              lambda x: (ON_TIME, SERVICE, RTT, int(x)))  # fmt: skip
        time.set_ylabel("score")
        figure.savefig(path)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=PICTURE, help="the PNG to write")
    given = parser.parse_args()
    draw(given.out)
    print(f"Wrote {given.out.name}.")


if __name__ == "__main__":
    main()
