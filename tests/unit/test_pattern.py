"""The test pattern: its numbers survive what a frame goes through."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels, Size
from p2c2g_capture.sources.pattern import (
    MINIMUM,
    NUMBERS,
    PatternSource,
    check_of,
    read_numbers,
    stamp_layout,
)
from tests.effort import examples

SIZES = [MINIMUM, Size(426, 240), Size(640, 360), Size(641, 363), Size(800, 600), Size(1280, 720)]
numbers = st.integers(0, NUMBERS - 1)


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def resize(pixels: Pixels, factor: float, way: int) -> Pixels:
    size = Size.of(pixels)
    wanted = (round(size.width * factor), round(size.height * factor))
    return np.asarray(cv2.resize(pixels, wanted, interpolation=way), np.uint8)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_stamp_holds_the_number(size: Size) -> None:
    source = PatternSource(size)
    for number in (0, 1, 255, 256, 65_535, 65_536, 0xAAAAAA, 0x555555, NUMBERS - 1):
        pixels = source.grab(number)
        assert pixels.shape == (size.height, size.width, 3)
        assert read_numbers(pixels) == [number] * 16


@settings(deadline=None, max_examples=examples(60))
@given(
    number=numbers,
    size=st.sampled_from(SIZES),
    factor=st.sampled_from([0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0]),
    up=st.sampled_from([cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4]),
)
def test_jpeg_50_and_scaling_leave_it_readable(
    number: int, size: Size, factor: float, up: int
) -> None:
    sent = jpeg(PatternSource(size).grab(number), 50)
    enhanced = resize(sent, factor, cv2.INTER_AREA if factor < 1 else up)
    assert read_numbers(enhanced) == [number] * 16


def test_the_fourth_channel_is_not_read() -> None:
    pixels = PatternSource().grab(77)
    noise = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    assert read_numbers(np.concatenate([pixels, noise], axis=2)) == [77] * 16


def test_a_torn_picture_shows_both_numbers() -> None:
    source = PatternSource()
    torn = source.grab(100)
    torn[:, :320] = source.grab(99)[:, :320]
    assert read_numbers(torn) == [99, 99, 100, 100] * 4


def test_a_blend_of_two_pictures_is_no_number() -> None:
    source = PatternSource()
    blend = cv2.addWeighted(source.grab(100), 0.5, source.grab(103), 0.5, 0)
    assert read_numbers(np.asarray(blend, np.uint8)) == [None] * 16


@pytest.mark.parametrize("value", [0, 96, 128, 255])
def test_a_flat_picture_holds_no_number(value: int) -> None:
    assert read_numbers(np.full((360, 640, 3), value, np.uint8)) == [None] * 16


@given(number=numbers, bit=st.integers(0, 31))
def test_one_wrong_bit_is_noticed(number: int, bit: int) -> None:
    wrong = (number << 8 | check_of(number)) ^ 1 << bit
    assert check_of(wrong >> 8) != wrong & 0xFF


def test_the_check_is_crc_8_itu() -> None:
    # The catalogue's check value is for nine bytes; these were worked out by long division.
    assert check_of(0) == 0x55
    assert check_of(1) == 0x07 ^ 0x55
    assert check_of(0x80) == 0x89 ^ 0x55


def test_numbers_wrap() -> None:
    source = PatternSource()
    assert np.array_equal(source.grab(NUMBERS + 5), source.grab(5))


def test_it_moves_and_repeats_exactly() -> None:
    source = PatternSource()
    first, second = source.grab(1), source.grab(2)
    assert (first != second).mean() > 0.5
    assert np.array_equal(first, PatternSource().grab(1))
    # What was given away is not written to again.
    assert not np.shares_memory(first, second)


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_every_chunk_of_a_usual_grid_holds_a_whole_stamp(rows: int, columns: int) -> None:
    size = Size(640, 360)
    pixels = PatternSource(size).grab(4242)
    for row in range(rows):
        for column in range(columns):
            # Everything outside the chunk is lost.
            alone = np.full_like(pixels, 128)
            part = (
                slice(row * size.height // rows, (row + 1) * size.height // rows),
                slice(column * size.width // columns, (column + 1) * size.width // columns),
            )
            alone[part] = pixels[part]
            assert 4242 in read_numbers(alone), (row, column)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_layout_is_data_and_lies_inside_the_picture(size: Size) -> None:
    layout = stamp_layout(size)
    assert json.loads(json.dumps(layout)) == layout
    assert [(stamp["row"], stamp["column"]) for stamp in layout] == [
        (row, column) for row in range(4) for column in range(4)
    ]
    for stamp in layout:
        cell = stamp["cell"]
        assert len(stamp["bits"]) == 32
        assert cell["x"] >= 0
        assert cell["x"] + cell["width"] <= size.width
        assert cell["y"] + cell["height"] <= size.height
        for bit in stamp["bits"]:
            assert bit["width"] >= 1
            assert bit["height"] >= 1
            assert cell["x"] < bit["x"] < bit["x"] + bit["width"] < cell["x"] + cell["width"]
            assert cell["y"] < bit["y"] < bit["y"] + bit["height"] < cell["y"] + cell["height"]


def test_the_layout_is_as_documented() -> None:
    first = stamp_layout(Size(640, 360))[0]
    # Middle at (80, 45), 10 x 6 units of 5 pixels, each bit's middle half 3 pixels.
    assert first["cell"] == {"x": 55, "y": 30, "width": 50, "height": 30}
    assert first["bits"][0] == {"x": 61, "y": 36, "width": 3, "height": 3}
    assert first["bits"][31] == {"x": 96, "y": 51, "width": 3, "height": 3}


@pytest.mark.parametrize("size", [Size(319, 180), Size(320, 179), Size(1, 1)], ids=str)
def test_a_picture_too_small_for_stamps_is_refused(size: Size) -> None:
    with pytest.raises(UsageError, match="at least 320x180"):
        PatternSource(size)
