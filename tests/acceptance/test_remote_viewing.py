"""A session watched from elsewhere in a real browser: by its link, and from the gamer's page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from playwright.sync_api import Page, expect

from p2c2g.messaging.embedded import EmbeddedBroker
from tests.watched import TOKEN, Playing, Site, playing, serving

from .conftest import PATIENCE
from .test_viewer import plain

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with EmbeddedBroker() as broker, serving(tmp_path_factory.mktemp("pool"), broker.url) as site:
        yield site


def watched(page: Page, session: Playing) -> None:
    """Check that a page shows a picture, and says what it has shown."""
    expect(page.locator("#viewers")).to_have_text("1")
    session.hub.publish(plain(1))
    expect(page.locator("#overlay")).to_be_hidden()
    expect(page.locator("#delay")).to_contain_text("ms")
    expect(page.locator("#fps")).to_have_text("59.9")


def test_the_link_shows_the_picture_and_keeps_the_token_to_itself(
    site: Site, page: Page, tmp_path: Path
) -> None:
    with playing(site.join()) as session:
        page.goto(f"{session.relay.url}&composer=off")
        watched(page, session)
        assert page.url == f"{site.page(session.id)}?composer=off"
        assert TOKEN not in page.content()
        assert page.evaluate("document.cookie") == ""
        page.screenshot(path=tmp_path / "watching.png")
        page.reload()
        expect(page.locator("#overlay")).to_be_hidden()
        # The session is told now and then.
        deadline = monotonic() + PATIENCE
        while not session.relay.figures()["shown"]:
            assert monotonic() < deadline, session.relay.figures()
            page.wait_for_timeout(50)
    expect(page.locator("#overlay-title")).to_have_text("Session ended")


def test_a_gamer_comes_to_it_from_its_own_page(site: Site, page: Page) -> None:
    with playing(site.join()) as session:
        page.goto(f"{site.address}/sign-in")
        page.get_by_label("Key").fill(site.key("ada"))
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Watch desk").click()
        watched(page, session)


def test_without_the_token_a_page_says_what_to_do(site: Site, page: Page) -> None:
    with playing(site.join()) as session:
        page.goto(site.page(session.id))
        expect(page.locator("h1")).to_have_text("Not let in")
        expect(page.locator("p")).to_contain_text("or sign in as the account that plays")
        box = page.locator("p").bounding_box()
        assert box is not None
        assert box["y"] > 200  # it has its style
