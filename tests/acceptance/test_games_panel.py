"""The viewer's list of games in a real browser."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocket, WebSocketRoute, expect

from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer
from tests.brokers import free_port
from tests.hands import TOKENS, hand_on
from tests.shelves import shelf_of
from tests.watchers import STATS, picture

from .conftest import PATIENCE, Command

pytestmark = pytest.mark.needs("chromium")


class Stand:
    """A session whose viewer offers games; what is chosen is noted."""

    def __init__(self, stack: ExitStack, **how: str) -> None:
        #: The page says that a game is on its way when it has asked for it.
        self.chosen: SimpleQueue[str] = SimpleQueue()
        self.hub = hub = Hub()
        hand, self.game = stack.enter_context(hand_on())
        viewer = ViewerServer(
            hub, lambda: {**STATS, "games": True}, game=hand,
            games=shelf_of(self.chosen.put, **how),
        )  # fmt: skip
        stack.enter_context(closing(viewer))
        self.url = viewer.start()
        hub.publish(picture(1))

    def open(self, page: Page) -> None:
        page.goto(f"{self.url}#play={TOKENS.play}")
        expect(page.locator("#overlay")).to_be_hidden()


@pytest.fixture
def stand() -> Any:
    with ExitStack() as stack:
        yield lambda **how: Stand(stack, **how)


def hold_lists(page: Page, held: list[Callable[[], None]]) -> None:
    """Hold up each list of games but the first; what is held sends it when it is called."""
    routes: list[WebSocketRoute] = []

    def follow(route: WebSocketRoute) -> None:
        routes.append(route)
        is_first = len(routes) == 1

        def pass_on(message: str | bytes) -> None:
            if is_first:
                route.send(message)
            else:
                held.append(lambda: route.send(message))

        route.connect_to_server().on_message(pass_on)

    page.route_web_socket(re.compile("/games$"), follow)


def send_lists(page: Page, held: list[Callable[[], None]]) -> None:
    """Wait until a list is held up, and let it go."""
    deadline = monotonic() + PATIENCE
    while not held:
        page.wait_for_timeout(20)
        assert monotonic() < deadline, "no list is asked for"
    for send in held:
        send()


def test_games_are_listed_and_chosen_by_keys_alone(
    stand: Callable[..., Stand], page: Page, tmp_path: Path
) -> None:
    there = stand(ends="First Game")
    held: list[Callable[[], None]] = []
    hold_lists(page, held)
    there.open(page)
    expect(page.get_by_role("button", name="Games (G)")).to_be_visible()
    page.keyboard.press("g")
    panel = page.get_by_role("dialog", name="Games")
    expect(panel).to_be_visible()
    rows = panel.get_by_role("listitem")
    expect(rows).to_have_text([
        "First GameshooterCaptured now", "Second GameplatformerRunsCapture",
        "Third GamepuzzleInstalledStart", "Portal 2Steam", "CelesteHeroic",
    ])  # fmt: skip
    # Keys are the list's: neither the viewer's nor the game's.
    mode = page.locator("body").get_attribute("data-mode")
    page.keyboard.press("b")
    assert page.locator("body").get_attribute("data-mode") == mode
    page.screenshot(path=tmp_path / "games.png")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    assert there.chosen.empty()

    page.keyboard.press("g")
    start = page.get_by_role("button", name="Start Third Game")
    start.focus()
    page.keyboard.press("Enter")
    question = panel.get_by_text("First Game ends, with what is not saved in it.")
    expect(question).to_be_visible()
    # The list that was asked for meanwhile is the one that is there.
    send_lists(page, held)
    assert page.evaluate("document.activeElement.textContent") == "Start Third Game"
    expect(question).to_be_visible()
    page.get_by_role("button", name="Stay").click()
    expect(start).to_be_focused()
    page.keyboard.press("Enter")
    page.screenshot(path=tmp_path / "asked.png")
    # What it asks has the focus.
    page.keyboard.press("Enter")
    expect(panel.get_by_text("Third Game is on its way.")).to_be_visible()
    assert there.chosen.get(timeout=PATIENCE) == "three"


def test_a_list_that_is_opened_again_at_once_is_the_new_one(
    stand: Callable[..., Stand], page: Page
) -> None:
    """A browser tells that the first is closed a moment after that, when it is open again."""
    there = stand()
    held: list[Callable[[], None]] = []
    hold_lists(page, held)
    there.open(page)
    page.get_by_role("button", name="Games (G)").click()
    second = page.get_by_role("button", name="Capture Second Game")
    expect(second).to_be_visible()
    page.evaluate(
        """() => {
          document.getElementById("games-panel").close();
          document.getElementById("games").click();
        }"""
    )
    send_lists(page, held)
    second.click()
    expect(page.get_by_text("Second Game is on its way.")).to_be_visible()
    assert there.chosen.get(timeout=PATIENCE) == "two"


def test_who_plays_gives_the_controls_back_to_look(stand: Callable[..., Stand], page: Page) -> None:
    there = stand()
    there.open(page)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator("body")).to_have_attribute("data-playing", "")
    page.keyboard.down("w")
    page.get_by_role("button", name="Games (G)").click()
    expect(page.locator("body:not([data-playing])")).to_be_attached()
    page.get_by_role("button", name="Capture Second Game").click()
    expect(page.get_by_text("Second Game is on its way.")).to_be_visible()
    assert there.chosen.get(timeout=PATIENCE) == "two"
    assert there.game.wait_until(lambda game: game.is_at_rest, PATIENCE)


def test_a_session_that_ends_for_the_next_takes_no_choice_back(
    stand: Callable[..., Stand], page: Page
) -> None:
    """Its page comes back to it, where its viewer goes on for a moment longer than the session."""
    there = stand()
    lists = 0

    def follow(socket: WebSocket) -> None:
        def heard(_: str | bytes) -> None:
            nonlocal lists
            lists += socket.url.endswith("/games")

        socket.on("framereceived", heard)

    page.on("websocket", follow)
    there.open(page)
    page.get_by_role("button", name="Games (G)").click()
    page.get_by_role("button", name="Capture Second Game").click()
    says = page.get_by_text("Second Game is on its way.")
    expect(says).to_be_visible()
    assert there.chosen.get(timeout=PATIENCE) == "two"
    there.hub.close()
    # The list, that it is chosen, and the list once more and again: the one before has been shown.
    deadline = monotonic() + PATIENCE
    while lists < 4:
        page.wait_for_timeout(20)
        assert monotonic() < deadline, "the page has not come back"
    expect(says).to_be_visible()
    expect(page.get_by_role("listitem")).to_have_count(0)


def test_a_session_that_keeps_its_game_says_the_command(
    stand: Callable[..., Stand], page: Page
) -> None:
    there = stand(fixed="With --record a session keeps its game.", trouble="It broke.")
    there.open(page)
    page.get_by_role("button", name="Games (G)").click()
    panel = page.get_by_role("dialog", name="Games")
    expect(panel.get_by_role("status")).to_have_text(
        "It broke. With --record a session keeps its game."
    )
    expect(panel.get_by_text("p2c2g-capture run --source game:three")).to_be_visible()
    expect(panel.get_by_role("button")).to_have_text(["Close"])


def test_who_only_watches_is_offered_nothing(
    stand: Callable[..., Stand], page: Page, browser: Browser
) -> None:
    there = stand()
    page.goto(there.url)
    expect(page.locator("#overlay")).to_be_hidden()
    expect(page.locator("#fps")).not_to_have_text("–")
    page.keyboard.press("g")
    expect(page.get_by_role("button", name="Games (G)")).to_be_hidden()
    expect(page.get_by_role("dialog")).to_be_hidden()
    # A further player's pad sees the button, and is told whose it is.
    page.goto(f"{there.url}?pads#play={TOKENS.pads}")
    page.get_by_role("button", name="Games (G)").click()
    expect(page.get_by_text("This is for who plays")).to_be_visible()


#: A game: a window that shows nothing but its colour.
GAME = """\
import os, threading
from p2c2g.media.frame import Rect
from tests.xgame import XGame
game = XGame(os.environ["DISPLAY"], Rect(0, 0, 200, 180), focus=True)
threading.Event().wait()
"""


@pytest.mark.needs("Xvfb")
def test_the_real_command_goes_on_with_the_game_that_is_chosen(
    start: Any, page: Page, tmp_path: Path
) -> None:
    folder = tmp_path / "p2c2g" / "games"
    folder.mkdir(parents=True)
    for name, program in (("one", GAME), ("two", GAME), ("broken", "exit(3)")):
        words = [sys.executable, str(tmp_path / f"{name}.py")]
        (tmp_path / f"{name}.py").write_text(program)
        (folder / f"{name}.toml").write_text(
            f"name = '{name}'\ntitle = 'Game {name}'\n[look]\nsize = '320x180'\nops = 'upscale:2'\n"
            f"[start]\ncommand = [{', '.join(repr(each) for each in words)}]\n"
        )
    command: Command = start(
        "p2c2g-capture", "run", "--source=game:one", "--where=here", "--fps=15", "--audio=off",
        # Nobody is given it between one game and the next.
        f"--port={free_port()}",
        XDG_CONFIG_HOME=str(tmp_path), HOME=str(tmp_path),
        PYTHONPATH=os.environ.get("PYTHONPATH", ""),
    )  # fmt: skip
    url = command.line_with("Play at").split()[-1]
    page.goto(url)
    expect(page.locator("#overlay")).to_be_hidden()

    def choose(name: str) -> None:
        page.get_by_role("button", name="Games (G)").click()
        page.get_by_role("button", name=f"Start Game {name}").click()
        page.locator(".ask").get_by_role("button", name=f"Start Game {name}").click()

    choose("two")
    # The same address, by which one goes on to play.
    assert command.line_with("Play at").split()[-1] == url
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#overlay")).to_be_hidden()
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator("body")).to_have_attribute("data-playing", "")
    # What does not start is said, and the last is there again.
    choose("broken")
    expect(page.get_by_text("game:broken cannot be captured.")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Captured now")).to_contain_text("Game two")
    # The list is there before the session has begun, and only from then on has it an end in order.
    expect(page.locator("#overlay")).to_be_hidden()
    assert command.end().code == 0
