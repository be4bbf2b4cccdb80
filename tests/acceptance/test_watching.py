"""The real pool's picture in a real browser."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from p2c2g.media.frame import Size
from p2c2g_capture.sources.pattern import stamp_layout

from .browser import READER, wait_until
from .conftest import Command

pytestmark = pytest.mark.needs("chromium")


def address(command: Command, name: str) -> str:
    found = re.search(r"http://\S+", command.line_with(f"{name} at"))
    assert found is not None
    return found[0]


def test_the_frame_numbers_rise_on_the_canvas(start: Any, page: Page) -> None:
    demo: Command = start("p2c2g", "demo", "--source=pattern", "--size=640x360", "--port=0")
    page.goto(address(demo, "Watch"))
    page.evaluate(READER, stamp_layout(Size(1280, 720)))
    wait_until(page, "window.seen.length >= 60")
    seen = page.evaluate("window.seen")
    assert demo.end(signal.SIGINT).code == 0
    numbers = [shown["number"] for shown in seen]
    assert numbers == sorted(set(numbers)), "an older frame, or one twice"
    for shown in seen:
        assert shown["stamps"] == [shown["number"]] * 16, "a torn frame"


def shot(page: Page, path: Path) -> Any:
    """Return what is seen once there is something: between two demos the game is black."""
    while True:
        page.locator("#screen").screenshot(path=path)
        seen = cv2.imread(str(path)).astype(int)
        if seen.std() > 10:
            return seen


@pytest.mark.needs("Xvfb", "chocolate-doom")
def test_a_game_is_seen_moving_and_flower_sees_its_chunks(
    start: Any, page: Page, tmp_path: Path
) -> None:
    demo: Command = start(
        *("p2c2g", "demo", "--source=game", "--size=640x360", "--port=0", "--flower")
    )
    flower, watch = address(demo, "Flower"), address(demo, "Watch")
    page.goto(watch)
    page.keyboard.press("b")  # the base layer on the left, enhanced on the right
    page.evaluate(READER, [])
    shots = []
    for wanted in (30, 60):
        wait_until(page, f"window.seen.length >= {wanted}")
        shots.append(shot(page, tmp_path / f"game-{wanted}.png"))
    assert np.abs(shots[0] - shots[1]).mean() > 0.5, "the picture stands still"

    page.goto(flower)
    for name in ("peer1@demo", "peer2@demo"):
        expect(page.get_by_role("link", name=name)).to_be_visible()
    page.screenshot(path=tmp_path / "flower-workers.png")
    # Unlike its workers it lists its tasks once, and perhaps before it has heard of any.
    chunks = page.get_by_text("p2c2g.enhance")
    while not chunks.count():
        page.goto(f"{flower}/tasks", wait_until="networkidle")
    expect(chunks.first).to_be_visible()
    page.screenshot(path=tmp_path / "flower-tasks.png")
    demo.end(signal.SIGINT)
