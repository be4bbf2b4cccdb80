"""What a picture that stands costs, beside one that moves: bytes, and processor seconds.

One worker on this machine.  What moves is the shipped clip; the other pictures stand, have a
pointer that goes round, noise of one level, and two that take turns.

Run ``python -m benchmarks.still``; a minute.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, process_time, sleep

import numpy as np

from benchmarks.options import Parser
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Frame, Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.messaging.broker import Broker
from p2c2g.session.config import SessionConfig
from p2c2g.session.session import Session
from p2c2g_capture.sources import open_source, shipped_clip
from tests.pool import Pool

FPS = 30.0
#: Frames of the clip that are shown, over and over.
REEL = 300
#: Seconds that a session has to warm up.
WARM = 2.0
Scene = Callable[[int], Pixels]


def scenes(reel: list[Pixels]) -> dict[str, Scene]:
    """Return by name what is shown as the frame of a number."""
    still, other = reel[0], reel[len(reel) // 2]
    random = np.random.default_rng(1)

    def pointer(number: int) -> Pixels:
        pixels = still.copy()
        x, y = 7 * number % (still.shape[1] - 16), 3 * number % (still.shape[0] - 24)
        pixels[y : y + 20, x : x + 12] = 255
        return pixels

    def noise(_: int) -> Pixels:
        shaken = still.astype(np.int16) + random.integers(-1, 2, still.shape)
        return np.asarray(np.clip(shaken, 0, 255), np.uint8)

    return {
        "moving": lambda number: reel[number % len(reel)],
        "still": lambda _: still,
        "pointer": pointer,
        "noise": noise,
        "two in turn": lambda number: (still, other)[number % 2],
    }


def play(pool: Pool, config: SessionConfig, scene: Scene, seconds: float) -> dict[str, float]:
    """Show a scene; return what a second of it cost, once it is under way."""
    with Broker(pool.settings()) as broker, Session(broker, config, lambda _: None) as session:
        began, number = monotonic(), 0
        before: dict[str, float] = {}

        def costs() -> dict[str, float]:
            return {
                "workers": pool.cpu()["workers"], "session": process_time(),
                "up": float(session.tally.up), "down": float(session.tally.down),
                "at": monotonic(),
            }  # fmt: skip

        while (now := monotonic()) < began + WARM + seconds:
            if not before and now >= began + WARM:
                before = costs()
            sleep(max(0.0, began + number / FPS - now))
            captured_at = monotonic()
            session.submit(Frame(number, scene(number), captured_at, monotonic()))
            number += 1
        after = costs()
        known = session.figures()["known"]["share"]
    span = after.pop("at") - before.pop("at")
    return {name: (after[name] - before[name]) / span for name in after} | {"known": known}


def main(arguments: list[str]) -> int:
    """Measure, and print a table."""
    parser = Parser(prog="benchmarks.still", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each scene")
    parser.add_argument("--size", type=Size.parse, default=Size(640, 360))
    parser.add_argument("--ops", type=Pipeline.parse, default=Pipeline.parse("upscale:2:ml-tiny"))
    wanted = parser.parse_args(arguments)
    source = open_source(f"video:{shipped_clip()}", wanted.size, FPS)
    reel = [source.grab(number).copy() for number in range(REEL)]
    config = SessionConfig(
        Size.of(reel[0]), wanted.ops, Grid(2, 1), fps=FPS, deadline=0.2,
        steady=False,  # All alike, however busy the machine is.
    )  # fmt: skip
    print("| picture | KiB/s up | down | workers, ms of CPU a second | session | known |")
    print("|---|---:|---:|---:|---:|---:|")
    with TemporaryDirectory() as folder, Pool(Path(folder)) as pool:
        pool.worker("one")
        for name, scene in scenes(reel).items():
            costs = play(pool, config, scene, wanted.seconds)
            print(
                f"| {name} | {costs['up'] / 1024:.1f} | {costs['down'] / 1024:.1f} | "
                f"{costs['workers'] * 1e3:.1f} | {costs['session'] * 1e3:.0f} | "
                f"{100 * costs['known']:.1f} % |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
