"""What every rung owes that a session may ask for: its bytes are written, inspected and read."""

import dataclasses

import numpy as np
import pytest

from p2c2g.errors import CodecError
from p2c2g.media import flat
from p2c2g.media.codecs import CODECS, codec, source_codec
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.residual import Form, Residual
from p2c2g.session.recipes import RESIDUALS, SOURCES, Rung
from tests.hard_pictures import picture

KINDS = ("soft", "noise", "hard", "checks", "flat")
SIZES = (Size(96, 72), Size(61, 37), Size(1, 1))
#: How far soft shapes may be off at the worst rung, on average; noise no codec holds.
FAR = 16


def pixels_of(size: Size, kind: str) -> Pixels:
    return picture(size, 3, kind)


def residual_of(size: Size, kind: str, channels: int = 1) -> Residual:
    return pixels_of(size, kind)[:, :, :channels].astype(np.int16) - 128


def in_colour(rungs: tuple[Rung, ...]) -> tuple[Rung, ...]:
    return tuple(dataclasses.replace(one, in_colour=True) for one in rungs)


@pytest.mark.parametrize("one", SOURCES, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_chunk_of_every_rung_passes_a_peers_inspection(one: Rung, size: Size, kind: str) -> None:
    pixels = pixels_of(size, kind)
    data = source_codec(one.codec).encode(pixels, one.quality)
    theirs = codec(one.codec)
    assert theirs.inspect(data, limit=size, quality=one.quality) == size
    back = theirs.decode(data, limit=size)
    assert back.shape == pixels.shape
    assert kind not in ("soft", "flat") or np.abs(back.astype(int) - pixels).mean() < FAR


@pytest.mark.parametrize("one", [*RESIDUALS, *in_colour(RESIDUALS)], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gain", [1, 4])
def test_a_residual_of_every_rung_passes_a_sessions_inspection(
    one: Rung, size: Size, kind: str, gain: int
) -> None:
    form = one.form(gain)
    residual = residual_of(size, kind, 3 if one.in_colour else 1) // gain
    back = form.decode(form.encode(residual), size)
    assert back.shape == residual.shape
    assert kind not in ("soft", "flat") or np.abs(back - residual).mean() < FAR


@pytest.mark.parametrize("one", RESIDUALS, ids=str)
def test_what_is_no_residual_of_a_rung_is_refused(one: Rung) -> None:
    size = Size(96, 72)
    residual = residual_of(size, "soft")
    data = one.form(1).encode(residual)
    with pytest.raises(CodecError):
        one.form(1).decode(data, Size(95, 72))
    with pytest.raises(CodecError):
        one.form(1).decode(data[:-9], size)
    for other in CODECS.keys() - {one.codec}:
        with pytest.raises(CodecError):
            Form(other, 75).decode(data, size)


# -- JPEG by tables of our own


def test_detail_makes_steps_larger_within_bounds_and_quality_smaller() -> None:
    for middle in (flat.SOURCE_STEP, flat.RESIDUAL_STEP):
        at = [flat.step(quality, middle, 1.0) for quality in range(1, 101)]
        assert at == sorted(at, reverse=True)
        assert at[0] == 255
        assert at[-1] == 1
        by_detail = [flat.step(50, middle, detail) for detail in (0.0, 0.1, 1.0, 9.0, 1e9)]
        assert by_detail == sorted(by_detail)
        assert by_detail[-1] < 2 * by_detail[2] < 4 * by_detail[0]


def test_a_view_with_four_channels_is_written_as_its_colours_are() -> None:
    screen = np.full((60, 80, 4), 9, np.uint8)
    screen[5:43, 7:60, :3] = pixels_of(Size(53, 38), "soft")
    view = screen[5:43, 7:60]
    one = source_codec("jpeg")
    assert one.encode(view, 70) == one.encode(np.ascontiguousarray(view[:, :, :3]), 70)
