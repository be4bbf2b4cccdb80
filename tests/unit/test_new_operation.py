"""A new operation is one row and one function a device: here are two that nobody ships."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np
import pytest

from p2c2g.errors import ProcessorError, UsageError
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g.media.operations import OPERATIONS, Call, Operation, Pipeline, Step, pipeline
from p2c2g.media.residual import difference
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.probe import speeds
from p2c2g_workers.processors import CPU, known, register, run
from p2c2g_workers.processors.opencl import OPENCL
from tests.honest import EXACT

#: Without a value, and without a look at any neighbour.
INVERT = Operation(
    "invert",
    form="invert",
    limits=", without a value",
    does="makes a negative",
    example="invert",
    parse=lambda name, values: None if values else Call(name),
    values=lambda _call: [],
)


def _read_mosaic(name: str, values: list[str]) -> Call | None:
    edge = int(values[0]) if len(values) == 1 and values[0] in {"2", "4", "8"} else None
    return None if edge is None else Call(name, amount=float(edge))


#: With a value, by which it sees its picture in cells, and looks across one of them.
MOSAIC = Operation(
    "mosaic",
    form="mosaic:EDGE",
    limits=" with an EDGE of 2, 4 or 8, such as mosaic:4",
    does="makes squares of one colour",
    example="mosaic:4",
    parse=_read_mosaic,
    values=lambda call: [f"{call.amount:g}"],
    radius=lambda call, _x, _y: int(call.amount) - 1,
    cell=lambda call: int(call.amount),
)


def invert(pixels: Pixels, _step: Step) -> Pixels:
    return 255 - pixels


def mosaic(pixels: Pixels, step: Step) -> Pixels:
    edge = int(step.amount)
    height, width = pixels.shape[:2]
    rows = np.arange(height) // edge * edge
    columns = np.arange(width) // edge * edge
    return pixels[rows][:, columns]


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All that it takes to add them, undone afterwards."""
    monkeypatch.setitem(OPERATIONS, "invert", INVERT)
    monkeypatch.setitem(OPERATIONS, "mosaic", MOSAIC)
    monkeypatch.setattr(CPU, "_processors", dict(CPU._processors))
    register("invert")(invert)
    register("mosaic")(mosaic)
    yield
    pipeline._parse.cache_clear()


def picture(size: Size) -> Pixels:
    return np.random.default_rng(2).integers(0, 256, (size.height, size.width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "text",
    [
        "invert",
        "mosaic:8",
        "upscale:3/2,invert,sharpen:1",
        "denoise:0.5,mosaic:4,upscale:2:lanczos",
        "upscale:1/2,mosaic:2,invert,resize:187x105",
        "invert,upscale:2:nearest,mosaic:4,invert",
    ],
)
def test_its_chunks_are_the_whole_through_the_workers_processors(text: str) -> None:
    size = Size(132, 90)
    plan = Pipeline.parse(text).resolve(size)
    pixels = picture(size)
    whole = run(plan, pixels)
    joined = np.zeros_like(whole)
    for chunk in plan_chunks(plan, Grid(2, 2)):
        chunk.target.of(joined)[:] = chunk.crop.of(run(plan, cut(pixels, chunk)))
    assert not cv2.absdiff(whole, joined).any()


def test_its_values_decide_how_chunks_are_cut() -> None:
    plan = Pipeline.parse("upscale:2,mosaic:8").resolve(Size(64, 64))
    assert plan.align == (4, 4), "a cell of 8 enlarged pixels is 4 of the source"
    assert plan.halo == (8, 8), "2 and 7/2, up to a multiple of 4"
    assert plan.steps[1].scale_x == Fraction(1)


def test_an_engine_does_it_and_the_probe_measures_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "BUDGET", 0.0)
    engine, pixels = CpuEngine(), picture(Size(32, 18))
    plan = Pipeline.parse("invert,mosaic:4").resolve(Size(32, 18))
    assert all(map(engine.can, plan.steps))
    payload = codec("raw").encode(pixels, 85)
    done = engine.enhance(Work(plan, "raw", payload, Size(32, 18), Rect(0, 0, 32, 18), EXACT))
    due = difference(run(plan, pixels), pixels, Size(1, 1))
    np.testing.assert_array_equal(EXACT.decode(done.payload, Size(32, 18)), due)
    assert {"invert", "mosaic"} <= set(known())
    assert {"invert", "mosaic"} <= speeds.processors(engine).keys()


def test_another_device_leaves_it_to_the_cpu() -> None:
    plan = Pipeline.parse("invert").resolve(Size(20, 12))
    assert OPENCL.processor(plan.steps[0]) is invert


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("invert:1", "'invert:1' is not right: the form is invert, without a value."),
        ("mosaic:3", "the form is mosaic:EDGE with an EDGE of 2, 4 or 8, such as mosaic:4."),
        ("mosaik:4", "those known are upscale, resize, sharpen, denoise, pass, invert, mosaic, "),
    ],
)
def test_a_wrong_one_is_refused_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        Pipeline.parse(text)
    assert says in str(refused.value)
    assert Pipeline.parse(" invert , mosaic:4").text == "invert,mosaic:4"


def test_a_row_that_no_device_has_a_function_for_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(CPU._processors, "invert")
    plan = Pipeline.parse("invert").resolve(Size(8, 8))
    with pytest.raises(ProcessorError, match="no processor for invert: it has denoise, "):
        run(plan, picture(Size(8, 8)))
