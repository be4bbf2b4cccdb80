"""How far the sound is from its picture, in a real browser.

``python -m benchmarks.sound``.  A test picture flashes and beeps once a second; the real command
captures both, Chromium shows the one and plays the other.  A page's flash is when the canvas is
white, its beep when the sound leaves the machine by the browser's own account.  After the first
minute, or a third of the time, the pictures come at half the rate, and a peer is killed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from time import monotonic, sleep
from typing import Annotated, Any

import typer
from playwright.sync_api import sync_playwright
from rich.console import Console

from p2c2g.media.sound import PACKET_SECONDS
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.system import processes
from p2c2g_capture.sound.pulse import GameSink
from tests.acceptance.browser import FLAGS
from tests.hearing import LISTEN, offsets

CAPTURE = "from p2c2g_capture.cli import main; main()"
WORKER = "from p2c2g.commands.main import main; main()"
#: Seconds until all has started.
BEGINNING = 5.0


@contextmanager
def capture(*args: str) -> Iterator[str]:
    """Run the gamer's side; give the page's address."""
    with subprocess.Popen(
        [sys.executable, "-c", CAPTURE, "run", "--source=pattern:beep", "--port=0", *args],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = next(each for each in process.stdout if "Watch at" in each)
            found = re.search(r"http://\S+", line)
            assert found is not None
            yield found[0]
        finally:
            process.terminate()


def peer(broker: str) -> subprocess.Popen[bytes]:
    """Start a peer."""
    return processes.start(
        [sys.executable, "-c", WORKER, "peer", "run", "--broker", broker, "-c", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def sound_cpu(page: Any) -> tuple[float, float]:
    """Return the packets until now, and the seconds of a core that they took."""
    told = page.evaluate("window.told ?? {packets: 0, cpu: 0}")
    return told["packets"], told["cpu"]


def listen(page: Any, seconds: float) -> tuple[list[float], list[float]]:
    """Collect beeps and flashes."""
    heard: list[float] = []
    flashed: list[float] = []
    end = monotonic() + seconds
    while monotonic() < end:
        sleep(1)
        heard += page.evaluate("window.heard()")
        flashed += page.evaluate("window.flashed()")
    return heard, flashed


def main(
    seconds: Annotated[float, typer.Option(help="How long each part is.")] = 20.0,
    size: str = "320x180",
    fps: float = 30.0,
    only: Annotated[list[str] | None, typer.Option(help="Of the parts.")] = None,
    *,
    server: Annotated[
        bool, typer.Option(help="Have Chromium play into a PulseAudio server; else into nothing.")
    ] = False,
) -> None:
    """Measure, and print a line for each part."""
    console = Console()
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker())
        playwright = stack.enter_context(sync_playwright())
        told = stack.enter_context(GameSink()).told if server else {}
        chromium = playwright.chromium.launch(
            executable_path=processes.find("chromium"),
            args=[*FLAGS, "--autoplay-policy=no-user-gesture-required"],
            env={**os.environ, **told},
            ignore_default_args=["--mute-audio"] if server else None,
        )
        peers = [peer(broker.url), peer(broker.url)]
        here, pool = ("--where=here",), ("--where=peers", f"--broker={broker.url}")
        parts = (
            ("watching", (*here, f"--fps={fps}"), ""),
            ("playing", (*here, f"--fps={fps}"), "?hold=off"),
            ("two peers, one killed", (*pool, f"--fps={fps}"), ""),
            ("half the rate", (*here, f"--fps={fps / 2}"), ""),
        )
        for name, args, query in parts:
            if only and name not in only:
                continue
            with capture(f"--size={size}", "--ops=upscale:2", *args) as url:
                page = chromium.new_page()
                page.add_init_script(f"({LISTEN})()")
                page.goto(url + query)
                page.locator("#sound").click()
                listen(page, BEGINNING)
                began = sound_cpu(page)
                heard, flashed = listen(page, seconds / 2)
                if "peers" in name:
                    peers[0].kill()
                more = listen(page, seconds / 2)
                packets, cpu = (
                    now - then for now, then in zip(sound_cpu(page), began, strict=True)
                )
                share = cpu / max(packets * PACKET_SECONDS, 1e-9)
                late = offsets(heard + more[0], flashed + more[1])
                far = sorted(map(abs, late))
                said = page.evaluate("window.soundFigures ?? {}")
                console.print(
                    f"{name}: {len(late)} beeps of {len(flashed + more[1])} flashes; sound later "
                    f"by {median(late or [0]):.1f} ms (p50), |offset| p95 "
                    f"{far[int(0.95 * (len(far) - 1))] if far else 0:.1f} ms; "
                    f"the sound's thread {100 * share:.1f} % of a core; the page says "
                    f"{', '.join(f'{key} {value:.1f}' for key, value in said.items())}",
                    soft_wrap=True,
                )
                page.close()
        for each in peers:
            processes.stop(each)
        chromium.close()


if __name__ == "__main__":
    typer.run(main)
