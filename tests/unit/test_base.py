"""The base layer: chunks are the whole, and what it becomes when scaled down is the frame."""

import os
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from p2c2g.errors import UsageError
from p2c2g.media import base as module
from p2c2g.media.base import base, is_exact, reach
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline, Plan, scaled
from tests.hard_pictures import KINDS, kinds, picture

EXAMPLES = int(os.environ.get("P2C2G_TEST_EXAMPLES", "100"))

FACTORS = ["2", "3", "4", "5", "8", "1", "3/2", "5/2", "4/3", "5/3", "7/5", "16/9", "47/31"]
SMALLER = ["1/2", "3/4", "2/3", "1/3", "7/10", "31/47"]
WHOLE = ["1", "2", "3", "4", "6", "8"]
factors = st.sampled_from([*FACTORS, *SMALLER]).map(Fraction)
whole_factors = st.sampled_from(WHOLE).map(Fraction)
sizes = st.builds(Size, st.integers(1, 90), st.integers(1, 70)) | st.sampled_from(
    [Size(643, 9), Size(7, 597), Size(161, 91)]
)
small_sizes = st.builds(Size, st.integers(1, 40), st.integers(1, 40))
grids = st.builds(Grid, st.integers(1, 5), st.integers(1, 5))
seeds = st.integers(0, 2**31)


def plan_of(text: str, size: Size) -> Plan:
    """Return a plan whose halo is wide enough for the base too."""
    plan = Pipeline.parse(text).resolve(size)
    needs = (reach(plan.scale_x), reach(plan.scale_y))
    return replace(
        plan,
        halo=tuple(
            -(-max(need, had) // align) * align
            for need, had, align in zip(needs, plan.halo, plan.align, strict=True)
        ),
    )


def chunked(plan: Plan, grid: Grid, pixels: Pixels) -> Pixels:
    joined = np.empty((plan.output.height, plan.output.width, 3), np.uint8)
    for chunk in plan_chunks(plan, grid):
        size = chunk.padded.size
        for step in plan.steps:
            size = step.output(size)
        part = base(cut(pixels, chunk), plan.scale_x, plan.scale_y, size)
        chunk.target.of(joined)[:] = chunk.crop.of(part)
    return joined


def is_cut(plan: Plan, grid: Grid) -> bool:
    try:
        return bool(plan_chunks(plan, grid)) and plan.output.width * plan.output.height < 700_000
    except UsageError:
        return False


@given(factors, sizes, grids, seeds, kinds)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_chunks_are_the_whole(
    factor: Fraction, size: Size, grid: Grid, seed: int, kind: str
) -> None:
    output = (scaled(size.width, factor), scaled(size.height, factor))
    assume(min(output) >= 1)
    plan = plan_of(f"upscale:{factor}", size)
    assume(is_cut(plan, grid))
    pixels = picture(size, seed, kind)
    whole = base(pixels, plan.scale_x, plan.scale_y, plan.output)
    assert np.array_equal(chunked(plan, grid, pixels), whole)


@pytest.mark.parametrize(
    ("text", "size", "grid"),
    [
        ("resize:187x105", Size(132, 90), Grid(5, 5)),  # 17/12 and 7/6
        ("resize:1000x719", Size(640, 360), Grid(1, 4)),  # 25/16 and 719/360
        ("resize:181x90", Size(132, 90), Grid(4, 1)),  # 181 phases along a row
        ("upscale:8,upscale:8", Size(5, 3), Grid(2, 2)),
        ("resize:264x45", Size(132, 90), Grid(3, 3)),  # twice across, half down
        ("upscale:2,upscale:3/2,sharpen:0.5", Size(64, 36), Grid(3, 3)),
        ("upscale:1/2,upscale:4", Size(37, 41), Grid(2, 3)),  # 37 -> 19 -> 76, and not 74
        ("sharpen:1", Size(33, 21), Grid(2, 2)),
    ],
)
def test_other_pipelines_too(text: str, size: Size, grid: Grid) -> None:
    plan = plan_of(text, size)
    pixels = picture(size, 3, "noise")
    whole = base(pixels, plan.scale_x, plan.scale_y, plan.output)
    assert whole.shape == (plan.output.height, plan.output.width, 3)
    assert np.array_equal(chunked(plan, grid, pixels), whole)


def block_means(pixels: Pixels, across: int, down: int) -> NDArray[np.float64]:
    height, width = pixels.shape[0] // down, pixels.shape[1] // across
    blocks = pixels.reshape(height, down, width, across, 3)
    return np.asarray(blocks.mean((1, 3), np.float64))


@given(whole_factors, whole_factors, small_sizes, seeds, kinds)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@example(Fraction(2), Fraction(2), Size(9, 9), 1, "hard")
@example(Fraction(8), Fraction(8), Size(9, 9), 1, "hard")
def test_scaled_down_it_is_the_frame(
    across: Fraction, down: Fraction, size: Size, seed: int, kind: str
) -> None:
    assert is_exact(across, down)
    output = Size(size.width * int(across), size.height * int(down))
    pixels = picture(size, seed, kind)
    found = base(pixels, across, down, output)
    assert np.abs(block_means(found, int(across), int(down)) - pixels).max() <= 0.5


def matrix(length: int, scale: Fraction) -> NDArray[np.float64]:
    """Return ``up + up(1 - down(up))`` of a whole row, written down as it is defined."""
    border = 12
    p, q = scale.numerator, scale.denominator
    periods = -(-(length + 2 * border) // q)
    up = np.zeros((periods * p, periods * q))
    for new in range(periods * p):
        at = (new + 0.5) * q / p - 0.5
        for old in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            x = abs(at - old)
            weight = 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
            if 0 <= old < periods * q:
                up[new, old] += weight
    down = np.zeros((periods * q, periods * p))
    for old in range(periods * q):
        for new in range(periods * p):
            shared = min((old + 1) * p, (new + 1) * q) - max(old * p, new * q)
            down[old, new] = max(0, shared) / p
    whole = up + up @ (np.eye(periods * q) - down @ up)
    if q == 1:
        blocks = np.kron(np.eye(periods), np.ones((p, 1)))
        whole += blocks @ (np.eye(periods) - down @ whole)
    # The border is repeated pixels, and at the outermost nobody looks.
    repeated = np.clip(np.arange(periods * q) - border // q * q, 0, length - 1)
    ends = np.zeros((periods * q, length))
    ends[np.arange(periods * q), repeated] = 1
    first = border // q * p
    return np.asarray((whole @ ends)[first : first + scaled(length, scale)])


@pytest.mark.parametrize("text", ["2", "3", "4", "3/2", "4/3", "5/3", "5/2", "16/9"])
def test_it_is_what_it_says(text: str) -> None:
    factor, size = Fraction(text), Size(30, 20)
    # Soft and away from black and white, where nothing has to shrink.
    pixels = picture(size, 8, "soft")
    exact = np.einsum(
        "yr,xc,rcp->yxp", matrix(size.height, factor), matrix(size.width, factor), pixels
    )
    found = base(pixels, factor, factor, Size(exact.shape[1], exact.shape[0]))
    off = np.abs(found - exact)
    assert off.max() <= 1.5
    assert off.mean() <= 0.4


@pytest.mark.parametrize("text", SMALLER)
def test_what_shrinks_is_scaled_by_area(text: str) -> None:
    factor, size = Fraction(text), Size(94, 60)
    pixels = picture(size, 9, "noise").astype(np.float64)
    p, q = factor.numerator, factor.denominator
    # Each pixel p times, of which q make one.
    fine = np.repeat(np.repeat(pixels, p, 0), p, 1)
    rows, columns = fine.shape[0] // q, fine.shape[1] // q
    exact = block_means(fine[: rows * q, : columns * q].astype(np.uint8), q, q)
    output = Size(scaled(size.width, factor), scaled(size.height, factor))
    found = base(pixels.astype(np.uint8), factor, factor, output)[:rows, :columns]
    assert np.abs(found - exact).max() <= 2.5


@given(factors, factors, small_sizes, seeds)
@settings(max_examples=EXAMPLES // 2, deadline=None, derandomize=True)
def test_how_it_is_computed_makes_no_difference(
    across: Fraction, down: Fraction, size: Size, seed: int
) -> None:
    output = Size(max(1, scaled(size.width, across)), max(1, scaled(size.height, down)))
    pixels = picture(size, seed, KINDS[seed % len(KINDS)])
    found = base(pixels, across, down, output)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BAND", 1 << 9)  # a few rows at a time
        patch.setattr(module, "_bits", lambda _largest: np.int32)
        patch.setattr(module, "_BESIDE", 0)  # all phases of a row at once
        patch.setattr(module, "_FEW", seed % 2 << 40)  # blocks one by one, or all of them
        again = base(pixels, across, down, output)
    assert np.array_equal(found, again)


@pytest.mark.parametrize("few", [0, 1 << 40])
def test_blocks_shrink_one_by_one_as_all_of_them(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FEW", few)
    random = np.random.default_rng(2)
    details = random.integers(-900, 900, (3, 1, 20_000))
    details = np.concatenate([details, -details.sum(0, keepdims=True)])
    middle = random.integers(0, 256, (1, 20_000)).astype(np.int16)
    level = 16 * middle.astype(np.int64) + 8  # half a level more
    kept = np.full(middle.shape, 256)
    for limit, most in ((4095 - level, details.max(0)), (level, -details.min(0))):
        kept = np.minimum(kept, 256 * limit // np.maximum(most, 1))
    phases = [(level + one).astype(np.int16) for one in details]
    module._fit(phases, level.astype(np.int16))
    for one, detail in zip(phases, details, strict=True):
        assert np.array_equal(one, level + ((detail * kept + 128) >> 8))
        assert one.min() >= 0
        assert one.max() <= 4095


def test_a_fourth_channel_and_a_view_make_no_difference() -> None:
    screen = np.full((60, 70, 4), 99, np.uint8)
    screen[9:47, 11:64, :3] = picture(Size(53, 38), 4, "noise")
    view = screen[9:47, 11:64]
    plain = np.ascontiguousarray(view[:, :, :3])
    for factor in (Fraction(1), Fraction(2), Fraction(4, 3)):
        output = Size(scaled(53, factor), scaled(38, factor))
        found = base(view, factor, factor, output)
        assert np.array_equal(found, base(plain, factor, factor, output))


def test_it_fills_what_it_is_given() -> None:
    pixels, canvas = picture(Size(16, 12), 4, "noise"), np.zeros((40, 50, 3), np.uint8)
    for factor in (1, 2):
        output = Size(16 * factor, 12 * factor)
        place = canvas[3 : 3 + output.height, 5 : 5 + output.width]
        assert base(pixels, Fraction(factor), Fraction(factor), output, place) is place
        assert np.array_equal(place, base(pixels, Fraction(factor), Fraction(factor), output))


def test_a_halo_too_narrow_would_be_seen() -> None:
    """The property can fail: without its halo, a chunk's edge is another."""
    pixels, two = picture(Size(64, 64), 5, "noise"), Fraction(2)
    whole = base(pixels, two, two, Size(128, 128))
    first = 32 - reach(two) + 1
    alone = base(np.ascontiguousarray(pixels[:, first:]), two, two, Size(2 * (64 - first), 128))
    assert not np.array_equal(whole[:, 64:], alone[:, 2 * (32 - first) :])
