"""From a key in the browser into the game, and to the picture that shows it.

``python benchmarks/input.py``.  A real ``p2c2g-capture run`` and a real browser on this machine:

-   *still*: a window that only hears keys, and two pictures a second; both clocks are the system's.
-   *window*: the same with 30 pictures a second.
-   *pattern*: the test pattern, which shows a mark for each key; until the mark is on the canvas.
-   *automap*: Chocolate Doom, whose map comes and goes by one key; until most of the canvas has
    changed.  The game looks at keys 35 times a second.
-   *turning*: the same game's view, turned by the mouse; by how much the late shift is off.

What is drawn takes a browser without a graphics card long, and both share this machine's cores.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.input_page import PATIENCE, Browser, browser
from benchmarks.options import Parser, run
from p2c2g.errors import SourceUnavailableError, UnavailableError
from p2c2g.media.frame import Size
from p2c2g.system import processes
from p2c2g_capture.input.echo import mark
from p2c2g_capture.input.keys import NUMBERS
from p2c2g_capture.sources.game import _find_data
from p2c2g_capture.sources.xvfb import VirtualDisplay

#: A key that changes nothing in any of the games, and the one of Doom's map.
KEY, MAP = "KeyK", "Tab"
#: What Doom does a second.
TICS = 35
#: What the target allows beside the game's own tic and the picture's latency, in milliseconds.
ALLOWED = 10.0
_SIZE = Size(640, 360)
#: The mouse turns by as much however fast it is moved.
_CONFIG = """\
use_mouse 1
grabmouse 1
novert 1
mouse_acceleration 1.0
mouse_sensitivity 5
startup_delay 0
show_endoom 0
aspect_ratio_correct 0
"""


@contextmanager
def metronome() -> Iterator[subprocess.Popen[str]]:
    """Run what notes when the machine wakes nobody in time."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.metronome"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def session(source: str, display: str | None, fps: int) -> Iterator[str]:
    """Run a session; give the address by which one plays."""
    words = ["run", f"--source={source}", "--ops=upscale:2", "--where=here", f"--fps={fps}"]
    words += ["--port=0", "--input=on"] + ([f"--size={_SIZE}"] if source == "pattern" else [])
    command = [sys.executable, "-c", "from p2c2g_capture.cli import main; main()", *words]
    env = {**os.environ} | ({"DISPLAY": display} if display else {})
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            told = []
            for line in process.stdout:
                told.append(line)
                if line.startswith("Play at"):
                    break
            else:
                raise UnavailableError(f"The session did not begin: {''.join(told)[-500:]}")
            drain = threading.Thread(target=process.stdout.read)
            drain.start()
            yield line.split()[-1]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
            drain.join()


def figures(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 of milliseconds."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)

    return {"count": len(ordered), "p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99)}


def window(opened: Callable[[str], Browser], presses: int, fps: int = 30) -> dict[str, Any]:
    """Measure until a window hears the key."""
    heard: list[dict[str, Any]] = []
    with ExitStack() as stack:
        display = stack.enter_context(VirtualDisplay(_SIZE))
        game = subprocess.Popen(
            [sys.executable, "-m", "tests.xgame", display.name], stdout=subprocess.PIPE, text=True
        )
        stack.callback(game.wait)
        stack.callback(game.kill)
        assert game.stdout is not None
        assert game.stdout.readline()
        lines = game.stdout
        listener = threading.Thread(target=lambda: heard.extend(map(json.loads, lines)))
        listener.start()
        stack.callback(listener.join)
        stack.callback(game.kill)
        url = stack.enter_context(session("screen:window=game", display.name, fps))
        ticking = stack.enter_context(metronome())
        page = opened(url)
        for _ in range(presses):
            page.press("k", (0, 0, 1, 1, 999))
        pressed = page.presses()
        stages = page.page.get_attribute("#input-group", "title")
        late, _ = ticking.communicate()
        page.page.close()
    downs = [each for each in heard if each["name"] == "key down"]
    took = [down["at_ms"] - press["epoch"] for down, press in zip(downs, pressed, strict=False)]
    numbers = {each["number"] for each in downs}
    if numbers != {NUMBERS[KEY]} or len(downs) != presses:
        raise UnavailableError(f"Of {presses} keys {len(downs)} were heard: {numbers}.")
    # Those during which an idle process was woken in time: the rest says how busy the machine is.
    wall = time.time() - time.monotonic()
    stood = [((at - lateness + wall) * 1e3, (at + wall) * 1e3) for at, lateness in json.loads(late)]
    alone = [
        ms
        for ms, down, press in zip(took, downs, pressed, strict=True)
        if not any(since < down["at_ms"] and until > press["epoch"] for since, until in stood)
    ]
    undisturbed = figures(alone) if alone else None
    return {**figures(took), "undisturbed": undisturbed, "stages": stages}


def pattern(opened: Callable[[str], Browser], presses: int, fps: int = 60) -> dict[str, Any]:
    """Measure until the pattern's mark is on the canvas."""
    at = mark(_SIZE, NUMBERS[KEY])
    part = (at.x * 64 // _SIZE.width, at.y * 36 // _SIZE.height + 1, 2, 1, 60)
    with session("pattern", None, fps) as url:
        page = opened(url)
        for number in range(presses):
            page.press("k", part)
            page.wait(f"window.presses.length === {number + 1} && window.presses.at(-1).shown > 0")
        pressed = page.presses()
        page.page.close()
    return shown(pressed)


def automap(opened: Callable[[str], Browser], presses: int, fps: int = 60) -> dict[str, Any]:
    """Measure until Doom's map has come or gone on the canvas."""
    with doom() as display, session("screen", display, fps) as url:
        page = opened(url)
        for number in range(presses):
            page.press("Tab", (4, 2, 56, 24, 12))
            page.wait(f"window.presses.length === {number + 1} && window.presses.at(-1).shown > 0")
        pressed = page.presses()
        page.page.close()
    got = shown(pressed)
    allowed = round(1e3 / TICS + got["age"]["p95_ms"] + ALLOWED, 1)
    return {**got, "allowed_p95_ms": allowed}


def turning(opened: Callable[[str], Browser], presses: int, fps: int = 30) -> dict[str, Any]:
    """Turn Doom's view by the mouse, and ask the late shift by how much it is off."""
    with doom() as display, session("screen", display, fps) as url:
        page = opened(url).page
        page.get_by_role("button", name="Mouse look").click()
        page.wait_for_function("document.pointerLockElement !== null")
        page.evaluate("document.getElementById('late-shift').click()")
        page.mouse.move(640, 400)
        at = 640.0
        for number in range(4 * presses):
            at += 14 * math.sin(number / 9)
            page.mouse.move(round(at), 400)
            time.sleep(0.02)
        says = str(page.get_attribute("#input-group", "title"))
        page.close()
    found = re.search(r"off by ([\d.]+) %.* (\d+) ms late", says)
    if found is None:
        raise UnavailableError(f"The late shift has learnt nothing: {says[-200:]}")
    return {"off_percent": float(found[1]), "lag_ms": int(found[2])}


@contextmanager
def doom() -> Iterator[str]:
    """Play Doom's first level on a display of its own, and give that; nothing else moves there."""
    program = processes.find("chocolate-doom")
    if program is None:
        raise SourceUnavailableError("No game is installed: apt-get install chocolate-doom.")
    with ExitStack() as stack:
        display = stack.enter_context(VirtualDisplay(_SIZE))
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in ("main.cfg", "extra.cfg"):
            (home / name).write_text(_CONFIG)
        game = subprocess.Popen(
            [
                *(program, "-iwad", str(_find_data()), "-warp", "1", "1", "-nomonsters"),
                *("-skill", "1", "-window", "-geometry", str(_SIZE), "-nosound", "-nogui"),
                *("-config", str(home / "main.cfg"), "-extraconfig", str(home / "extra.cfg")),
            ],
            env={
                "PATH": os.environ["PATH"], "HOME": str(home), "DISPLAY": display.name,
                "SDL_RENDER_DRIVER": "software", "SDL_FRAMEBUFFER_ACCELERATION": "0",
                "SDL_AUDIODRIVER": "dummy",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(game.wait)
        stack.callback(game.kill)
        time.sleep(6)  # it melts its title away
        yield display.name


def shown(pressed: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return the figures of presses until they were shown, until a picture that shows them was
    grabbed, how old those pictures were then, and what lay between two pictures."""
    return {
        **figures([each["shown"] for each in pressed]),
        "grabbed": figures([each["shown"] - each["age"] for each in pressed]),
        "apart": figures([each["apart"] for each in pressed]),
        "age": figures([each["age"] for each in pressed]),
    }


def still(opened: Callable[[str], Browser], presses: int) -> dict[str, Any]:
    """Measure until a window hears the key, with two pictures a second to draw."""
    return window(opened, presses, fps=2)


CASES: dict[str, Callable[[Callable[[str], Browser], int], dict[str, Any]]] = {
    "still": still, "window": window, "pattern": pattern, "automap": automap,
    "turning": turning,
}  # fmt: skip


def measure(presses: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure each case; one that cannot be has a sentence in place of its figures."""
    report: dict[str, Any] = {}
    try:
        with browser() as opened:
            for name, case in CASES.items():
                tell(f"input: {name}")
                try:
                    report[name] = case(opened, presses)
                except UnavailableError as error:
                    report[name] = {"missing": str(error)}
    except UnavailableError as error:
        return {name: {"missing": str(error)} for name in CASES}
    return report


def main(argv: list[str]) -> int:
    """Measure, and print the figures as JSON."""
    parser = Parser(prog="input.py", description="From a key in the browser into the game.")
    parser.add_argument("--presses", type=int, default=200, help="of each case (default: 200)")
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    options: argparse.Namespace = parser.parse_args(argv)
    for name in set(CASES) - set(options.cases):
        del CASES[name]
    print(json.dumps(measure(options.presses, lambda line: print(line, file=sys.stderr)), indent=1))
    return 0


if __name__ == "__main__":
    run(main)
