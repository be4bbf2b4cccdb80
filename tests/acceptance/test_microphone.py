"""A viewer's microphone, from a real browser to a program that records on the gamer's machine.

A file of its own: the browser has flags of its own, and Playwright runs once at a time.
"""

from __future__ import annotations

from contextlib import closing
from time import monotonic
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

from p2c2g.system.processes import find
from p2c2g_capture.sound import pulse
from p2c2g_capture.sound.pulse import GameSink, PulseSource, devices
from tests import lane

from .browser import FLAGS, PATIENCE

pytestmark = pytest.mark.needs("chromium", "pulseaudio", "pactl", "parec")


def test_a_viewer_speaks_into_a_microphone_of_the_machine(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may take longer than a player waits.
    monkeypatch.setattr(pulse, "_ANSWER", lane.PATIENCE)
    monkeypatch.setattr(pulse, "_START", lane.PATIENCE)
    with GameSink() as server, sync_playwright() as playwright:
        address = server.told["PULSE_SERVER"]
        run = start(
            "p2c2g-capture", "run", "--source=pattern", "--size=320x180", "--ops=upscale:2",
            "--where=here", "--port=0", "--microphone", PULSE_SERVER=address,
        )  # fmt: skip
        url = run.line_with("Watch at").split()[-1]
        # Its microphone beeps.
        fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        program = find("chromium")
        with closing(
            playwright.chromium.launch(
                executable_path=program, args=[*FLAGS, *fake], timeout=PATIENCE
            )
        ) as browser:
            page = browser.new_page()
            page.goto(url)
            button = page.locator("#microphone")
            expect(button).to_be_visible()
            expect(page.locator("#speaking")).to_be_hidden()
            name = next(each for each in devices(address) if each.startswith("p2c2g-microphone"))
            with closing(PulseSource("it", lambda: ("-d", name), address)) as heard:
                # Closed and opened again before it was open, as by who clicks too often.
                button.evaluate("(button) => { for (let n = 0; n < 3; n++) button.click(); }")
                expect(page.locator("#speaking")).to_have_text("Your microphone is open")
                wait_for_sound(heard)
            # One at a time.
            second = browser.new_page()
            second.goto(url)
            second.locator("#microphone").click()
            expect(second.locator("#speaking")).to_have_text("Somebody else speaks.")
            button.click()
            expect(button).to_have_attribute("aria-pressed", "false")
            expect(page.locator("#speaking")).to_be_hidden()
        assert run.end().code == 0
        assert not [each for each in devices(address) if "p2c2g-microphone" in each]


def wait_for_sound(source: PulseSource) -> None:
    deadline = monotonic() + 60
    while (block := source.read()) is None or np.abs(block.samples).max() < 1000:
        assert monotonic() < deadline, "nothing is heard"
