"""The real pool's picture in a real browser."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from time import monotonic
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Error, Page, expect

from p2c2g.media.frame import Size
from p2c2g_capture.sources.pattern import stamp_layout

from .browser import READER, wait_until
from .conftest import PATIENCE, Command

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


def is_there(page: Page, address: str) -> bool:
    """Go to a page of a server that was started; tell whether it listens yet."""
    try:
        page.goto(address)
    except Error as error:
        if "ERR_CONNECTION_REFUSED" not in error.message:
            raise
        return False
    return True


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
    wait_until(page, "window.seen.length >= 30")
    first = shot(page, tmp_path / "game-first.png")
    wait_until(page, "window.seen.length >= 60")
    # Who plays a demo may stand still for a while.
    deadline = monotonic() + PATIENCE
    while np.abs(shot(page, tmp_path / "game-later.png") - first).mean() <= 0.5:
        assert monotonic() < deadline, "the picture stands still"

    deadline = monotonic() + PATIENCE
    while not is_there(page, flower):
        assert monotonic() < deadline, "Flower does not start"
        page.wait_for_timeout(100)
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
