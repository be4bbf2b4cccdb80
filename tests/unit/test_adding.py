"""What a plan adds to the base: the ways to it, and that they agree."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from p2c2g.errors import WireError
from p2c2g.media.base import base
from p2c2g.media.cells import cell_of
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g.media.operations import Pipeline, Plan
from p2c2g.media.residual import Form, difference, luma
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.adding import added, way
from p2c2g_workers.engine.decoding import decoded, luma_of
from p2c2g_workers.processors import CPU, network, run
from tests.honest import EXACT

SIZE = Size(96, 60)
TEXTS = [
    "pass",
    "upscale:2",
    "upscale:2,sharpen:0.5",
    "upscale:3/2:lanczos,sharpen:1",
    "denoise:0.5,upscale:2:bicubic",
    "resize:144x90:nearest",
    "upscale:1/2:bilinear,upscale:3",
]
NETS = pytest.mark.skipif(network.MISSING, reason="needs onnx: pip install 'p2c2g[ml]'")


def picture(size: Size = SIZE, grey: bool = False) -> Pixels:
    """Return blocks with soft edges, in colours or in greys."""
    random = np.random.default_rng(5)
    blocks = random.integers(
        0, 256, (size.height // 6, size.width // 6, 1 if grey else 3), np.uint8
    )
    whole = cv2.resize(blocks, (size.width, size.height), interpolation=cv2.INTER_LINEAR)
    return np.repeat(whole[:, :, None], 3, 2) if grey else np.asarray(whole, np.uint8)


def work(text: str, pixels: Pixels, form: Form = EXACT, name: str = "raw") -> Work:
    """Return a whole frame as one chunk."""
    plan = Pipeline.parse(text).resolve(Size.of(pixels))
    crop = Rect(0, 0, plan.output.width, plan.output.height)
    payload = codec(name).encode(pixels, 80)
    return Work(plan, name, payload, Size.of(pixels), crop, form)


def of_pictures(plan: Plan, pixels: Pixels, *, in_colour: bool = False) -> Pixels:
    """Return the difference of two pictures: what a residual means."""
    under = base(pixels, plan.scale_x, plan.scale_y, plan.output)
    cell = cell_of(plan.scale_x, plan.scale_y)
    return difference(run(plan, pixels), under, cell, in_colour=in_colour)


@pytest.mark.parametrize("text", TEXTS)
def test_in_colour_it_is_the_difference_of_two_pictures(text: str) -> None:
    pixels, form = picture(), replace(EXACT, in_colour=True)
    given = work(text, pixels, form)
    assert not way(CPU, given).of_luma
    due = of_pictures(given.plan, pixels, in_colour=True)
    np.testing.assert_array_equal(added(CPU, given, pixels), due)


@pytest.mark.parametrize("text", TEXTS)
def test_of_a_grey_picture_luma_alone_is_the_same(text: str) -> None:
    pixels = picture(grey=True)
    given = work(text, pixels)
    due = of_pictures(given.plan, pixels)
    assert np.abs(added(CPU, given, pixels) - due).max() <= 1


@pytest.mark.parametrize("text", [*TEXTS, pytest.param("upscale:2:ml-tiny,sharpen:1", marks=NETS)])
@pytest.mark.parametrize("grid", [Grid(2, 2), Grid(3, 1)])
def test_chunks_are_the_whole(text: str, grid: Grid) -> None:
    pixels = picture()
    whole = added(CPU, work(text, pixels), pixels)
    plan = Pipeline.parse(text).resolve(SIZE)
    for chunk in plan_chunks(plan, grid):
        part = cut(pixels, chunk)
        given = Work(plan, "raw", b"", chunk.padded.size, chunk.crop, EXACT)
        np.testing.assert_array_equal(added(CPU, given, part), chunk.target.of(whole))


@pytest.mark.parametrize("text", ["upscale:2", "pass", "upscale:3/2", "resize:50x30"])
def test_the_base_itself_adds_nothing(text: str) -> None:
    pixels = picture()
    assert not added(CPU, work(text, pixels), pixels).any()


@NETS
@pytest.mark.parametrize("text", ["upscale:2:ml-tiny", "upscale:2:ml-tiny,sharpen:1"])
def test_a_net_makes_no_picture(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> Pixels:
        raise AssertionError("a picture was made")

    pixels = picture()
    given = work(text, pixels)
    monkeypatch.setattr(type(CPU.processor(given.plan.steps[0])), "__call__", never)
    assert added(CPU, given, pixels).any()


def test_luma_is_decoded_without_colours() -> None:
    pixels = picture()
    given = work("sharpen:1", pixels, name="jpeg")
    assert way(CPU, given).of_luma
    found = luma_of(given)
    assert found.shape == (SIZE.height, SIZE.width)
    due = luma(cv2.split(decoded(given)))
    assert np.abs(found.astype(int) - due).mean() < 0.5, "but for what colours round and cut off"
    exact = work("sharpen:1", pixels)
    np.testing.assert_array_equal(luma_of(exact), luma(cv2.split(pixels)))


@pytest.mark.parametrize("name", ["jpeg", "raw"])
def test_a_picture_of_another_size_than_was_announced_is_refused(name: str) -> None:
    given = replace(work("sharpen:1", picture(), name=name), size=Size(95, 60))
    for decode in (decoded, luma_of):
        with pytest.raises(WireError, match="its picture is 96x60 where its header says 95x60"):
            decode(given)


def test_what_lies_outside_is_refused() -> None:
    given = replace(work("upscale:2", picture()), crop=Rect(10, 0, 192, 100))
    with pytest.raises(WireError, match="its crop lies outside its enhanced picture"):
        way(CPU, given)
