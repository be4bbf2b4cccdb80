"""The peer's own page, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from p2c2g.lending.state import State, Word
from p2c2g.messaging.metering import Meter
from p2c2g_workers.page.done import Done
from p2c2g_workers.page.machine import MachineWatch
from p2c2g_workers.page.server import PageServer, token_of
from p2c2g_workers.wishes import Spoken

from .browser import PATIENCE

pytestmark = pytest.mark.needs("chromium")

#: A desktop, and a phone.
SIZES = ((1280, 900), (390, 844))


class Shown:
    """A peer that has worked, and that its owner can pause."""

    def __init__(self) -> None:
        self.wishes = Spoken()
        self.machine = MachineWatch(Meter()).look()
        self.done = Done()
        for each in range(30):
            self.done.note(0.0123, 4096, f"gamer-{each % 3}")
        self.slots, self.cores, self.is_kept = 2, 2, True
        self.log: list[dict[str, Any]] = [
            {"at": 1e9, "level": "WARNING", "text": "<b>not bold</b> " + "long " * 40},
            {"at": 1e9, "level": "INFO", "text": "attic@host ready."},
        ]

    @property
    def state(self) -> State:
        why = self.wishes.paused()
        return State(
            pid=1, version="0.1.0", name="attic@host", label="attic", why=why, chunks=30, total=30,
            word=Word.PAUSED if why else Word.WORKING, rate=7.5, gamers=3, worked=0.4,
            started=1e9, written=1e9 + 90, last_chunk=1e9 + 80,
        )  # fmt: skip


@pytest.fixture(scope="module")
def shown() -> Shown:
    return Shown()


@pytest.fixture(scope="module")
def address(shown: Shown) -> Iterator[str]:
    server = PageServer(shown, token_of(None), 0)
    yield server.start()
    server.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def test_it_is_read_by_everybody_on_a_desk_and_on_a_phone(page: Page, address: str) -> None:
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.goto(address)
        expect(page.get_by_role("status").first).to_have_text("Works")
        expect(page.locator("#log b").first).to_have_text("warning")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") == width
    # A stranger's text is text.
    expect(page.locator("#log li").first).to_contain_text("<b>not bold</b>")
    assert "token" not in page.url


def test_what_was_asked_before_a_change_is_not_shown_after_it(
    page: Page, address: str, shown: Shown
) -> None:
    page.goto(address)
    expect(page.get_by_role("button", name="Pause")).to_be_enabled()
    page.evaluate("""() => {
      const word = document.getElementById("word");
      window.words = [];
      const seen = new MutationObserver(() => window.words.push(word.textContent));
      seen.observe(word, {childList: true});
    }""")
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.route("**/state", hold)
    while not held:
        page.wait_for_timeout(50)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    (route, response), *_ = held
    route.fulfill(response=response)
    # This is in an answer after it.
    shown.wishes.change({"limits.max_cpu": "50%"})
    expect(page.locator("#cpu-said")).to_have_text("50 % at most")
    assert page.evaluate("window.words") == ["Paused"]
    page.unroute("**/state")
    shown.wishes.change({"limits.max_cpu": ""})
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_what_is_moved_again_stays_as_it_is_while_it_is_on_its_way(
    page: Page, address: str, shown: Shown
) -> None:
    page.goto(address)
    slider = page.get_by_label("Processor", exact=True)
    expect(slider).to_be_enabled()
    page.evaluate("""() => {
      const said = document.getElementById("cpu-said");
      window.said = [];
      const seen = new MutationObserver(() => window.said.push(said.textContent));
      seen.observe(said, {childList: true});
    }""")
    held: list[Route] = []
    page.route("**/limits", lambda route: held.append(route))
    for count in (1, 2):
        slider.press("ArrowLeft")
        while len(held) < count:
            page.wait_for_timeout(50)
    with page.expect_response("**/limits"):
        held[0].continue_()
    # What is asked now is answered by what the first has changed.
    for _ in range(2):
        with page.expect_response("**/state"):
            pass
    held[1].continue_()
    _wait(lambda: shown.wishes.limits().max_cpu == 0.9)
    said = page.evaluate("window.said")
    shown.wishes.change({"limits.max_cpu": ""})
    assert "95 % at most" not in said[said.index("90 % at most") :], said


def test_limits_and_pause_work_by_the_keyboard(page: Page, address: str, shown: Shown) -> None:
    page.goto(address)
    slider = page.get_by_label("Processor", exact=True)
    expect(slider).to_be_enabled()
    slider.focus()
    for _ in range(4):
        slider.press("ArrowLeft")
    expect(page.locator("#cpu-said")).to_have_text("80 % at most")
    assert slider.get_attribute("aria-valuetext") == "80 % at most"
    _wait(lambda: shown.wishes.limits().max_cpu == 0.8)
    page.get_by_label("Hours, from").focus()
    page.keyboard.press("End")
    page.get_by_label("Hours, to").focus()
    page.keyboard.press("Home")
    _wait(lambda: str(shown.wishes.limits().hours) == "23-1")
    page.get_by_label("Only while nobody uses this machine").focus()
    page.keyboard.press("Space")
    _wait(lambda: shown.wishes.limits().only_idle)
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Resume")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#word")).to_have_text("Paused")
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert not shown.wishes.paused()
    # Elsewhere changed: it is shown here.
    shown.wishes.change({"limits.max_cpu": "", "limits.hours": "", "limits.only_idle": False})
    expect(page.locator("#cpu-said")).to_have_text("all of it")
    expect(page.locator("#from-said")).to_have_text("always")


def _wait(until: Any) -> None:
    pause = Event()
    for _ in range(600):
        if until():
            return
        pause.wait(0.1)
    raise AssertionError("it has not come")
