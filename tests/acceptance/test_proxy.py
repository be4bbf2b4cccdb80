"""The viewer's page behind proxies, and on a way that dies without a word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer

from .proxy import Proxy, Rewrite, in_folder
from .test_viewer import STATS, plain

pytestmark = pytest.mark.needs("chromium")

ADVICE = "If that is your own proxy or name, start the session with --allow-host play.test."


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def viewer(hub: Hub, request: pytest.FixtureRequest) -> Iterator[ViewerServer]:
    with closing(ViewerServer(hub, lambda: STATS, allowed=getattr(request, "param", ()))) as made:
        yield made


def is_live(page: Page, hub: Hub, number: int) -> None:
    """Wait until the page shows this picture."""
    hub.publish(plain(number))
    expect(page.locator("#overlay")).to_be_hidden()


def port_of(viewer: ViewerServer) -> int:
    port = urlsplit(viewer.start()).port
    assert port is not None
    return port


def without_the_port(line: str, headers: dict[str, str]) -> str:
    headers["Host"] = headers["Host"].partition(":")[0]
    return line


def as_the_proxy_has_it(line: str, headers: dict[str, str]) -> str:
    headers["Host"] = "127.0.0.1"
    return line


def a_folder_taken_off(line: str, headers: dict[str, str]) -> str:
    return in_folder(line)


def untouched(line: str, headers: dict[str, str]) -> str:
    return line


@pytest.mark.parametrize(
    ("rewrite", "page_at"),
    [
        (without_the_port, "127.0.0.1:{port}/"),
        (as_the_proxy_has_it, "localhost:{port}/"),
        (a_folder_taken_off, "127.0.0.1:{port}/game/"),
        (untouched, "127.0.0.1:{port}/game/?from=a#link"),
    ],
)
def test_its_own_page_is_let_in(
    hub: Hub, viewer: ViewerServer, page: Page, rewrite: Rewrite, page_at: str
) -> None:
    with Proxy(port_of(viewer), rewrite).running() as proxy:
        page.goto(f"http://{page_at.format(port=proxy.port)}")
        is_live(page, hub, 1)


@pytest.mark.parametrize("viewer", [("play.test",)], indirect=True)
@pytest.mark.parametrize("rewrite", [untouched, without_the_port, as_the_proxy_has_it])
def test_a_public_name_is_let_in_once_it_is_allowed(
    hub: Hub, viewer: ViewerServer, page: Page, rewrite: Rewrite
) -> None:
    with Proxy(port_of(viewer), rewrite).running() as proxy:
        page.goto(f"http://play.test:{proxy.port}/")
        is_live(page, hub, 1)


def test_a_page_by_another_name_says_what_was_refused_and_what_to_do(
    viewer: ViewerServer, page: Page
) -> None:
    port = port_of(viewer)
    with Proxy(port, as_the_proxy_has_it).running() as proxy:
        page.goto(f"http://play.test:{proxy.port}/")
        expect(page.locator("#overlay-title")).to_have_text("Not connected")
        expect(page.locator("#overlay-text")).to_have_text(
            f"This viewer answers only to its own page, and this one is of 'play.test'. {ADVICE}"
        )
    with Proxy(port, untouched).running() as proxy:
        answer = page.goto(f"http://play.test:{proxy.port}/")
        assert answer is not None
        assert answer.status == 403
        expect(page.locator("body")).to_contain_text(ADVICE)


def test_a_proxy_that_keeps_sockets_from_coming_through_is_named(
    hub: Hub, viewer: ViewerServer, page: Page
) -> None:
    passes = False

    def rewrite(line: str, headers: dict[str, str]) -> str:
        if not passes:
            headers.pop("Upgrade", None)
        return line

    with Proxy(port_of(viewer), rewrite).running() as proxy:
        page.goto(f"http://127.0.0.1:{proxy.port}/")
        text = page.locator("#overlay-text")
        expect(text).to_contain_text("no WebSocket comes through")
        passes = True
        is_live(page, hub, 1)


def test_a_way_that_dies_without_a_word_is_noticed_and_a_new_one_is_found(
    hub: Hub, viewer: ViewerServer, page: Page
) -> None:
    with Proxy(port_of(viewer), untouched).running() as proxy:
        page.goto(f"http://127.0.0.1:{proxy.port}/")
        is_live(page, hub, 1)
        proxy.go_silent()
        expect(page.locator("#overlay-text")).to_contain_text(
            "Nothing has come from the session for some seconds."
        )
        expect(page.get_by_role("button", name="Try now")).to_be_visible()
        proxy.come_back()
        is_live(page, hub, 2)
        assert proxy.sockets >= 2


def test_statistics_alone_keep_a_connection(hub: Hub, page: Page) -> None:
    stats = dict(STATS)
    with (
        closing(ViewerServer(hub, lambda: stats)) as viewer,
        Proxy(port_of(viewer), untouched).running() as proxy,
    ):
        # Its time stands still but for what is told here: no busy machine makes a silence of it.
        page.clock.install(time=0)
        page.goto(f"http://127.0.0.1:{proxy.port}/")
        page.clock.pause_at(3600)
        for turn in range(10):
            stats["fps"] = turn
            expect(page.locator("#fps")).to_have_text(f"{turn}.0")
            page.clock.run_for(1000)
        expect(page.locator("body")).to_have_attribute("data-link", "live")
        assert proxy.sockets == 1
