"""Playing in a real browser: what is done there is in the game, and nothing stays pressed."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer
from p2c2g.media.frame import Size
from p2c2g_capture.input.events import Event, Kind
from p2c2g_capture.input.hand import Hand
from p2c2g_capture.input.injector import MemoryInjector
from p2c2g_capture.input.keys import NUMBERS
from p2c2g_capture.sources.xvfb import VirtualDisplay
from tests.hands import TOKENS, hand_on
from tests.pictures import shown_picture
from tests.watchers import STATS, picture

from .browser import wait_until
from .conftest import PATIENCE, Command

pytestmark = pytest.mark.needs("chromium")

A, W = NUMBERS["KeyA"], NUMBERS["KeyW"]
KEYS = (Kind.KEY_DOWN, Kind.KEY_UP)
BUTTONS = (Kind.BUTTON_DOWN, Kind.BUTTON_UP)


class Room:
    """A session that is played, in this process."""

    def __init__(self, hand: Hand, game: MemoryInjector, url: str) -> None:
        self.hand, self.game, self.url = hand, game, url

    def open(self, page: Page, token: str = TOKENS.play) -> None:
        """Open the page, and take the controls."""
        page.goto(f"{self.url}#play={token}")
        expect(page.locator("#overlay")).to_be_hidden()
        page.get_by_role("button", name="Play", exact=True).click()
        expect(page.locator("body")).to_have_attribute("data-playing", "")

    def heard(self, *kinds: Kind) -> list[tuple[Kind, int]]:
        """Return what the game heard of these kinds, but for what a silence let go and came again.

        The machine may stand still for longer than a browser may be silent.
        """
        events = [each for each in self.game.events if each.kind in kinds]
        kept: list[Event] = []
        for event in events:
            again = (
                kept and kept[-1].sequence == 0 and event.kind in (Kind.KEY_DOWN, Kind.BUTTON_DOWN)
            )
            if again and (kept[-1].number == event.number):
                kept.pop()
            else:
                kept.append(event)
        return [(each.kind, each.number) for each in kept]

    def wait(self, is_so: Callable[[MemoryInjector], bool]) -> None:
        """Wait until the game is so."""
        assert self.game.wait_until(is_so, PATIENCE), self.game.events


@pytest.fixture
def room() -> Iterator[Room]:
    hub = Hub()
    with hand_on() as (hand, game), closing(ViewerServer(hub, lambda: STATS, game=hand)) as viewer:
        url = viewer.start()
        hub.publish(picture(1))
        yield Room(hand, game, url)


def has(kind: Kind, number: int) -> Callable[[MemoryInjector], bool]:
    return lambda game: any((e.kind, e.number) == (kind, number) for e in game.events)


def test_keys_and_mouse_go_into_the_game_and_one_key_gives_them_back(room, page, tmp_path):
    page.goto(f"{room.url}#play={TOKENS.play}")
    expect(page.locator("#overlay")).to_be_hidden()
    # The token stays in no address.
    assert page.url == room.url
    body = page.locator("body")
    mode = body.get_attribute("data-mode")
    page.keyboard.press("i")
    expect(page.locator("#readout")).to_be_hidden()
    page.keyboard.press("i")
    assert room.game.events == []

    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.get_by_text("You play.")).to_be_visible()
    expect(page.get_by_role("button", name="Give back F8")).to_be_visible()
    for key in ("w", "b", "Escape", "Tab", "F5"):
        page.keyboard.press(key)
    page.keyboard.down("Shift")
    page.mouse.move(640, 360)
    page.mouse.down(button="right")
    page.mouse.up(button="right")
    page.mouse.wheel(0, 200)
    room.wait(lambda game: any(each.kind is Kind.WHEEL for each in game.events))
    names = ("KeyW", "KeyB", "Escape", "Tab", "F5")
    pressed = [(kind, NUMBERS[name]) for name in names for kind in KEYS]
    assert room.heard(*KEYS)[:11] == [*pressed, (Kind.KEY_DOWN, NUMBERS["ShiftLeft"])]
    assert room.heard(*BUTTONS) == [(kind, 2) for kind in BUTTONS]
    assert room.game.pointer == (0.5, 0.5)
    wheel = [each for each in room.game.events if each.kind is Kind.WHEEL]
    assert wheel[0].y == 2.0
    # They were none of the viewer's.
    assert body.get_attribute("data-mode") == mode
    expect(page.locator("#readout")).to_be_visible()
    expect(page.locator("#input-into")).not_to_have_text("–")
    expect(page.locator("#input-group")).to_have_attribute("title", re.compile("into the game: "))
    page.screenshot(path=tmp_path / "playing.png")

    page.keyboard.press("F8")
    expect(page.locator("body:not([data-playing])")).to_be_attached()
    room.wait(lambda game: game.is_at_rest)
    page.keyboard.press("b")
    expect(body).not_to_have_attribute("data-mode", mode or "")
    # The page keeps the token for as long as its tab is open.
    page.reload()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_the_mouse_looks_around_and_escape_that_the_browser_keeps_is_the_games_too(room, page):
    room.open(page)
    page.mouse.move(640, 360)
    page.get_by_role("button", name="Mouse look").click()
    wait_until(page, "document.pointerLockElement !== null")
    page.mouse.move(700, 350)
    room.wait(lambda game: any(each.kind is Kind.MOVE_BY for each in game.events))
    # The browser takes the lock away, as it does at Escape, of which it tells no page.
    page.evaluate("document.exitPointerLock()")
    room.wait(has(Kind.KEY_UP, NUMBERS["Escape"]))
    assert room.heard(*KEYS) == [(kind, NUMBERS["Escape"]) for kind in KEYS]
    page.evaluate("window.escapedAt = performance.now()")
    expect(page.get_by_text("Click the picture to look around")).to_be_visible()
    # The click that looks around again is none in the game; nor is what we leave by ourselves.
    page.mouse.click(640, 360)
    wait_until(page, "document.pointerLockElement !== null")
    page.keyboard.press("F8")
    wait_until(page, "document.pointerLockElement === null")
    assert room.heard(*BUTTONS) == []
    assert len(room.heard(*KEYS)) == 2
    # Who plays again has it once more; of two within a quarter of a second the second is an echo.
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.get_by_text("Click the picture to look around")).to_be_visible()
    page.mouse.click(640, 360)
    wait_until(page, "document.pointerLockElement !== null")
    wait_until(page, "performance.now() > window.escapedAt + 500")
    page.evaluate("document.exitPointerLock()")
    room.wait(lambda _: len(room.heard(*KEYS)) == 4)


def test_in_full_screen_escape_is_the_games_and_our_button_is_no_escape(room, page):
    page.add_init_script("""
      const lock = navigator.keyboard.lock.bind(navigator.keyboard);
      navigator.keyboard.lock = () => lock().then(() => { window.isLocked = true; });
    """)
    room.open(page)
    page.get_by_role("button", name="Full screen").click()
    wait_until(page, "document.fullscreenElement !== null && window.isLocked")
    page.keyboard.press("Escape")
    room.wait(has(Kind.KEY_UP, NUMBERS["Escape"]))
    assert page.evaluate("document.fullscreenElement !== null")
    page.get_by_role("button", name="Full screen").click()
    wait_until(page, "document.fullscreenElement === null")
    page.keyboard.press("a")
    room.wait(has(Kind.KEY_UP, A))
    pressed = [(kind, NUMBERS[name]) for name in ("Escape", "KeyA") for kind in KEYS]
    assert room.heard(*KEYS) == pressed
    # Where the browser leaves by itself, as at Escape without a lock, the game is told of it: once
    # it can no more be of the Escape that the game has heard.
    page.get_by_role("button", name="Full screen").click()
    wait_until(page, "document.fullscreenElement !== null")
    wait_until(page, "(window.since ??= performance.now()) < performance.now() - 300")
    page.evaluate("document.exitFullscreen()")
    escape = (Kind.KEY_UP, NUMBERS["Escape"])
    room.wait(lambda _: room.heard(Kind.KEY_UP).count(escape) == 2)


@pytest.mark.parametrize("how", ["blur", "pagehide", "visibilitychange", "reload", "close"])
def test_a_tab_that_is_left_holds_nothing(room, page, how):
    room.open(page)
    page.keyboard.down("w")
    page.mouse.move(300, 300)
    page.mouse.down()
    room.wait(lambda game: has(Kind.KEY_DOWN, W)(game) and has(Kind.BUTTON_DOWN, 0)(game))
    if how == "reload":
        page.reload()
    elif how == "close":
        page.close()
    else:
        target = "document" if how == "visibilitychange" else "window"
        page.evaluate(f"{target}.dispatchEvent(new Event('{how}'))")
    room.wait(lambda game: game.is_at_rest)
    released = room.hand.figures()["refused"].get("silences", 0)
    # A beat of a busy machine may be late; who is there presses again, who is gone does not.
    if how not in ("reload", "close") and not released:
        assert room.heard(*KEYS) == [(Kind.KEY_DOWN, W), (Kind.KEY_UP, W)]


def test_a_second_viewer_is_told_who_plays(room, page, browser: Browser):
    room.open(page)
    page.keyboard.down("w")
    with closing(browser.new_context()) as context:
        other = context.new_page()
        other.goto(f"{room.url}#play={TOKENS.play}")
        other.get_by_role("button", name="Play", exact=True).click()
        expect(other.get_by_text("Another viewer plays.")).to_be_visible()
        expect(other.get_by_role("button", name="Play", exact=True)).to_be_visible()
    # Who has no token is not even asked.
    with closing(browser.new_context()) as context:
        watcher = context.new_page()
        watcher.goto(room.url)
        expect(watcher.locator("#overlay")).to_be_hidden()
        expect(watcher.get_by_role("button", name="Play", exact=True)).to_be_hidden()


def test_a_way_that_is_lost_for_a_moment_is_found_again_and_nothing_stays_pressed(room, page):
    ways: list[Any] = []

    def route(way: Any) -> None:
        ways.append((way, way.connect_to_server()))

    def wait(is_so: Callable[[MemoryInjector], bool]) -> None:
        # What is routed passes through this thread: to stand still here would hold it up.
        until = time.monotonic() + PATIENCE
        while not is_so(room.game):
            assert time.monotonic() < until, room.game.events
            page.wait_for_timeout(20)

    page.route_web_socket(re.compile("/input$"), route)
    room.open(page)
    # It is said for half a second: a look now and then may miss it.
    page.evaluate("""() => {
      const text = document.getElementById("playing-text");
      window.said = [];
      new MutationObserver(() => window.said.push(text.textContent)).observe(
        text, {childList: true, characterData: true, subtree: true});
    }""")
    page.keyboard.down("w")
    wait(has(Kind.KEY_DOWN, W))
    for end in ways[0]:
        end.close()
    wait_until(page, "window.said.some((each) => each.startsWith('The way to the game is lost'))")
    wait(lambda game: game.is_at_rest)
    expect(page.get_by_text("You play.")).to_be_visible()
    page.keyboard.up("w")
    page.keyboard.press("a")
    wait(has(Kind.KEY_UP, A))
    assert len(ways) == 2


def test_a_token_that_is_wrong_is_a_sentence(room, page):
    page.goto(f"{room.url}#play=somebody-elses-token")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.get_by_text("open the address that the session printed")).to_be_visible()
    assert room.game.begun == []


#: A pad that tests press.
PAD = """
window.pad = {index: 0, mapping: "standard", axes: [0, 0, 0, 0],
  buttons: Array.from({length: 17}, () => ({value: 0, pressed: false}))};
navigator.getGamepads = () => [window.pad, null, null, null];
"""


@pytest.mark.parametrize("token", [TOKENS.play, TOKENS.pads])
def test_a_gamepad_plays_and_so_does_a_second_players(room, page, token):
    page.add_init_script(PAD)
    room.open(page, token)
    page.keyboard.press("w")
    page.evaluate("window.pad.buttons[0] = {value: 1, pressed: true}; window.pad.axes[1] = -0.75")
    # The game's first pad is the first player's.
    pad, pressed = 0 if token == TOKENS.play else 1, {}

    def are_pressed(game: MemoryInjector) -> bool:
        # As they are then: after a silence of a busy machine they are let go for a moment.
        pressed.update(game.pads)
        return len(game.pads) == 2

    room.wait(are_pressed)
    assert {key[0] for key in pressed} == {pad}
    assert pressed[pad, Kind.PAD_AXIS, 1] == pytest.approx(-0.75, abs=0.01)
    page.evaluate("navigator.getGamepads = () => []")
    room.wait(lambda game: not game.pads)
    assert bool(room.heard(*KEYS)) == (token == TOKENS.play)


def test_what_does_not_reach_the_game_is_said(page):
    hub = Hub()
    game = MemoryInjector(("keys",))
    with hand_on(game) as (hand, _), closing(ViewerServer(hub, lambda: STATS, game=hand)) as viewer:
        page.goto(f"{viewer.start()}#play={TOKENS.play}")
        hub.publish(picture(1))
        expect(page.locator("#overlay")).to_be_hidden()
        page.get_by_role("button", name="Play", exact=True).click()
        for part in ("The mouse does", "Gamepads do"):
            expect(page.get_by_text(f"{part} not reach this game.")).to_be_visible()


def test_fingers_and_the_pad_on_the_screen_play(room, browser: Browser, tmp_path):
    phone = browser.new_context(
        viewport={"width": 844, "height": 390}, has_touch=True, is_mobile=True
    )
    with closing(phone):
        page = phone.new_page()
        room.open(page)
        fingers = phone.new_cdp_session(page)
        moment = time.time()

        def touch(kind: str, *at: tuple[float, float]) -> None:
            # Each 20 ms after the one before, however long it is on its way: so a tap is short.
            nonlocal moment
            moment += 0.02
            points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(at)]
            told = {"type": kind, "touchPoints": points, "timestamp": moment}
            fingers.send("Input.dispatchTouchEvent", told)

        touch("touchStart", (422, 195))
        touch("touchEnd")
        room.wait(has(Kind.BUTTON_UP, 0))
        assert room.heard(*BUTTONS) == [(Kind.BUTTON_DOWN, 0), (Kind.BUTTON_UP, 0)]
        x, y = room.game.pointer
        assert (round(x, 1), round(y, 1)) == (0.5, 0.5)
        page.screenshot(path=tmp_path / "phone.png")

        stick = page.locator("#stick").bounding_box()
        button = page.get_by_label("A", exact=True).bounding_box()
        assert stick is not None
        assert button is not None
        middle = (stick["x"] + stick["width"] / 2, stick["y"] + stick["height"] / 2)
        on_a = (button["x"] + 20, button["y"] + 20)
        touch("touchStart", (middle[0] + 1, middle[1]))
        touch("touchMove", (middle[0] + 60, middle[1]))
        room.wait(lambda game: game.pads.get((0, Kind.PAD_AXIS, 0)) == 1)
        touch("touchStart", (middle[0] + 60, middle[1]), on_a)
        room.wait(lambda game: game.pads.get((0, Kind.PAD_BUTTON, 0)) == 1)
        touch("touchEnd")
        room.wait(lambda game: game.is_at_rest)
        # A drag holds the button from where it began.
        touch("touchStart", (422, 120))
        touch("touchMove", (480, 120))
        room.wait(lambda game: game.buttons == {0})
        touch("touchEnd")
        room.wait(lambda game: game.is_at_rest)


def test_the_late_shift_learns_how_far_the_mouse_turns_and_moves_what_is_not_shown_yet(page):
    """A game whose view is two pixels of 640 further left for each count to the right."""
    hub, size, turns = Hub(), Size(640, 360), 2
    noise = np.random.default_rng(3).integers(0, 256, (1, 160, 3), dtype=np.uint8)
    wall = cv2.resize(noise, (3200, size.height), interpolation=cv2.INTER_LINEAR)

    with hand_on() as (hand, game), closing(ViewerServer(hub, lambda: STATS, game=hand)) as viewer:
        room = Room(hand, game, viewer.start())
        shown, origin = 0, 0.0

        def turned() -> float:
            return sum(each.x for each in game.events if each.kind is Kind.MOVE_BY)

        def show() -> None:
            nonlocal shown
            shown += 1
            at = 400 + int(turns * (turned() - origin))
            pixels = np.ascontiguousarray(wall[:, at : at + size.width])
            now = time.monotonic()
            hub.publish(shown_picture(shown, pixels, source=size, captured_at=now, ready_at=now))
            wait_until(page, f"window.shown === {shown}")

        def turn(counts: int) -> None:
            nonlocal x
            x, wanted = x + counts, turned() + counts
            page.mouse.move(x, 300)
            room.wait(lambda _: turned() == wanted)

        page.add_init_script(
            "addEventListener('p2c2g:shown', ({detail}) => { window.shown = detail.number; });"
        )
        hub.publish(
            shown_picture(0, wall[:, : size.width].copy(), source=size, captured_at=0, ready_at=0)
        )
        room.open(page)
        page.get_by_role("button", name="Mouse look").click()
        wait_until(page, "document.pointerLockElement !== null")
        x = 300
        page.mouse.move(x, 300)
        room.wait(lambda _: turned() != 0)
        origin = turned()
        canvas = page.locator(".picture canvas:not([hidden])")
        translate = "document.querySelector('.picture canvas:not([hidden])').style.translate"
        # While it is off, nothing is moved.
        turn(20)
        assert page.evaluate(translate) == ""
        page.evaluate("document.getElementById('late-shift').click()")
        show()
        for counts in (20, 18, -12, 20, -18, 16, 20, -20, 12, 20):
            turn(counts)
            show()
        assert page.evaluate(translate) == ""
        turn(20)
        moved = page.evaluate(f"parseFloat({translate})")
        assert moved == pytest.approx(-100 * turns * 20 / size.width, abs=0.7)
        show()
        assert page.evaluate(translate) == ""
        expect(canvas).to_be_visible()


class Hears:
    """A game in a process of its own, and what it hears."""

    def __init__(self, display: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.xgame", display], stdout=subprocess.PIPE, text=True
        )
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._thread = threading.Thread(target=self._read)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))

    def until(self, name: str, number: int) -> list[tuple[str, int]]:
        """Return what is heard up to this; motion aside."""
        heard = []
        while (name, number) not in heard:
            told = self._lines.get(timeout=PATIENCE)
            if told["name"] != "move":
                heard.append((told["name"], told["number"]))
        return heard

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.mark.needs("Xvfb")
def test_a_games_window_is_played_by_the_real_command(start: Any, page: Page, browser: Browser):
    with ExitStack() as stack:
        display = stack.enter_context(VirtualDisplay(Size(640, 360)))
        game = stack.enter_context(closing(Hears(display.name)))
        command: Command = start(
            "p2c2g-capture", "run", "--source=screen:window=game", "--ops=upscale:2",
            "--where=here", "--fps=15", "--port=0",
            DISPLAY=display.name, PYTHONPATH=os.environ.get("PYTHONPATH", ""),
        )  # fmt: skip
        url = command.line_with("Play at").split()[-1]
        token = url.partition("#play=")[2]
        assert len(token) == 32

        def play() -> None:
            page.goto(url)
            expect(page.locator("#overlay")).to_be_hidden()
            page.get_by_role("button", name="Play", exact=True).click()
            expect(page.locator("body")).to_have_attribute("data-playing", "")

        play()
        page.keyboard.press("w")
        page.keyboard.press("Escape")
        page.mouse.click(640, 360)
        heard = game.until("button up", 1)
        for name in ("KeyW", "Escape"):
            down, up = ("key down", NUMBERS[name]), ("key up", NUMBERS[name])
            assert heard.index(down) < heard.index(up)
        assert ("button down", 1) in heard
        wait_until(page, "document.getElementById('input-shown').textContent !== '–'")

        page.keyboard.down("a")
        game.until("key down", A)
        page.evaluate("window.dispatchEvent(new Event('blur'))")
        game.until("key up", A)
        # The other way than by a word: the session is killed, and its guardian lets go.
        page.keyboard.up("a")
        page.keyboard.down("w")
        game.until("key down", W)
        command.process.send_signal(signal.SIGKILL)
        game.until("key up", W)
