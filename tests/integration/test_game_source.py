"""A real game in a virtual display of its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import psutil
import pytest

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Pixels, Size
from p2c2g_capture.sources.game import GameSource


@pytest.mark.parametrize(
    "game",
    [
        pytest.param(name, marks=pytest.mark.needs("Xvfb", name, "freedoom1"))
        for name in ("chocolate-doom", "crispy-doom")
    ],
)
@pytest.mark.parametrize("size", [Size(640, 360), Size(1280, 720)], ids=str)
def test_a_game_moves_and_fills_its_screen(game: str, size: Size) -> None:
    with GameSource(game, size) as source:
        pictures = different_pictures(source, 10)
        # A bar would be black in all of them.
        brightest = np.max(pictures, axis=0).max(axis=2)
        for edge in (brightest[0], brightest[-1], brightest[:, 0], brightest[:, -1]):
            assert (edge > 0).mean() > 0.9
        assert pictures[-1].std() > 10


@pytest.mark.needs("Xvfb", "chocolate-doom", "freedoom1")
def test_a_game_starts_again_when_its_demo_ends() -> None:
    now = [0.0]
    with GameSource("chocolate-doom", clock=lambda: now[0]) as source:
        now[0] += 60
        before = psutil.Process(source.pids[1])
        before.kill()
        psutil.wait_procs([before], timeout=30)
        different_pictures(source, 3)
        assert source.pids[1] != before.pid


@pytest.mark.needs("Xvfb", "chocolate-doom", "freedoom1")
def test_a_game_that_fails_at_once_is_not_started_for_ever() -> None:
    with GameSource("chocolate-doom", clock=lambda: 0.0) as source:
        psutil.Process(source.pids[1]).kill()
        with pytest.raises(SourceUnavailableError, match="ended by itself"):
            different_pictures(source, 1000)


@pytest.mark.needs("Xvfb", "chocolate-doom", "freedoom1")
def test_close_ends_the_game_and_its_display() -> None:
    with GameSource("chocolate-doom") as source:
        pids = source.pids
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.needs("Xvfb", "chocolate-doom", "freedoom1")
def test_a_game_does_not_outlive_a_session_that_is_killed() -> None:
    code = (
        "import signal\n"
        "from p2c2g_capture.sources.game import GameSource\n"
        "source = GameSource('chocolate-doom')\n"
        "print(*source.pids, flush=True)\n"
        "signal.pause()\n"
    )
    session = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    with session:
        assert session.stdout is not None
        children = [psutil.Process(int(pid)) for pid in session.stdout.readline().split()]
        session.kill()
    assert len(children) == 2
    _, alive = psutil.wait_procs(children, timeout=30)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


def different_pictures(source: GameSource, count: int) -> list[Pixels]:
    """Grab until so many pictures have differed from the one before."""
    pictures: list[Pixels] = []
    number = 0
    while len(pictures) < count:
        pixels = source.grab(number)[:, :, :3]
        if not pictures or not np.array_equal(pixels, pictures[-1]):
            pictures.append(pixels)
        number += 1
    return pictures
