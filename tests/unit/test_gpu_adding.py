"""What a card adds, by way of PyTorch's CPU device: the CPU engine's very residuals."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest

from p2c2g.media.cells import cell_of
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Rect, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form
from p2c2g_workers import nets
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.adding import From
from p2c2g_workers.engine.cpu import CpuEngine

if find_spec("torch") is None and os.environ.get("CI", "").lower() != "true":
    pytest.skip("needs PyTorch: pip install 'p2c2g[cuda]'", allow_module_level=True)


from p2c2g_workers.gpu.adding import source
from p2c2g_workers.gpu.engine import TorchEngine
from tests.unit.test_gpu_ops import picture

SIZE = Size(48, 40)
#: Adds something to the base.
UPSCALE = "upscale:2:bicubic"
#: Add nothing.
NOTHING = ("upscale:2", "pass")
PIPELINES = [
    *NOTHING,
    UPSCALE,
    "upscale:2,sharpen:0.7",
    "sharpen:0.7,upscale:2",
    "denoise:0.3,upscale:2:lanczos,sharpen:0.5",
    "upscale:3/2:lanczos",
    "resize:70x59:lanczos",
    "upscale:1/2:lanczos",
    "sharpen:1",
]
needs_nets = pytest.mark.skipif(nets.MISSING, reason="needs onnx: pip install 'p2c2g[ml]'")


def work(
    text: str, *, how: str = "raw", seed: int = 1, size: Size = SIZE, form: Form | None = None
) -> Work:
    """A chunk in a codec, of which the residual is wanted in the same but where told otherwise."""
    pixels = picture(size, seed, "noise")
    plan = Pipeline.parse(text).resolve(size)
    cell = cell_of(plan.scale_x, plan.scale_y)
    x, y = 4 * cell.width, 6 * cell.height
    # The right edge cuts a cell.
    crop = Rect(x, y, plan.output.width - x - 1, plan.output.height - y - 2)
    payload = codec(how).encode(pixels, 85)
    return Work(plan, how, payload, size, crop, form or Form(how, 85))


@pytest.fixture
def engine() -> Iterator[TorchEngine]:
    engine = TorchEngine("cpu")
    yield engine
    engine.close()


@pytest.mark.parametrize("text", PIPELINES)
@pytest.mark.parametrize("how", ["raw", "jpeg", "png", "webp"])
def test_the_result_is_the_cpu_engines(engine: TorchEngine, text: str, how: str) -> None:
    given = work(text, how=how)
    done = engine.enhance(given)
    assert done.payload == CpuEngine().enhance(given).payload
    assert given.form.decode(done.payload, given.crop.size).any() == (text not in NOTHING)
    assert done.decode_us >= 0
    assert done.process_us > 0


@pytest.mark.parametrize("text", PIPELINES)
@pytest.mark.parametrize(
    "form",
    [
        Form("raw", 85, in_colour=True),
        Form("jpeg", 85, in_colour=True),
        Form("jpeg", 60, 4),
        Form("webp", 90, 8),
    ],
    ids=str,
)
def test_the_residual_is_the_cpu_engines_in_every_form(
    engine: TorchEngine, text: str, form: Form
) -> None:
    given = work(text, form=form)
    assert engine.enhance(given).payload == CpuEngine().enhance(given).payload


@pytest.mark.parametrize("form", [Form("raw", 85), Form("jpeg", 95, 8)], ids=str)
def test_levels_that_no_byte_holds_are_kept_or_cut_off_as_by_the_cpu(
    engine: TorchEngine, form: Form
) -> None:
    size = Size(48, 48)
    dots = np.zeros((48, 48, 3), np.uint8)
    dots[1::3, 1::3] = 255  # just what the nearest pixels are, and a ninth of the area
    plan = Pipeline.parse("upscale:1/3:nearest").resolve(size)
    payload = codec("raw").encode(dots, 85)
    given = Work(plan, "raw", payload, size, Rect(0, 0, 16, 16), form)
    done = engine.enhance(given)
    assert done.payload == CpuEngine().enhance(given).payload
    if codec(form.codec).lossless:
        assert (form.decode(done.payload, Size(16, 16)) == 255 - 28).all()


@needs_nets
@pytest.mark.parametrize(
    ("text", "of"),
    [
        ("upscale:2:ml-tiny", From.LEVELS),
        ("upscale:2:ml-tiny,sharpen:0.2", From.FIRST),
        ("denoise:0.3,upscale:2:ml-tiny", From.PICTURES),
        ("upscale:2:ml-tiny,upscale:1/2:lanczos", From.PICTURES),
    ],
)
@pytest.mark.parametrize("form", [Form("jpeg", 85), Form("raw", 85, in_colour=True)], ids=str)
def test_a_net_is_the_cpu_engines_too(engine: TorchEngine, text: str, of: From, form: Form) -> None:
    given = work(text, how="jpeg", form=form)
    assert all(map(engine.can, given.plan.steps))
    assert source(given.plan, in_colour=False) is of
    assert engine.enhance(given).payload == CpuEngine().enhance(given).payload
