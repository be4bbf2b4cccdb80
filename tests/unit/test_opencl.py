"""OpenCL's processors beside the CPU's: how far apart, in chunks, in threads, and really there."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from p2c2g.errors import WireError
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.engine.opencl import VARIABLE, OpenClEngine
from p2c2g_workers.engine.trial import try_out
from p2c2g_workers.probe.speeds import chunk
from p2c2g_workers.processors import run
from p2c2g_workers.processors.opencl import LEVELS, OPENCL
from tests import opencl
from tests.lane import ROOT

PIPELINES = [
    *(f"upscale:{factor}:bicubic" for factor in ("2", "4/3", "4", "8/3", "3/2")),
    *(f"upscale:{factor}:bilinear" for factor in ("2", "4/3", "3", "1.25")),
    "resize:240x150:bilinear",
    "upscale:2",
    "denoise:1,upscale:3/2,sharpen:1",
    "sharpen:0.5",
    "sharpen:0.37",
    "sharpen:4",
    "denoise:0.3",
    "upscale:2:bicubic,sharpen:0.5",
    "denoise:1,upscale:2:bicubic,sharpen:1",
]
#: Sharpening makes what was off before it more so: once around, and by its amount.
AFTER = {"upscale:2:bicubic,sharpen:0.5": 2, "denoise:1,upscale:2:bicubic,sharpen:1": 3}
#: All else, such as the base layer, is exact.
KERNELS = (":bicubic", ":bilinear")


@pytest.fixture(autouse=True)
def device() -> None:
    opencl.require()


def noise(seed: int, width: int, height: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def apart(ours: Pixels, theirs: Pixels) -> int:
    assert ours.shape == theirs.shape
    return int(np.abs(ours.astype(np.int16) - theirs).max())


def allowed(text: str) -> int:
    if text in AFTER:
        return AFTER[text]
    return LEVELS if any(kernel in text for kernel in KERNELS) else 0


@pytest.mark.parametrize("text", PIPELINES)
@with_settings(max_examples=10)
@given(seed=st.integers(0, 9), width=st.integers(1, 200), height=st.integers(1, 90))
def test_it_is_the_cpus_picture_within_the_tolerance(
    text: str, seed: int, width: int, height: int
) -> None:
    pixels = noise(seed, width, height)
    plan = Pipeline.parse(text).resolve(Size.of(pixels))
    assert apart(OPENCL.run(plan, pixels), run(plan, pixels)) <= allowed(text)


@pytest.mark.parametrize(
    "text", ["upscale:2:bicubic", "upscale:4/3:bicubic", "upscale:1.25:bilinear"]
)
def test_far_from_the_edge_it_is_no_worse(text: str) -> None:
    pixels = noise(1, 4000, 6)
    plan = Pipeline.parse(text).resolve(Size.of(pixels))
    assert apart(OPENCL.run(plan, pixels), run(plan, pixels)) <= LEVELS


@pytest.mark.parametrize("text", PIPELINES)
def test_chunks_are_the_whole_frame_within_the_tolerance(text: str) -> None:
    pixels = noise(3, 96, 60)
    plan = Pipeline.parse(text).resolve(Size.of(pixels))
    whole = OPENCL.run(plan, pixels)
    for part in plan_chunks(plan, Grid(3, 2)):
        enhanced = OPENCL.run(plan, cut(pixels, part))
        assert apart(part.crop.of(enhanced), part.target.of(whole)) <= allowed(text)


def test_threads_get_the_same_pixels_as_one() -> None:
    pictures = [noise(seed, 160 + seed, 90) for seed in range(8)]
    plans = [
        Pipeline.parse("upscale:2:bicubic,sharpen:0.5,denoise:0.3").resolve(Size.of(each))
        for each in pictures
    ]
    alone = [OPENCL.run(plan, each) for plan, each in zip(plans, pictures, strict=True)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(OPENCL.run, plans * 4, pictures * 4))
    for ours, theirs in zip(together, alone * 4, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# -- the engine


def test_the_engine_passes_the_trial_on_a_device_named_by_hand() -> None:
    engine = OpenClEngine(os.environ[VARIABLE])
    assert engine.kind == "opencl"
    assert engine.name
    assert try_out(engine, CpuEngine()) is None
    engine.close()


def test_the_engine_can_do_what_the_cpu_can() -> None:
    engine, cpu = OpenClEngine(), CpuEngine()
    for text in ("upscale:2", "upscale:2:lanczos", "upscale:2:ml-tiny", "sharpen:1", "pass"):
        (step,) = Pipeline.parse(text).resolve(Size(64, 36)).steps
        assert engine.can(step) == cpu.can(step)
    assert not engine.can(replace(step, name="dream"))


@pytest.mark.parametrize("how", ["raw", "jpeg"])
@pytest.mark.parametrize("text", ["upscale:2", "upscale:2,sharpen:0.5", "sharpen:1", "denoise:0.3"])
def test_what_it_adds_is_what_the_cpu_adds(text: str, how: str) -> None:
    """The base, to which it is added, is the gamer's to the level; so is what is exact."""
    work = chunk(text, how, Size(96, 54))
    assert OpenClEngine().enhance(work).payload == CpuEngine().enhance(work).payload


def test_the_engine_refuses_what_is_not_what_it_says() -> None:
    engine, work = OpenClEngine(), chunk("upscale:2", "raw", Size(32, 18))
    with pytest.raises(WireError, match="its picture is 32x18 where its header says 33x18"):
        engine.enhance(replace(work, size=Size(33, 18)))
    with pytest.raises(WireError, match="its crop lies outside"):
        engine.enhance(replace(work, crop=replace(work.crop, x=1)))
    done = engine.enhance(work)
    assert work.form.decode(done.payload, Size(64, 36)).shape == (36, 64, 1)


SCRIPT = """
import numpy as np
from p2c2g.errors import UnavailableError
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g_workers.engine.opencl import OpenClEngine
from p2c2g_workers.processors.opencl import OPENCL
try:
    OpenClEngine({device!r})
except UnavailableError as error:
    raise SystemExit(str(error))
for text in ("upscale:2:bicubic", "upscale:2:bilinear", "sharpen:0.5", "denoise:0.5"):
    pixels = np.zeros((90, 160, 3), np.uint8)
    OPENCL.run(Pipeline.parse(text).resolve(Size.of(pixels)), pixels)
"""


def script(device: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "workers")]),
        "POCL_CACHE_DIR": str(folder),
        "OPENCV_OPENCL_CACHE_ENABLE": "0",
    }
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(device=device)],
        env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.mark.skipif(os.environ[VARIABLE] != ":CPU:", reason="only PoCL keeps what it compiled")
def test_opencv_really_has_kernels_for_all_that_is_claimed(tmp_path: Path) -> None:
    """Where it has none, it works on the CPU without a word."""
    done = script(":CPU:", tmp_path)
    assert done.returncode == 0, done.stderr
    kernels = {path.name for path in tmp_path.rglob("*") if path.is_dir()}
    claimed = {"warpAffine", "resizeLN", "row_filter", "col_filter", "morph", "medianFilter3"}
    assert claimed <= kernels


def test_a_device_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    done = script(":GPU:No such card", tmp_path)
    assert done.returncode == 1
    assert "OpenCV has taken no device ':GPU:No such card'" in done.stderr
    assert "Traceback" not in done.stderr
