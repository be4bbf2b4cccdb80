"""The picture that is shown: no residual, by anybody, does more than is stated."""

import os
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from p2c2g.media import composition as module
from p2c2g.media.base import base
from p2c2g.media.cells import apart, together
from p2c2g.media.chunker import Grid, plan_chunks
from p2c2g.media.composition import MARGIN, Composition
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g.media.operations import Plan, scaled
from p2c2g.media.residual import Residual, difference, luma
from tests.hard_pictures import KINDS, kinds, picture
from tests.unit.test_base import block_means, grids, is_cut, plan_of, seeds

EXAMPLES = int(os.environ.get("P2C2G_TEST_EXAMPLES", "100"))

whole_factors = st.sampled_from(["2", "3", "4", "8"]).map(Fraction)
factors = st.sampled_from(["2", "3", "3/2", "4/3", "5/2", "16/9", "1", "1/2", "7/10"])
sizes = st.builds(Size, st.integers(1, 40), st.integers(1, 32))
colours = st.booleans()

#: What a liar may send.
LIES = ("noise", "small", "full", "up", "down", "checks", "spikes", "stripes", "against", "halves")
lies = st.sampled_from(LIES)


def lie(base_: Pixels, seed: int, kind: str, *, in_colour: bool = False) -> Residual:
    """Return a residual that is meant to do harm; some of it far beyond what a level can be."""
    random = np.random.default_rng(seed)
    height, width = base_.shape[:2]
    shape = (height, width, 3 if in_colour else 1)
    rows, columns = np.indices((height, width))
    found: NDArray[np.signedinteger]
    if kind == "noise":
        found = random.integers(-128, 128, shape)
    elif kind == "small":
        found = random.integers(-3, 4, shape)
    elif kind == "full":
        found = random.integers(-32_768, 32_768, shape)
    elif kind in {"up", "down"}:
        found = np.full(shape, 32_767 if kind == "up" else -32_768)
    elif kind == "spikes":
        found = np.where(random.random(shape) < 0.05, 32_767, -1)
    elif kind == "against":  # from dark to light and back, all of it
        found = np.where(luma(cv2.split(base_))[:, :, None] > 127, -32_768, 32_767)
        found = np.broadcast_to(found, shape)
    elif kind == "halves":  # which all of a cell round up
        found = np.broadcast_to((columns % 2)[:, :, None], shape)
    else:
        odd = rows + columns if kind == "checks" else columns
        found = np.broadcast_to((1 - 2 * (odd % 2))[:, :, None] * 127, shape)
    return found.astype(np.int16)


def shown(base_: Pixels, residual: Residual, across: Fraction, down: Fraction) -> Pixels:
    whole = Rect(0, 0, base_.shape[1], base_.shape[0])
    return Composition.of(across, down).frame(base_, [(whole, residual)])


# -- the bounds


@given(whole_factors, whole_factors, sizes, seeds, kinds, lies, colours)
@settings(max_examples=3 * EXAMPLES, deadline=None, derandomize=True)
@example(Fraction(2), Fraction(2), Size(9, 9), 1, "hard", "against", False)
def test_scaled_down_it_is_the_frame_whatever_was_sent(
    across: Fraction, down: Fraction, size: Size, seed: int, kind: str, how: str, in_colour: bool
) -> None:
    frame = picture(size, seed, kind)
    under = base(frame, across, down, Size(size.width * int(across), size.height * int(down)))
    residual = lie(under, seed, how, in_colour=in_colour)
    found = shown(under, residual, across, down)
    assert np.abs(block_means(found, int(across), int(down)) - frame).max() <= 1


def test_at_the_frames_own_resolution_the_worst_is_one_level() -> None:
    """Half a level is the base's rounding, and half is the residual's: a liar can have both."""
    two, size = Fraction(2), Size(64, 64)
    furthest = 0.0
    for seed in range(8):
        frame = picture(size, seed, "noise")
        under = base(frame, two, two, Size(128, 128))
        found = shown(under, lie(under, seed, "halves", in_colour=True), two, two)
        assert np.abs(block_means(under, 2, 2) - frame).max() <= 0.5
        assert np.abs(block_means(found, 2, 2) - block_means(under, 2, 2)).max() <= 0.5
        furthest = max(furthest, float(np.abs(block_means(found, 2, 2) - frame).max()))
    assert furthest == 1


@given(factors.map(Fraction), factors.map(Fraction), sizes, seeds, kinds, lies, colours)
@settings(max_examples=3 * EXAMPLES, deadline=None, derandomize=True)
def test_no_pixel_leaves_the_range_of_the_base_around_it(
    across: Fraction, down: Fraction, size: Size, seed: int, kind: str, how: str, in_colour: bool
) -> None:
    output = Size(scaled(size.width, across), scaled(size.height, down))
    assume(output.width and output.height)
    under = base(picture(size, seed, kind), across, down, output)
    found = shown(under, lie(under, seed, how, in_colour=in_colour), across, down)
    change = found.astype(np.int16) - under
    terms = Composition.of(across, down)
    square = np.ones((2 * terms.around.height + 1, 2 * terms.around.width + 1), np.uint8)
    if in_colour:
        planes, changes = list(np.moveaxis(under, 2, 0)), list(np.moveaxis(change, 2, 0))
    else:
        # By the same in each colour, which also says that nothing was cut off.
        assert np.array_equal(change, np.repeat(change[:, :, :1], 3, 2))
        planes, changes = [luma(cv2.split(under))], [change[:, :, 0]]
    for plane, moved in zip(planes, changes, strict=True):
        plain = np.ascontiguousarray(plane)
        lowest, highest = (each(plain, square).astype(np.int16) for each in (cv2.erode, cv2.dilate))
        beyond = MARGIN + (highest - lowest) // 2
        assert (plain + moved >= lowest - beyond).all()
        assert (plain + moved <= highest + beyond).all()


@given(
    st.sampled_from(["2", "3", "3/2", "4/3", "5/2", "16/9"]).map(Fraction),
    sizes,
    seeds,
    kinds,
    lies,
    colours,
)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_the_means_of_cells_stay(
    factor: Fraction, size: Size, seed: int, kind: str, how: str, in_colour: bool
) -> None:
    output = Size(scaled(size.width, factor), scaled(size.height, factor))
    under = base(picture(size, seed, kind), factor, factor, output)
    found = shown(under, lie(under, seed, how, in_colour=in_colour), factor, factor)
    cell = Composition.of(factor, factor).cell
    assert cell.width > 1
    assume(output.width >= cell.width and output.height >= cell.height)
    for before, after in zip(np.moveaxis(under, 2, 0), np.moveaxis(found, 2, 0), strict=True):
        pairs = zip(apart(before, cell), apart(after, cell), strict=True)
        moved = sum(late.astype(np.int32) - early for early, late in pairs)
        assert np.abs(moved).max() <= cell.width * cell.height / 2


def rooms(under: Pixels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how far luma may go up and down at a factor of 2, written down as it is stated."""
    plane = luma(cv2.split(under))
    square = np.ones((5, 5), np.uint8)
    highest, lowest = cv2.dilate(plane, square).astype(int), cv2.erode(plane, square).astype(int)
    beyond = MARGIN + (highest - lowest) // 2
    up = np.minimum(highest - plane + beyond, 255 - under.max(2).astype(int))
    return up, np.minimum(plane - lowest + beyond, under.min(2).astype(int))


def worst(under: Pixels, at: int) -> tuple[NDArray[np.int64], Residual]:
    """Return how far each pixel can be moved up at all, and what moves one of each cell so far.

    What one pixel goes up, the three others of its cell go down.
    """
    parts_up, parts_down = (np.array(apart(one, Size(2, 2))) for one in rooms(under))
    others = parts_down.sum(0) - parts_down
    most = np.minimum(parts_up, others)
    shares = parts_down * most[at] / np.maximum(others[at], 1)
    shares[at] = -most[at]
    residual = -together(list(np.rint(shares).astype(np.int16)), Size(2, 2), under.shape[:2])
    return together(list(most), Size(2, 2), under.shape[:2]), residual[:, :, None]


@given(sizes, seeds, kinds, lies)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_what_goes_up_has_to_come_down_beside_it(
    size: Size, seed: int, kind: str, how: str
) -> None:
    two = Fraction(2)
    under = base(picture(size, seed, kind), two, two, Size(2 * size.width, 2 * size.height))
    most, optimal = worst(under, seed % 4)
    for residual in (lie(under, seed, how), optimal):
        moved = shown(under, residual, two, two).astype(int) - under
        # Two levels, since a cell's mean is rounded.
        assert (moved <= most[:, :, None] + 2).all()


def test_the_worst_that_can_be_done() -> None:
    """These bounds are met: so far a liar comes."""
    two = Fraction(2)
    flat = np.full((40, 40, 3), 120, np.uint8)
    edge = np.full((40, 40, 3), 60, np.uint8)
    edge[:, 20:] = 180
    line = np.full((40, 40, 3), 60, np.uint8)
    line[:, 20] = 180
    for under, furthest in ((flat, MARGIN), (edge, 180), (line, 184)):
        moved = 0
        for at in range(4):
            most, residual = worst(under, at)
            assert most.max() == furthest
            moved = max(moved, int((shown(under, residual, two, two).astype(int) - under).max()))
        assert (15 * furthest - 15) // 16 <= moved <= furthest


# -- and within them


def test_what_is_honest_and_small_arrives_as_it_is() -> None:
    two, size = Fraction(2), Size(40, 30)
    under = base(picture(size, 1, "soft"), two, two, Size(80, 60))
    rows, columns = np.indices((60, 80))
    # Checks have no mean, and three levels are within the margin.
    residual = (3 * (1 - 2 * ((rows + columns) % 2)))[:, :, None].astype(np.int16)
    found = shown(under, residual, two, two)
    assert np.array_equal(found.astype(np.int16) - under, np.repeat(residual, 3, 2))


@given(factors.map(Fraction), sizes, seeds, kinds)
@settings(max_examples=EXAMPLES // 2, deadline=None, derandomize=True)
def test_nothing_adds_nothing(factor: Fraction, size: Size, seed: int, kind: str) -> None:
    output = Size(scaled(size.width, factor), scaled(size.height, factor))
    assume(output.width and output.height)
    under = base(picture(size, seed, kind), factor, factor, output)
    nothing = np.zeros((output.height, output.width, 1), np.int16)
    assert np.array_equal(shown(under, nothing, factor, factor), under)


def test_a_sharper_picture_becomes_sharper() -> None:
    two, size = Fraction(2), Size(64, 48)
    truth = picture(Size(128, 96), 3, "soft")
    truth = np.clip(3 * truth.astype(np.int16) - 256, 0, 255).astype(np.uint8)
    frame = np.asarray(cv2.resize(truth, (64, 48), interpolation=cv2.INTER_AREA), np.uint8)
    under = base(frame, two, two, Size(2 * size.width, 2 * size.height))
    found = shown(under, difference(truth, under, Size(2, 2)), two, two)
    assert cv2.PSNR(found, truth) > cv2.PSNR(under, truth) + 0.5


# -- chunks


def composed(plan: Plan, grid: Grid, under: Pixels, residual: Residual, missing: int) -> Pixels:
    chunks = [chunk for chunk in plan_chunks(plan, grid) if chunk.index != missing]
    terms = Composition.of(plan.scale_x, plan.scale_y)
    return terms.frame(
        under,
        [
            (each.target, np.ascontiguousarray(each.target.of(residual)))  # type: ignore[arg-type]
            for each in chunks
        ],
    )


@given(
    factors, st.builds(Size, st.integers(1, 60), st.integers(1, 40)), grids, seeds, lies, colours
)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_chunks_are_the_whole_and_a_missing_one_is_the_base(
    factor: str, size: Size, grid: Grid, seed: int, how: str, in_colour: bool
) -> None:
    assume(scaled(size.width, Fraction(factor)) and scaled(size.height, Fraction(factor)))
    plan = plan_of(f"upscale:{factor}", size)
    assume(is_cut(plan, grid))
    frame = picture(size, seed, KINDS[seed % len(KINDS)])
    under = base(frame, plan.scale_x, plan.scale_y, plan.output)
    before = under.copy()
    residual = lie(under, seed, how, in_colour=in_colour)
    whole = shown(under, residual, plan.scale_x, plan.scale_y)
    assert np.array_equal(composed(plan, grid, under, residual, missing=-1), whole)
    chunk = plan_chunks(plan, grid)[seed % (grid.rows * grid.cols)]
    found = composed(plan, grid, under, residual, missing=chunk.index)
    chunk.target.of(whole)[:] = chunk.target.of(under)
    assert np.array_equal(found, whole)
    assert np.array_equal(under, before)


@pytest.mark.parametrize("factor", ["2", "3", "4/3", "1"])
def test_how_many_rows_at_a_time_makes_no_difference(
    factor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scale, size = Fraction(factor), Size(60, 45)
    output = Size(scaled(60, scale), scaled(45, scale))
    under = base(picture(size, 1, "hard"), scale, scale, output)
    residual = lie(under, 1, "noise")
    found = shown(under, residual, scale, scale)
    monkeypatch.setattr(module, "_BAND", 1)
    assert np.array_equal(shown(under, residual, scale, scale), found)
