"""Pictures that the page makes by itself, against the session's own; here by software."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.picture import Picture
from p2c2g.media.residual import Form
from tests.hard_pictures import picture
from tests.viewed import some_residual, viewed_picture

from .browser import wait_until
from .proxy import Proxy
from .test_composer import MEAN, MOST
from .test_viewer import STATS

pytestmark = pytest.mark.needs("chromium")

SOURCE, OUTPUT = Size(160, 96), Size(320, 192)
EXACT = Form("png", 100)

#: Keeps what is seen of each picture when it is shown.
KEEP = """() => {
  window.kept = new Map();
  window.addEventListener("p2c2g:shown", ({detail}) => {
    const screen = document.querySelector(".picture canvas:not([hidden])");
    const context = new OffscreenCanvas(screen.width, screen.height).getContext("2d");
    context.drawImage(screen, 0, 0);
    const {data} = context.getImageData(0, 0, screen.width, screen.height);
    window.kept.set(detail.number, {by: screen.id, data});
  });
}"""
GIVE = """(number) => {
  const {by, data} = window.kept.get(number);
  let text = "";
  for (let at = 0; at < data.length; at += 4096) {
    text += String.fromCharCode(...data.subarray(at, at + 4096));
  }
  return [by, btoa(text)];
}"""


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def viewer(hub: Hub) -> Iterator[ViewerServer]:
    with closing(ViewerServer(hub, lambda: STATS, clock=lambda: 10.02)) as made:
        yield made


def drawable(number: int, form: Form, size: Size = SOURCE, **more: Any) -> Picture:
    """Return a picture of a hard frame, twice as large."""
    output = Size(2 * size.width, 2 * size.height)
    frame = picture(size, number, "soft")
    return viewed_picture(number, frame, some_residual(output, number), form, **more)


def opened(page: Page, url: str, divider: float = 0.0, composer: str = "software") -> None:
    page.goto(url)  # for the storage of this address
    page.evaluate(f"localStorage.setItem('p2c2g.divider', '{divider}')")
    page.goto(f"{url}?composer={composer}")
    page.evaluate(KEEP)


def seen(page: Page, shown: Picture) -> tuple[str, Pixels]:
    """Wait until a picture is seen; return on which canvas, and its pixels."""
    wait_until(page, f"window.kept.has({shown.number})")
    by, text = page.evaluate(GIVE, shown.number)
    flat = np.frombuffer(base64.b64decode(text), np.uint8)
    return by, flat.reshape(shown.output.height, shown.output.width, 4)[:, :, 2::-1]


def split(shown: Picture, share: float) -> Pixels:
    """Return what is to be seen with the divider there."""
    pixels = shown.pixels.copy()
    edge = round(share * shown.output.width)
    pixels[:, :edge] = shown.base[:, :edge]
    return pixels


@pytest.mark.parametrize("divider", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("late", [None, 0])
def test_without_loss_the_page_shows_what_the_session_would(
    hub: Hub, viewer: ViewerServer, page: Page, divider: float, late: int | None
) -> None:
    opened(page, viewer.start(), divider)
    shown = drawable(1, EXACT, late=late)
    hub.publish(shown)
    by, pixels = seen(page, shown)
    assert by == "drawn"
    assert cv2.absdiff(pixels, split(shown, divider)).max() == 0


@pytest.mark.parametrize("form", [Form("jpeg", 75), Form("webp", 75), Form("raw", 100)])
def test_by_any_codec_it_is_near(hub: Hub, viewer: ViewerServer, page: Page, form: Form) -> None:
    opened(page, viewer.start(), 0.5)
    for number in (1, 2):
        shown = drawable(number, form)
        hub.publish(shown)
        off = cv2.absdiff(seen(page, shown)[1], split(shown, 0.5))
        assert off.mean() <= MEAN
        assert off.max() <= MOST


def test_from_elsewhere_the_own_picture_has_been_through_a_jpeg(
    hub: Hub, viewer: ViewerServer, page: Page
) -> None:
    port = int(viewer.start().rstrip("/").rpartition(":")[2])
    with Proxy(port, lambda line, headers: line).running() as proxy:
        opened(page, f"http://127.0.0.1:{proxy.port}/", 0.5)
        shown = drawable(1, EXACT)
        hub.publish(shown)
        by, pixels = seen(page, shown)
    assert by == "drawn"
    assert 0 < cv2.absdiff(pixels, split(shown, 0.5)).mean() < 2


@pytest.mark.parametrize("composer", ["card", "off"])
def test_without_a_card_the_session_composes(
    hub: Hub, viewer: ViewerServer, page: Page, composer: str
) -> None:
    opened(page, viewer.start(), 0.5, composer)
    for number in (1, 2):  # with the second at the latest comes the base
        shown = drawable(number, EXACT)
        hub.publish(shown)
        by, pixels = seen(page, shown)
    assert by == "screen"
    assert cv2.absdiff(pixels, split(shown, 0.5)).mean() < 4


def test_residuals_in_colour_are_painted(hub: Hub, viewer: ViewerServer, page: Page) -> None:
    opened(page, viewer.start())
    frame = picture(SOURCE, 1, "soft")
    form = Form("jpeg", 90, in_colour=True)
    shown = viewed_picture(1, frame, some_residual(OUTPUT, planes=3), form)
    hub.publish(shown)
    by, pixels = seen(page, shown)
    assert by == "screen"
    assert cv2.absdiff(pixels, shown.pixels).mean() < 6


def test_a_card_that_goes_away_is_replaced_by_the_session_until_it_is_back(
    hub: Hub, viewer: ViewerServer, page: Page
) -> None:
    opened(page, viewer.start())

    def next_is(number: int, canvas: str) -> None:
        shown = drawable(number, EXACT)
        hub.publish(shown)
        by, pixels = seen(page, shown)
        assert by == canvas
        assert cv2.absdiff(pixels, shown.pixels).mean() < 4

    # Whoever draws is sent the last picture once more when that changes: then the page knows.
    def has(canvas: str) -> None:
        expect(page.locator(f"#{canvas}")).to_be_visible()

    next_is(1, "drawn")
    page.evaluate("""() => {
      const gl = document.getElementById("drawn").getContext("webgl2");
      window.card = gl.getExtension("WEBGL_lose_context");
      window.card.loseContext();
    }""")
    has("screen")
    next_is(2, "screen")
    page.evaluate("window.card.restoreContext()")
    has("drawn")
    next_is(3, "drawn")
    assert "decoded" not in page.locator("#notice").inner_text()


def test_a_session_of_another_size_is_drawn_in_its_own(
    hub: Hub, viewer: ViewerServer, page: Page
) -> None:
    opened(page, viewer.start(), 0.5)
    for number, size in ((1, SOURCE), (2, Size(96, 60)), (3, Size(200, 64))):
        shown = drawable(number, EXACT, size)
        hub.publish(shown)
        by, pixels = seen(page, shown)
        assert by == "drawn"
        assert cv2.absdiff(pixels, split(shown, 0.5)).max() == 0


def test_a_picture_too_large_for_the_card_is_composed_by_the_session(
    hub: Hub, viewer: ViewerServer, page: Page
) -> None:
    page.add_init_script("""
      const real = WebGL2RenderingContext.prototype.getParameter;
      WebGL2RenderingContext.prototype.getParameter = function (name) {
        return name === this.MAX_TEXTURE_SIZE ? 256 : real.call(this, name);
      };
    """)
    opened(page, viewer.start())
    shown = drawable(1, EXACT)
    hub.publish(shown)
    by, pixels = seen(page, shown)
    assert by == "screen"
    assert cv2.absdiff(pixels, shown.pixels).mean() < 4


def test_a_frame_with_a_fourth_channel_is_drawn_without_it(
    hub: Hub, viewer: ViewerServer, page: Page
) -> None:
    opened(page, viewer.start())
    shown = drawable(1, EXACT)
    noise = picture(SOURCE, 3, "noise")[:, :, :1]
    hub.publish(replace(shown, frame=np.concatenate([shown.frame, noise], axis=2)))
    assert cv2.absdiff(seen(page, shown)[1], shown.pixels).max() == 0
