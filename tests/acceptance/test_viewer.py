"""The viewer's page in a real browser: whole frames, in order, compared and honest."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import expect

from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.picture import Picture
from p2c2g.media.residual import USUAL_FORM, Form
from p2c2g_capture.sources.mirror import VIEWER_TITLE
from p2c2g_capture.sources.pattern import PatternSource, stamp_layout
from tests.brokers import free_port
from tests.pictures import shown_picture
from tests.viewed import some_residual, viewed_picture

from .browser import READER, wait_until

pytestmark = pytest.mark.needs("chromium")

SOURCE, OUTPUT = Size(640, 360), Size(1280, 720)
STATS = {
    "fps": 30.0,
    "latency_ms": {"p50": 31.4, "p99": 47.2},
    "frames": {"captured": 1209, "complete": 1204, "degraded": 3, "dropped": 2},
    "peers": [
        {"id": "attic", "queue": "gpu", "chunks": 1310},
        {"id": "cellar", "queue": "cpu", "chunks": 590},
        {"id": "study", "queue": "cpu", "chunks": 508},
    ],
}
#: Counts the pixels of the visible canvas that are mostly red, and mostly green, in one row.
COLOURS = """() => {
  const screen = document.getElementById("screen");
  const {data} = screen.getContext("2d").getImageData(0, 300, screen.width, 1);
  let row = "";
  for (let at = 0; at < data.length; at += 4) row += data[at] > data[at + 1] ? "r" : "g";
  const edge = row.indexOf("g");
  return [edge < 0 ? row.length : edge, row.lastIndexOf("r") + 1];
}"""


def coloured(size: Size, bgr: tuple[int, int, int]) -> Pixels:
    pixels = np.empty((size.height, size.width, 3), np.uint8)
    pixels[:] = bgr
    return pixels


def plain(number: int) -> Picture:
    """Return a picture whose base layer is red and whose enhanced one is green."""
    shown = shown_picture(
        number, coloured(OUTPUT, (0, 255, 0)), source=SOURCE, captured_at=10.0, ready_at=10.0
    )
    return replace(shown, frame=coloured(SOURCE, (0, 0, 255)))


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def viewer(hub: Hub) -> Iterator[ViewerServer]:
    made = ViewerServer(hub, lambda: STATS, clock=lambda: 10.021)
    yield made
    made.close()


@pytest.mark.parametrize("composer", ["software", "off"])
def test_each_frame_is_shown_whole_once_and_in_order(hub, viewer, page, tmp_path, composer):
    size = Size(320, 180)
    source = PatternSource(size)
    residual = some_residual(Size(640, 360), strength=3.0)
    pictures = [
        viewed_picture(
            number, source.grab(number), residual, USUAL_FORM, late=1 if number % 3 == 0 else None
        )
        for number in range(100, 160)
    ]

    page.goto(f"{viewer.start()}?composer={composer}")
    page.evaluate(READER, stamp_layout(Size(640, 360)))
    stop = threading.Event()

    def feed(some: Sequence[Picture]) -> None:
        for each in some:
            if stop.wait(1 / 30):
                return
            hub.publish(each)

    # The last picture of a part is not replaced by a newer one, so it is shown in the end: however
    # slow the machine is, some are.
    for first in range(0, len(pictures), 12):
        part = pictures[first : first + 12]
        feeder = threading.Thread(target=feed, args=(part,))
        feeder.start()
        try:
            if first == 24:
                page.keyboard.press("b")
                expect(page.locator("body")).to_have_attribute("data-mode", "base")
            wait_until(page, f"window.seen.at(-1)?.number === {part[-1].number}")
        finally:
            stop.set()
            feeder.join()
        stop.clear()
    seen = page.evaluate("window.seen")
    page.screenshot(path=tmp_path / "pattern.png")

    numbers = [shown["number"] for shown in seen]
    assert len(numbers) > 3
    assert numbers == sorted(set(numbers))
    for shown in seen:
        assert shown["stamps"] == [shown["number"]] * 16
        assert shown["state"] == ("degraded" if shown["number"] % 3 == 0 else "complete")


def test_own_with_peers_and_both_by_key_button_pointer_and_slider(hub, viewer, page, tmp_path):
    page.goto(viewer.start())
    hub.publish(plain(1))
    divider = page.get_by_role("slider")
    body = page.locator("body")
    expect(page.locator("#overlay")).to_be_hidden()

    def has_edge(edge: int) -> None:
        wait_until(page, f"({COLOURS})().every((at) => at === {edge})")

    # Who comes for the first time sees both.
    expect(body).to_have_attribute("data-mode", "split")
    has_edge(640)
    page.screenshot(path=tmp_path / "split.png")
    page.keyboard.press("b")
    expect(body).to_have_attribute("data-mode", "base")
    has_edge(1280)
    page.keyboard.press("b")
    expect(body).to_have_attribute("data-mode", "enhanced")
    has_edge(0)
    page.keyboard.press("b")
    has_edge(640)

    page.get_by_role("button", name="Own", exact=True).click()
    has_edge(1280)
    expect(divider).to_have_attribute("aria-valuetext", "All your own picture")
    page.get_by_role("button", name="With peers", exact=True).click()
    has_edge(0)

    divider.focus()
    page.keyboard.press("End")
    has_edge(1280)
    page.keyboard.press("Home")
    has_edge(0)
    page.keyboard.press("Shift+ArrowRight")
    has_edge(128)
    expect(divider).to_have_attribute("aria-valuenow", "10")

    page.mouse.move(128, 300)
    page.mouse.down()
    page.mouse.move(320, 310, steps=4)
    page.mouse.up()
    has_edge(320)
    # A new picture keeps the comparison, and so does the page when it is loaded again.
    page.evaluate(READER, [])
    hub.publish(plain(2))
    wait_until(page, "window.seen.at(-1)?.number === 2")
    has_edge(320)
    page.reload()
    has_edge(320)


def test_the_readout_shows_what_the_session_says(hub, viewer, page):
    page.goto(viewer.start())
    hub.publish(plain(1))
    readout = page.get_by_label("Statistics", exact=True)
    for name, text in {
        "fps": "30.0",
        "p50": "31",
        "p99": "47",
        "complete": "1,204",
        "degraded": "3",
        "dropped": "2",
        "peers": "3",
    }.items():
        expect(readout.locator(f"#{name}")).to_have_text(text)
    peers = readout.locator("#peers-group")
    expect(peers).to_have_attribute("title", re.compile(r"^attic \(gpu\): 1,310 chunks\n"))
    page.keyboard.press("i")
    expect(readout).to_be_hidden()


def test_what_peers_run_and_the_bit_rate_are_shown_where_the_session_says_them(hub, page):
    stats = {**STATS}
    with closing(ViewerServer(hub, lambda: stats)) as viewer:
        page.goto(viewer.start())
        expect(page.locator("#peers")).to_have_text("3")
        expect(page.locator("#methods-group")).to_be_hidden()
        expect(page.locator("#rate-group")).to_be_hidden()
        stats |= {"methods": {"bicubic": 0.25, "ml-small": 0.75}, "mbps_up": 12.34, "mbps_down": 5}
        for name, text in {
            "method": "ml-small",
            "method-share": "75 %",
            "up": "12.3",
            "down": "5.0",
        }.items():
            expect(page.locator(f"#{name}")).to_have_text(text)
        expect(page.locator("#methods-group")).to_have_attribute(
            "title", "What the peers ran\nml-small: 75 %\nbicubic: 25 %"
        )
        expect(page.locator("#line")).to_have_text("")
        clear = {"state": "normal", "target_mbps": None, "rise_ms": 0.4}
        full = {"state": "overuse", "target_mbps": 4.25, "rise_ms": 61.2}
        expect(page.locator("#known")).to_have_text("")
        stats["known"] = 0.974
        stats["line"] = {"up": full, "down": clear}
        expect(page.locator("#known")).to_have_text("97 % known")
        expect(page.locator("#line")).to_have_text("full")
        expect(page.locator("#rate-group")).to_have_attribute(
            "title", re.compile("↑ full: 61 ms of waiting, 4.3 at most\\n↓ clear: 0 ms of waiting$")
        )
        stats["line"] = {"up": clear, "down": clear}
        expect(page.locator("#line")).to_have_text("clear")
        expect(page.locator(".tag-base")).to_have_text("Your own picture")
        stats["psnr_db"] = {"base": 33.91, "enhanced": 35.14}
        expect(page.locator(".tag-base")).to_have_text("Your own picture33.9 dB")
        expect(page.locator(".tag-enhanced")).to_have_text("With peers35.1 dB")
        stats["limits"] = {"up": {"mbps": 20, "used": 0.62}}
        expect(page.locator("#up")).to_have_text("12.3 of 20")
        expect(page.locator("#down")).to_have_text("5.0")
        stats["methods"] = {"ml-tiny": 1.0}
        expect(page.locator("#method")).to_have_text("ml-tiny")
        expect(page.locator("#method-share")).to_have_text("")
        expect(page.locator("#carried-group")).to_be_hidden()
        stats["carried_ms"] = 33.4
        expect(page.locator("#carried")).to_have_text("33")
        expect(page.locator("#carried-group")).to_be_visible()
        # Where no peer takes part, the picture is not said to be theirs.
        stats["by"] = "here"
        expect(page.locator(".tag-enhanced")).to_have_text("Enhanced here35.1 dB")
        expect(page.get_by_role("button", name="Enhanced here", exact=True)).to_be_visible()
        stats["by"] = "nobody"
        expect(page.get_by_role("button", name="Not enhanced", exact=True)).to_be_visible()


@pytest.mark.parametrize("size", [(844, 390), (667, 375), (932, 430), (740, 320)])
def test_on_a_phone_lying_down_nothing_covers_the_game(hub, viewer, page, size, tmp_path):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(viewer.start())
    hub.publish(plain(1))
    expect(page.locator("#peers")).to_have_text("3")
    expect(page.locator("#overlay")).to_be_hidden()
    screen = page.locator("#screen").bounding_box()
    page.screenshot(path=tmp_path / "lying.png")
    assert screen is not None
    for part in ("#readout", ".controls"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["x"] >= screen["x"] + screen["width"], part
        assert box["x"] + box["width"] <= size[0], part
        assert box["y"] >= 0, part
        assert box["y"] + box["height"] <= size[1], part
    # Without them the picture has all the room.
    page.keyboard.press("i")
    expect(page.locator("#readout")).to_be_hidden()
    screen = page.locator("#screen").bounding_box()
    assert screen is not None
    assert screen["width"] == pytest.approx(min(size[0], size[1] * 16 / 9), rel=0.01)


def test_a_readout_with_nothing_to_say_yet_shows_dashes(hub, page):
    start = {"fps": 0.0, "latency_ms": {"p50": None, "p99": None}, "peers": []}
    with closing(ViewerServer(hub, lambda: start)) as viewer:
        page.goto(viewer.start())
        for name, text in {"fps": "0.0", "p50": "–", "complete": "–", "peers": "0"}.items():
            expect(page.locator(f"#{name}")).to_have_text(text)


def test_what_the_session_says_of_its_source_is_shown_while_it_says_it(hub, page):
    stats = {**STATS, "notice": "The window is minimised, and black until it is shown again"}
    with closing(ViewerServer(hub, lambda: stats)) as viewer:
        page.goto(viewer.start())
        # A capture recognizes itself by this.
        assert page.title() == VIEWER_TITLE
        expect(page.locator("#notice")).to_have_text(stats["notice"])
        stats["notice"] = ""
        expect(page.locator("#notice")).to_be_hidden()


def test_a_picture_that_cannot_be_decoded_is_said_and_does_not_stop_the_next(hub, viewer, page):
    page.goto(f"{viewer.start()}?composer=software")
    form = Form("png", 100)
    frame = coloured(Size(64, 36), (9, 9, 9))
    whole = viewed_picture(1, frame, some_residual(Size(128, 72)), form)
    bad = tuple(replace(tile, residual=b"\x89PNG no picture") for tile in whole.tiles)
    for number in range(1, 5):
        hub.publish(replace(whole, number=number, tiles=bad))
    expect(page.locator("#notice")).to_have_text("A picture could not be decoded")
    hub.publish(replace(whole, number=5))
    expect(page.locator("#overlay")).to_be_hidden()


def test_a_lost_session_is_said_and_the_next_one_is_found(hub, page, tmp_path):
    # Nobody is given this port between the two: not even the page, which asks for it all the time.
    port = free_port()
    title = page.locator("#overlay-title")
    with closing(ViewerServer(hub, lambda: STATS, port=port)) as viewer:
        page.goto(viewer.start())
        expect(title).to_have_text("Connected")
        hub.publish(plain(1000))
        expect(page.locator("#overlay")).to_be_hidden()
    expect(title).to_have_text("Session ended")
    expect(page.locator("#overlay-text")).to_contain_text("Behind this is the last picture")
    page.screenshot(path=tmp_path / "ended.png")

    again = Hub()
    with_same_port = ViewerServer(again, lambda: STATS, port=port)
    with closing(with_same_port):
        with_same_port.start()
        page.evaluate(READER, [])
        # Numbers start again.
        again.publish(plain(0))
        wait_until(page, "window.seen.at(-1)?.number === 0")
        expect(page.locator("#overlay")).to_be_hidden()


def test_the_picture_keeps_its_shape_in_any_window(hub, viewer, page, tmp_path):
    page.goto(viewer.start())
    hub.publish(plain(1))
    expect(page.locator("#overlay")).to_be_hidden()
    for width, height in ((1920, 800), (500, 900)):
        page.set_viewport_size({"width": width, "height": height})
        wait_until(page, f"innerWidth === {width} && innerHeight === {height}")
        box = page.locator("#screen").bounding_box()
        assert box is not None
        assert box["width"] / box["height"] == pytest.approx(16 / 9, rel=0.01)
        # As large as it can be: one way it fills the window.
        assert max(box["width"] / width, box["height"] / height) == pytest.approx(1, rel=0.002)
        assert box["x"] + box["width"] / 2 == pytest.approx(width / 2, abs=1)
        page.screenshot(path=tmp_path / f"{width}x{height}.png")
