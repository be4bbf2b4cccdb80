"""What a viewer is sent of a picture, through real sockets: drawn or composed, made once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
import simplejpeg
from websockets.sync.client import connect

from p2c2g.display import packer
from p2c2g.display.terms import terms
from p2c2g.media.frame import Size
from p2c2g.media.picture import Picture
from p2c2g.media.residual import USUAL_FORM, Form
from p2c2g_capture.sources.pattern import read_numbers
from tests.viewed import some_residual, viewed_picture
from tests.watchers import (
    LARGE,
    OUTPUT,
    PATIENCE,
    SMALL,
    SOURCE,
    STATS,
    Client,
    Message,
    drawable,
    picture,
)


def test_a_viewer_that_does_not_draw_gets_the_composed_picture(serving):
    with serving.client() as client:
        client.next_stats()
        serving.hub.publish(picture(77))
        message = client.next_picture()
    header = dict(message.header)
    assert read_numbers(message.image(header.pop("picture"))) == [77] * 16
    assert header == {
        "number": 77,
        "state": "complete",
        "output": [640, 360],
        "captured_ms": 10_000.0,
        "age_ms": 50.0,
        "media_type": "image/jpeg",
        "base": None,
    }


def test_the_base_comes_along_where_it_is_shown_also_of_a_picture_that_was_sent(serving):
    shown = replace(drawable(1), compose=lambda base: LARGE.grab(5))
    serving.hub.publish(shown)
    with serving.client() as client:
        assert client.next_picture().header["base"] is None
        client.wish(base=True)
        message = client.next_picture()
        assert message.number == 1
        assert read_numbers(message.image(message.header["picture"])) == [5] * 16
        assert cv2.absdiff(message.image(message.header["base"]), shown.base).mean() < 6


def test_a_viewer_that_draws_gets_terms_once_and_what_came_as_it_came(serving):
    sent = drawable(7, late=1)
    with serving.client(draws=True) as client:
        serving.hub.publish(sent)
        told = client.next_terms()
        message = client.next_picture()
        client.answer(7)
        serving.hub.publish(drawable(8))
        while not isinstance(again := client.next(), Message):
            assert "terms" not in again
    assert told == terms(SOURCE, OUTPUT, Fraction(2), Fraction(2), 1)
    header = message.header
    assert (header["number"], header["state"]) == (7, "degraded")
    assert header["media_type"] == "rgba"
    own = np.frombuffer(message.payload(header["own"]), np.uint8).reshape(180, 320, 4)
    assert (own[:, :, 2::-1] == sent.frame).all()
    (only,) = header["residuals"]
    assert (only["target"], only["media_type"]) == ([0, 0, 640, 180], "image/jpeg")
    assert message.payload(only["payload"]) == sent.tiles[0].residual


def test_new_terms_are_told_before_the_picture_that_they_are_of(serving):
    small = viewed_picture(2, SMALL.grab(2)[:90], some_residual(Size(640, 180)), USUAL_FORM)
    with serving.client(draws=True) as client:
        for shown, height in ((drawable(1), 360), (small, 180), (drawable(3), 360)):
            serving.hub.publish(shown)
            assert client.next_terms()["output"] == [640, height]
            assert client.next_picture().header["output"] == [640, height]
            client.answer(shown.number)


def test_a_viewer_that_is_elsewhere_gets_a_jpeg_of_the_own_pixels(serving):
    sent = drawable(7)
    serving.hub.publish(sent)
    with serving.client(draws=True, origin="http://localhost:9000") as client:
        message = client.next_picture()
    assert message.header["media_type"] == "image/jpeg"
    off = cv2.absdiff(message.image(message.header["own"]), np.ascontiguousarray(sent.frame))
    assert off.mean() < 4  # it is noisy


def test_a_fourth_channel_of_a_frame_is_left_out(serving):
    sent = drawable(1)
    noise = np.full((180, 320, 1), 7, np.uint8)
    serving.hub.publish(replace(sent, frame=np.concatenate([sent.frame, noise], axis=2)))
    with serving.client(draws=True) as client:
        message = client.next_picture()
    own = np.frombuffer(message.payload(message.header["own"]), np.uint8).reshape(180, 320, 4)
    assert (own[:, :, 2::-1] == sent.frame).all()


@pytest.mark.parametrize("strength", [8, 200])
def test_residuals_that_no_browser_reads_are_sent_as_png_and_lose_nothing(serving, strength):
    residual = some_residual(OUTPUT, 1, strength)
    serving.hub.publish(viewed_picture(1, SMALL.grab(1), residual, Form("raw", 100), late=0))
    with serving.client(draws=True) as client:
        message = client.next_picture()
    (only,) = message.header["residuals"]
    assert only["media_type"] == "image/png"
    data = message.payload(only["payload"])
    assert (Form("png", 100).decode(data, Size(640, 180)) == residual[180:]).all()


def test_residuals_in_colour_are_composed_by_the_session_also_for_a_viewer_that_draws(serving):
    sent = drawable(1, Form("jpeg", 75, in_colour=True))
    serving.hub.publish(sent)
    with serving.client(draws=True, base=True) as client:
        message = client.next_picture()
    assert cv2.absdiff(message.image(message.header["picture"]), sent.pixels).mean() < 6
    assert message.header["base"] is not None


def test_nothing_is_sent_before_a_viewer_says_what_it_wants(serving):
    serving.hub.publish(picture(1))
    with connect(serving.websocket_url, proxy=None, open_timeout=PATIENCE) as connection:
        client = Client(connection)
        assert [client.next() for _ in range(3)] == [STATS] * 3
        client.wish()
        assert client.next_picture().number == 1


def test_what_viewers_want_is_made_once_for_all_of_them(serving, monkeypatch):
    made: Counter[str] = Counter()

    def counting(name: str, make: Callable[[Picture], object]) -> Callable[[Picture], object]:
        def makes(picture: Picture) -> object:
            made[name] += 1
            assert threading.current_thread().name.startswith("viewer-packer")
            return make(picture)

        return makes

    makers = {name: counting(name, make) for name, make in packer._MAKERS.items()}
    monkeypatch.setattr(packer, "_MAKERS", makers)
    with ExitStack() as stack:
        for kind in ({"draws": True}, {}, {"base": True}) * 3:
            stack.enter_context(serving.client(**kind)).next_stats()
        clients = [stack.enter_context(serving.client(**kind)) for kind in ({"draws": True}, {})]
        serving.hub.publish(drawable(1))
        for client in clients:
            assert client.next_picture().number == 1
    # What nobody waited for may just be begun.
    assert {name: count for name, count in list(made.items()) if count != 1} == {}


def test_a_slow_composition_holds_up_neither_those_who_draw_nor_makes_an_old_picture(
    serving, monkeypatch
):
    begun, go_on, composed = threading.Event(), threading.Event(), []

    def slow(picture: Picture) -> bytes:
        composed.append(picture.number)
        begun.set()
        assert go_on.wait(PATIENCE)
        return simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8))

    monkeypatch.setattr(packer, "_MAKERS", {**packer._MAKERS, "composed": slow})
    with (
        serving.client(draws=True) as drawing,
        serving.client() as first,
        serving.client() as second,
        serving.client() as third,
    ):
        serving.hub.publish(drawable(0))
        assert begun.wait(PATIENCE)
        for number in range(1, 30):
            assert drawing.next_picture().number == number - 1
            drawing.answer(number - 1)
            serving.hub.publish(drawable(number))
        first.connection.ping().wait(PATIENCE)  # the loop answers meanwhile
        go_on.set()
        for client in (first, second, third):
            seen = [client.next_picture().number]
            while seen[-1] != 29:
                client.answer(seen[-1])
                seen.append(client.next_picture().number)
            assert seen in ([0, 29], [29])
    assert composed == [0, 29]
