"""What moved, by how much, how surely, and what of a residual that leaves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from p2c2g.media.frame import Pixels, Size
from p2c2g.media.motion import Motion, carried, motion
from p2c2g.media.residual import Residual

CELL = Size(2, 2)
HALF = (0.5, 0.5)
HEIGHT, WIDTH = 120, 200


def textured(seed: int, height: int, width: int) -> Pixels:
    """Return a plane with detail of all sizes."""
    noise = np.random.default_rng(seed)
    plane = np.zeros((height, width), np.float32)
    for size in (4, 8, 16, 32):
        small = noise.normal(0, 3 * size, (height // size + 2, width // size + 2))
        plane += cv2.resize(
            small.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
    return np.clip(plane + 128, 0, 255).astype(np.uint8)


def seen(large: Pixels, x: int, y: int) -> Pixels:
    """Return what a small frame shows of a large world from a place on, in new pixels."""
    part = large[y : y + 2 * HEIGHT, x : x + 2 * WIDTH]
    return np.asarray(cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def detail(seed: int, height: int = 2 * HEIGHT, width: int = 2 * WIDTH) -> Residual:
    """Return a residual without means of cells."""
    signs = np.random.default_rng(seed).choice(np.array([-16, 16], np.int16), (height // 2, width))
    return np.stack([signs, -signs], 1).reshape(height, width, 1)


def middle(plane: NDArray[np.float32], margin: float = 0.2) -> NDArray[np.float32]:
    """Return what is not near the edges, over which the world comes in."""
    rows, columns = (int(edge * margin) for edge in plane.shape[:2])
    return plane[rows:-rows, columns:-columns]


WORLD = textured(1, 3 * HEIGHT, 3 * WIDTH)


@settings(max_examples=15, deadline=None)
@given(x=st.integers(-12, 12), y=st.integers(-12, 12))
def test_a_shift_of_whole_new_pixels_is_found_to_half_an_old_one(x: int, y: int) -> None:
    before, now = seen(WORLD, 60, 40), seen(WORLD, 60 + x, 40 + y)
    way = motion(before, now, HALF)
    found = np.median(middle(way.field).reshape(-1, 2), 0)
    if (x, y) == (0, 0):
        assert not way.moves
        assert not way.field.any()
    else:
        assert np.abs(found - [x / 2, y / 2]).max() <= 0.25


def test_noise_on_both_frames_does_not_hide_a_shift() -> None:
    noise = np.random.default_rng(5)
    before, now = (
        np.clip(seen(WORLD, x, 40) + noise.normal(0, 4, (HEIGHT, WIDTH)), 0, 255).astype(np.uint8)
        for x in (60, 68)
    )
    way = motion(before, now, HALF)
    assert np.median(middle(way.field)[..., 0]) == pytest.approx(4, abs=0.25)
    assert np.median(middle(way.mismatch)) > 16  # the noise of both, and so unsure


def test_a_part_that_stands_still_does_not_go_with_the_rest() -> None:
    before, now = seen(WORLD, 60, 40), seen(WORLD, 72, 40)
    before[-30:] = now[-30:] = textured(9, 30, WIDTH)
    way = motion(before, now, HALF)
    assert np.median(way.field[10:35, 40:-40, 0]) == pytest.approx(6, abs=0.25)
    assert not way.field[-12:].any()


def test_what_comes_out_of_nowhere_is_unsure() -> None:
    before = seen(WORLD, 60, 40)
    now = before.copy()
    now[40:80, 60:120] = textured(7, 40, 60)
    way = motion(before, now, HALF)
    left = np.abs(carried(detail(2), way, CELL)[:, :, 0])
    assert left[90:150, 130:230].mean() < 4
    assert left[:60].mean() > 15


def test_where_there_is_nothing_to_see_nothing_moves() -> None:
    before, now = (np.full((HEIGHT, WIDTH), level, np.uint8) for level in (100, 101))
    assert not motion(before, now, HALF).moves
    # Brighter by far: nothing moved, and nothing is sure.
    way = motion(before, np.full_like(now, 180), HALF)
    assert not way.field.any()
    assert np.abs(carried(detail(2), way, CELL)).max() <= 1


def test_a_residual_goes_where_the_world_goes() -> None:
    before, now = seen(WORLD, 60, 40), seen(WORLD, 68, 44)
    there = detail(3)
    found = carried(there, motion(before, now, HALF), CELL)[:, :, 0].astype(np.float32)
    due = np.roll(there[:, :, 0], (-4, -8), (0, 1)).astype(np.float32)
    here, wanted = middle(found), middle(due)
    assert np.corrcoef(here.ravel(), wanted.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("colours", [1, 3])
def test_of_a_frame_that_stands_still_a_residual_stays_as_it_is(colours: int) -> None:
    frame = seen(WORLD, 60, 40)
    residual = np.repeat(detail(4), colours, 2)
    found = carried(residual, motion(frame, frame, HALF), CELL)
    assert found.shape == residual.shape
    assert found.dtype == np.int16
    assert np.abs(found - residual).max() <= 1


@settings(max_examples=15, deadline=None)
@given(
    seeds=st.tuples(st.integers(0, 99), st.integers(0, 99)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    scale=st.sampled_from([1, 2, 3]),
)
def test_whatever_the_frames_nothing_carried_is_stronger_than_what_came(
    seeds: tuple[int, int], size: tuple[int, int], scale: int
) -> None:
    (height, width), noise = size, np.random.default_rng(seeds)
    before, now = (noise.integers(0, 256, (height, width)).astype(np.uint8) for _ in range(2))
    residual = noise.integers(-255, 256, (height * scale, width * scale, 1)).astype(np.int16)
    way = motion(before, now, (1 / scale, 1 / scale))
    assert isinstance(way, Motion)
    found = carried(residual, way, Size(scale, scale))
    assert found.shape == residual.shape
    # The mean of a cell may be as far from 0 as a pixel, and is taken out.
    assert np.abs(found).max() <= 2 * 255 + 1
    whole = found[: height * scale, : width * scale, 0].reshape(height, scale, width, scale)
    if scale > 1:
        assert np.abs(whole.mean((1, 3))).max() <= 1
