"""The curves of high dynamic range, against the figures of their standards."""

from __future__ import annotations

import numpy as np
import pytest

from p2c2g.media.frame import Size
from p2c2g_capture.sources.video.hdr import (
    PEAK,
    WHITE,
    compressed,
    hlg_to_light,
    light_to_pq,
    pq_to_light,
    rendering_for,
)

PQ, HLG, BT709, BT2020 = 16, 18, 1, 9


def test_pq_is_that_of_bt_2408() -> None:
    """Table 1 of BT.2408: the signal of 203 cd/m² is 58 %, of 1,000 75 %."""
    assert light_to_pq(np.array([0, 203.0, 1000.0, 10_000.0])) == pytest.approx(
        [0, 0.58, 0.75, 1], abs=0.003
    )
    codes = np.linspace(0, 1, 101)
    assert light_to_pq(pq_to_light(codes)) == pytest.approx(codes, abs=1e-6)


def test_hlg_is_that_of_bt_2408() -> None:
    """75 % of HLG is reference white."""
    assert hlg_to_light(np.array([0, 0.75, 1.0])) == pytest.approx([0, WHITE, PEAK], rel=0.01)


def test_the_compression_keeps_the_dark_and_ends_at_white() -> None:
    dark = np.array([0, 0.1, 1.0, 10.0, 80.0])
    assert compressed(dark) == pytest.approx(dark, rel=1e-6)
    assert compressed(np.array([PEAK, 4_000.0])) == pytest.approx([WHITE, WHITE], rel=1e-6)
    light = np.linspace(0, PEAK, 1_000)
    assert (np.diff(compressed(light)) > 0).all()
    assert (compressed(light) <= light + 1e-6).all()


@pytest.mark.parametrize("transfer", [PQ, HLG, BT709])
def test_grey_stays_grey(transfer: int) -> None:
    rendering = rendering_for(transfer, BT2020)
    assert rendering is not None
    codes = np.repeat(np.linspace(0, 65_535, 64).astype(np.uint16)[None, :, None], 3, 2)
    pixels = rendering.render(codes, Size(64, 1)).astype(int)
    assert np.ptp(pixels, axis=2).max() <= 1
    assert (np.diff(pixels[0, :, 1]) >= 0).all()


def test_wide_colours_of_ordinary_range_are_converted() -> None:
    """BT.709's red in BT.2020's codes comes out as red, and pale without the conversion."""
    rendering = rendering_for(BT709, BT2020)
    assert rendering is not None
    light = np.array([0.6274, 0.0691, 0.0164])
    codes = (1.055 * light ** (1 / 2.4) - 0.055) * 65_535
    pixel = rendering.render(np.round(codes).astype(np.uint16)[None, None], Size(1, 1))[0, 0]
    assert pixel.tolist() == pytest.approx([0, 0, 255], abs=3)


@pytest.mark.parametrize("transfer", [1, 2, 4, 5, 6, 8, 13, 14])
def test_ordinary_pictures_need_nothing(transfer: int) -> None:
    assert rendering_for(transfer, BT709) is None
    assert rendering_for(transfer, 2) is None


def test_a_smaller_picture_is_the_average() -> None:
    rendering = rendering_for(PQ, BT709)
    assert rendering is not None
    codes = np.full((4, 4, 3), 38_000, np.uint16)
    assert rendering.render(codes, Size(2, 1)).shape == (1, 2, 3)
