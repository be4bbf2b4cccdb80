"""The viewer where others can reach it, in a real browser: with the token, without, and wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer

from .proxy import Proxy
from .test_viewer import STATS, plain

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def address(hub: Hub) -> Iterator[str]:
    with closing(ViewerServer(hub, lambda: STATS, host="0.0.0.0")) as viewer:
        yield viewer.start()


def test_the_printed_address_shows_the_picture_and_keeps_the_token_to_itself(
    hub: Hub, address: str, page: Page
) -> None:
    page.goto(f"{address}&composer=off")
    hub.publish(plain(1))
    expect(page.locator("#overlay")).to_be_hidden()
    bare = address.partition("?")[0]
    assert page.url == f"{bare}?composer=off"
    assert page.evaluate("document.cookie") == ""
    # The cookie serves from then on, and in another tab.
    page.reload()
    expect(page.locator("#overlay")).to_be_hidden()
    with closing(page.context.new_page()) as other:
        other.goto(bare)
        expect(other.locator("#overlay")).to_be_hidden()


@pytest.mark.parametrize("given", ["", "?token=wrong"])
def test_without_the_token_a_page_says_what_to_do(
    address: str, page: Page, given: str, tmp_path: Path
) -> None:
    page.goto(f"{address.partition('?')[0]}{given}")
    expect(page.locator("h1")).to_have_text("Not let in")
    expect(page.locator("p")).to_contain_text("open the address that the session printed")
    page.screenshot(path=tmp_path / "locked.png")
    box = page.locator("p").bounding_box()
    assert box is not None
    assert box["y"] > 200  # it has its style


def test_a_page_whose_session_ended_is_told_to_open_the_address_of_the_next(
    hub: Hub, address: str, page: Page
) -> None:
    # The next session at the same address has another token.
    with closing(ViewerServer(hub, lambda: STATS, asks=True)) as other:
        ports = [urlsplit(address).port, urlsplit(other.start()).port]
        with Proxy(ports[0] or 0, lambda line, _: line).running() as proxy:
            page.goto(f"http://127.0.0.1:{proxy.port}/?{address.partition('?')[2]}")
            hub.publish(plain(1))
            expect(page.locator("#overlay")).to_be_hidden()
            proxy.go_silent()
            proxy.come_back(ports[1])
            expect(page.locator("#overlay-title")).to_have_text("Not connected")
            expect(page.locator("#overlay-text")).to_contain_text(
                "This viewer asks for a token: open the address that the session printed"
            )
