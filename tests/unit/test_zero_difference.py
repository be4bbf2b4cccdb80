"""The property that chunks stand on: put together, they are the whole frame, to the level."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from p2c2g.errors import UsageError
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import METHODS
from p2c2g.media.operations import OPERATIONS, Pipeline
from p2c2g_workers.processors import run
from tests.effort import examples

EXAMPLES = examples(150)

FACTORS = ["2", "3", "4", "5", "8", "3/2", "5/2", "4/3", "5/3", "7/5", "16/9", "47/31", "1"]
SMALLER = ["1/2", "3/4", "2/3", "1/3", "7/10", "31/47"]
#: Without Intel's IPP, OpenCV's bicubic takes coordinates in float32, which are exact only
#: where the numerator is a power of two.
EXACT = FACTORS if cv2.ipp.useIPP() else ["2", "4", "8", "4/3", "16/9", "1"]

upscales = st.builds("upscale:{}:{}".format, st.sampled_from(FACTORS), st.sampled_from(
    [method for method in METHODS if method != "bicubic"])
) | st.builds("upscale:{}:bicubic".format, st.sampled_from(EXACT))  # fmt: skip
reductions = st.builds(
    "upscale:{}:{}".format, st.sampled_from(SMALLER), st.sampled_from(sorted(METHODS))
)
others = (
    st.builds("sharpen:{:.3f}".format, st.floats(0, 4))
    | st.builds("denoise:{:.3f}".format, st.floats(0.01, 1))
    | st.sampled_from([row.example for row in OPERATIONS.values() if row.name != "resize"])
)
pipelines = st.lists(upscales | reductions | others, min_size=1, max_size=3).map(",".join)
# Past 512 pixels, a float32 coordinate has too few bits left for a weight in 2048ths.
sizes = st.builds(Size, st.integers(1, 160), st.integers(1, 120)) | st.sampled_from(
    [Size(1283, 9), Size(7, 1097), Size(641, 361)]
)
grids = st.builds(Grid, st.integers(1, 5), st.integers(1, 5))


def picture(size: Size, seed: int, kind: str) -> Pixels:
    """Return noise; hard black and white, where every kernel overshoots; or soft shapes."""
    noise = np.random.default_rng(seed).integers(
        0, 256, (size.height, size.width, 3), dtype=np.uint8
    )
    if kind == "hard":
        return np.where(noise > 127, np.uint8(255), np.uint8(0))
    return np.asarray(cv2.GaussianBlur(noise, (9, 9), 0)) if kind == "soft" else noise


def fits(text: str, size: Size, grid: Grid) -> bool:
    """Return whether there is such a plan with such chunks, and it is quickly computed."""
    try:
        plan = Pipeline.parse(text).resolve(size)
        return bool(plan_chunks(plan, grid)) and plan.output.width * plan.output.height < 3_000_000
    except UsageError:
        return False


def difference(text: str, size: Size, grid: Grid, seed: int, kind: str) -> int:
    """Return the most by which a pixel of the chunks differs from the whole frame's."""
    plan = Pipeline.parse(text).resolve(size)
    chunks = plan_chunks(plan, grid)
    pixels = picture(size, seed, kind)
    whole = run(plan, pixels)
    assert Size.of(whole) == plan.output
    joined = np.empty_like(whole)
    for chunk in chunks:
        chunk.target.of(joined)[:] = chunk.crop.of(run(plan, cut(pixels, chunk)))
    return int(cv2.absdiff(whole, joined).max())


@given(pipelines, sizes, grids, st.integers(0, 2**31), st.sampled_from(["noise", "hard", "soft"]))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
# Each of these once was not zero.
@example("upscale:4:bicubic", Size(1283, 9), Grid(1, 5), 1, "noise")
@example("upscale:1/2:bicubic", Size(34, 35), Grid(1, 4), 1, "noise")
@example("upscale:1/3:bicubic,upscale:7/10:lanczos", Size(157, 424), Grid(5, 1), 1, "hard")
@example("denoise:0.5", Size(20, 2388), Grid(5, 3), 1, "noise")
def test_chunks_are_the_whole(text: str, size: Size, grid: Grid, seed: int, kind: str) -> None:
    assume(fits(text, size, grid))
    assert difference(text, size, grid, seed, kind) == 0


@given(st.sampled_from(FACTORS), sizes, grids, st.integers(0, 2**31))
@settings(max_examples=EXAMPLES // 3, deadline=None, derandomize=True)
def test_bicubic_is_at_most_one_level_off_on_any_machine(
    factor: str, size: Size, grid: Grid, seed: int
) -> None:
    assume(fits(f"upscale:{factor}:bicubic", size, grid))
    assert difference(f"upscale:{factor}:bicubic", size, grid, seed, "noise") <= 1


@pytest.mark.parametrize("method", sorted(METHODS))
def test_resize_to_odd_numbers_is_the_whole_too(method: str) -> None:
    # 132x90 to 187x105: 17/12 and 7/6, with chunks at multiples of 12 and 6.
    # Both numerators are odd, so bicubic is not exact without IPP.
    off = difference(f"resize:187x105:{method}", Size(132, 90), Grid(5, 5), 3, "noise")
    assert off <= (0 if method != "bicubic" or cv2.ipp.useIPP() else 1)


def test_a_halo_too_narrow_would_be_seen() -> None:
    """The property can fail: without its halo, a chunk's edge is another."""
    plan = Pipeline.parse("upscale:2:bicubic").resolve(Size(64, 64))
    pixels = picture(plan.source, 5, "noise")
    whole = run(plan, pixels)
    alone = run(plan, np.ascontiguousarray(pixels[:, 32:]))
    assert cv2.absdiff(whole[:, 64:], alone).max() > 0
