"""What a player would show of a film: upright, in shape, with its colours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from p2c2g.media.frame import Size
from p2c2g_capture.sources.video import VideoSource
from tests.films import (
    RATE,
    corners,
    first_of,
    quarters,
    write_film,
)

# --- shape ----------------------------------------------------------------------------------------


#: Degrees against the clock, mirrored, and the corners' colours that a player shows.
TURNS = {
    (0, False): ["red", "green", "blue", "white"],
    (90, False): ["green", "white", "red", "blue"],
    (180, False): ["white", "blue", "green", "red"],
    (-90, False): ["blue", "red", "white", "green"],
    (270, False): ["blue", "red", "white", "green"],
    (0, True): ["green", "red", "white", "blue"],
}


@pytest.mark.parametrize(("degrees", "mirrored"), TURNS)
@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv"])
def test_a_turned_film_stands_upright(
    tmp_path: Path, degrees: int, mirrored: bool, kind: str
) -> None:
    path = write_film(
        tmp_path / f"phone.{kind}",
        [quarters(Size(128, 64))] * 3,
        setup=lambda stream: stream.set_display_rotation(degrees, hflip=mirrored),
    )
    upright = Size(64, 128) if degrees % 180 else Size(128, 64)
    pixels = first_of(path)
    assert Size.of(pixels) == upright
    assert corners(pixels) == TURNS[degrees, mirrored]
    smaller = first_of(path, Size(upright.width // 2, upright.height // 2))
    assert corners(smaller) == TURNS[degrees, mirrored]


def _pixels_of(width: int, height: int) -> Callable[[Any], None]:
    def setup(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(width, height)

    return setup


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(
    ("pixel", "size", "expected"),
    [
        ((64, 45), Size(720, 576), Size(1024, 576)),
        ((16, 15), Size(720, 576), Size(768, 576)),
        ((8, 9), Size(720, 480), Size(720, 540)),
        ((32, 27), Size(720, 480), Size(854, 480)),
        ((1, 1), Size(318, 180), Size(318, 180)),
    ],
)
def test_pixels_are_made_square(
    tmp_path: Path, kind: str, pixel: tuple[int, int], size: Size, expected: Size
) -> None:
    path = write_film(tmp_path / f"dvd.{kind}", [quarters(size)] * 2, setup=_pixels_of(*pixel))
    pixels = first_of(path)
    assert Size.of(pixels) == expected
    assert corners(pixels) == ["red", "green", "blue", "white"]


def test_a_turned_film_of_long_pixels(tmp_path: Path) -> None:
    def setup(stream: Any) -> None:
        _pixels_of(64, 45)(stream)
        stream.set_display_rotation(90)

    path = write_film(tmp_path / "both.mp4", [quarters(Size(720, 576))] * 2, setup=setup)
    pixels = first_of(path)
    assert Size.of(pixels) == Size(576, 1024)
    assert corners(pixels) == ["green", "white", "red", "blue"]


def test_a_film_that_changes_its_shape_keeps_its_size(tmp_path: Path) -> None:
    wide = write_film(tmp_path / "wide.ts", [quarters(Size(128, 64))] * 25)
    high = write_film(tmp_path / "high.ts", [quarters(Size(64, 128))] * 25)
    path = tmp_path / "both.ts"
    path.write_bytes(wide.read_bytes() + high.read_bytes())
    with VideoSource(path, None, RATE) as source:
        assert source.size == Size(128, 64)
        assert corners(source.grab(20)) == ["red", "green", "blue", "white"]
        later = source.grab(40)
        assert Size.of(later) == Size(128, 64)
        assert corners(later) == ["black"] * 4, "there are bars at its sides"
        assert corners(later[:, 48:80]) == ["red", "green", "blue", "white"]


# --- colours --------------------------------------------------------------------------------------


def _matrix(number: int) -> Callable[[Any], None]:
    def setup(stream: Any) -> None:
        stream.codec_context.colorspace = number

    return setup


@pytest.mark.parametrize("matrix", [1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14])
def test_any_tag_of_colours_is_played(tmp_path: Path, matrix: int) -> None:
    path = write_film(tmp_path / "tagged.mkv", [quarters(Size(64, 32))] * 2, setup=_matrix(matrix))
    pixels = first_of(path)
    assert corners(pixels) == ["red", "green", "blue", "white"]


@pytest.mark.parametrize("is_full", [False, True])
def test_ycgco_has_its_own_colours(tmp_path: Path, is_full: bool) -> None:
    wanted = np.array([[30, 140, 220], [200, 60, 90], [128, 128, 128]], np.float64)
    blue, green, red = wanted.T
    codes = np.array(
        [
            red / 4 + green / 2 + blue / 4,
            -red / 4 + green / 2 - blue / 4,
            red / 2 - blue / 2,
        ]
    )
    if is_full:
        codes += [[0], [128], [128]]
    else:
        codes = codes * [[219 / 255], [224 / 255], [224 / 255]] + [[16], [128], [128]]
    path = tmp_path / "ycgco.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 96, 32, "yuv444p"
        context = stream.codec_context
        context.colorspace, context.color_range = 8, 2 if is_full else 1
        planes = np.repeat(np.round(codes).astype(np.uint8)[:, None, :], 32, 1).repeat(32, 2)
        for number in range(2):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(planes), format="yuv444p")
            picture.colorspace, picture.color_range = 8, context.color_range
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    pixels = first_of(path)
    for index in range(3):
        assert np.abs(pixels[16, 32 * index + 16] - wanted[index]).max() <= 3


def write_light(path: Path, codes: list[float], transfer: int) -> Path:
    """Write stripes of these grey codes, from 0 to 1, with HDR's tags."""
    row = np.repeat(np.round(64 + 876 * np.array(codes)).astype(np.uint16), 64)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = len(row), 32, "yuv420p10le"
        tags = {"color_primaries": 9, "color_trc": transfer, "colorspace": 9, "color_range": 1}
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for number in range(2):
            picture = av.VideoFrame(len(row), 32, "yuv420p10le")
            for index, plane in enumerate(picture.planes):
                values = np.full((plane.height, plane.line_size // 2), 512, np.uint16)
                if not index:
                    values[:, : len(row)] = row
                plane.update(values.tobytes())
            for name, value in tags.items():
                setattr(picture, name, value)
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("transfer", "name", "codes"),
    # Black, 10 cd/m², reference white, 1,000 cd/m².
    [(16, "PQ", [0, 0.3, 0.5807, 0.7518, 1]), (18, "HLG", [0, 0.25, 0.75, 1, 1])],
)
def test_hdr_is_mapped_to_the_screen(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    transfer: int,
    name: str,
    codes: list[float],
) -> None:
    path = write_light(tmp_path / "hdr.mkv", codes, transfer)
    with caplog.at_level(logging.WARNING):
        pixels = first_of(path)
    greys = [pixels[16, 64 * index + 32] for index in range(len(codes))]
    assert all(int(grey.max()) - int(grey.min()) <= 2 for grey in greys), "grey stays grey"
    black, dark, white, peak, beyond = (int(grey[1]) for grey in greys)
    assert black == 0
    assert 20 < dark < 100
    assert 215 <= white <= 240, "reference white is white, with room for what is brighter"
    assert peak >= 253
    assert beyond >= 253
    assert [record.getMessage() for record in caplog.records if "HDR" in record.getMessage()] == [
        f"{path} is HDR ({name}): it is shown with the range of an ordinary screen."
    ]


def test_ordinary_films_are_not_called_hdr(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        first_of(write_film(tmp_path / "plain.mp4", [quarters(Size(64, 32))] * 2))
    assert not caplog.records
