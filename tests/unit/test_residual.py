"""What a result is, as numbers and as bytes."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from p2c2g.errors import CodecError, UsageError
from p2c2g.media.base import base
from p2c2g.media.cells import apart, cell_of, together
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.greys import GREYS, grey
from p2c2g.media.residual import LUMA, Form, Residual, difference
from p2c2g_workers.processors import run
from tests.hard_pictures import kinds, picture
from tests.unit.test_base import grids, is_cut, plan_of, seeds

LOSSLESS = sorted(name for name, codec in GREYS.items() if codec.lossless)
LOSSY = sorted(GREYS.keys() - set(LOSSLESS))
sizes = st.builds(Size, st.integers(1, 60), st.integers(1, 50))
colours = st.booleans()


def soft_residual(size: Size, channels: int = 1, strength: float = 12) -> Residual:
    noise = np.random.default_rng(5).normal(0, strength, (size.height, size.width, channels))
    soft = cv2.GaussianBlur(noise, (5, 5), 0).reshape(noise.shape)
    return np.rint(3 * soft).astype(np.int16)


# -- numbers


@pytest.mark.parametrize(
    ("across", "down", "cell"),
    [
        ("2", "2", Size(2, 2)),
        ("3", "8", Size(3, 8)),
        ("3/2", "2", Size(3, 2)),
        ("4/3", "5/2", Size(4, 5)),
        ("16/9", "1", Size(4, 1)),
        ("1/2", "719/360", Size(1, 1)),
    ],
)
def test_cells(across: str, down: str, cell: Size) -> None:
    assert cell_of(Fraction(across), Fraction(down)) == cell


@given(sizes, st.integers(1, 5), st.integers(1, 5), seeds)
def test_apart_and_together(size: Size, across: int, down: int, seed: int) -> None:
    plane = picture(size, seed, "noise")[:, :, 0]
    cell = Size(across, down)
    assume(across <= size.width and down <= size.height)
    parts = apart(plane, cell)
    assert len(parts) == across * down
    back = together(parts, cell, plane.shape)
    rows, columns = size.height // down * down, size.width // across * across
    assert np.array_equal(back[:rows, :columns], plane[:rows, :columns])
    assert not back[rows:].any()
    assert not back[:, columns:].any()


@given(sizes, seeds, kinds, kinds)
def test_luma_is_that_of_jpeg(size: Size, seed: int, kind: str, other: str) -> None:
    enhanced, under = picture(size, seed, kind), picture(size, seed + 1, other)
    found = difference(enhanced, under, Size(1, 1))
    exact = (enhanced.astype(np.float64) - under) @ np.array([0.114, 0.587, 0.299])
    assert found.shape == (size.height, size.width, 1)
    assert np.abs(found[:, :, 0] - exact).max() <= 1.5
    assert sum(LUMA) == 256


def test_a_grey_difference_is_exact() -> None:
    under = picture(Size(40, 30), 1, "noise")
    added = picture(Size(40, 30), 2, "noise")[:, :, :1].astype(np.int16) - 128
    enhanced = np.clip(under + added, 0, 255).astype(np.uint8)
    kept = ((under + added) == enhanced).all(2)
    found = difference(enhanced, under, Size(1, 1))[:, :, 0]
    assert np.array_equal(found[kept], added[:, :, 0][kept])


@given(sizes, st.integers(1, 4), st.integers(1, 4), seeds, kinds, colours)
def test_cells_have_no_mean(
    size: Size, across: int, down: int, seed: int, kind: str, in_colour: bool
) -> None:
    cell = Size(across, down)
    assume(across * down > 1 and across <= size.width and down <= size.height)
    enhanced, under = picture(size, seed, kind), picture(size, seed + 1, "soft")
    found = difference(enhanced, under, cell, in_colour=in_colour)
    assert found.shape == (size.height, size.width, 3 if in_colour else 1)
    for plane in np.moveaxis(found, 2, 0):
        mean = sum(part.astype(np.float64) for part in apart(plane, cell)) / (across * down)
        assert np.abs(mean).max() <= 0.5


@given(
    st.sampled_from(["2", "3", "3/2", "4/3", "16/9", "1"]),
    st.sampled_from(["bicubic", "lanczos", "nearest"]),
    st.builds(Size, st.integers(4, 60), st.integers(4, 50)),
    grids,
    seeds,
    kinds,
    st.sampled_from(LOSSLESS),
    colours,
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_chunks_are_the_whole(
    factor: str,
    method: str,
    size: Size,
    grid: Grid,
    seed: int,
    kind: str,
    codec: str,
    in_colour: bool,
) -> None:
    """As a peer makes them, through a lossless codec and back."""
    plan = plan_of(f"upscale:{factor}:{method},sharpen:1", size)
    assume(is_cut(plan, grid))
    pixels = picture(size, seed, kind)
    cell = cell_of(plan.scale_x, plan.scale_y)
    form = Form(codec, 80, in_colour=in_colour)

    def made(part: Pixels) -> Residual:
        enhanced = run(plan, part)
        under = base(part, plan.scale_x, plan.scale_y, Size.of(enhanced))
        return difference(enhanced, under, cell, in_colour=in_colour)

    whole = made(pixels)
    joined = np.empty_like(whole)
    for chunk in plan_chunks(plan, grid):
        mine = chunk.crop.of(made(cut(pixels, chunk)))  # type: ignore[arg-type]
        data = form.encode(mine)
        chunk.target.of(joined)[:] = form.decode(data, chunk.target.size)  # type: ignore[arg-type]
    assert np.array_equal(joined, whole)


# -- bytes


@pytest.mark.parametrize("name", LOSSLESS)
@given(size=sizes, seed=seeds, most=st.sampled_from([1, 127, 128, 510, 32_000]), in_colour=colours)
@settings(max_examples=30, deadline=None)
def test_lossless_is_exact_however_large(
    name: str, size: Size, seed: int, most: int, in_colour: bool
) -> None:
    shape = (size.height, size.width, 3 if in_colour else 1)
    residual = np.random.default_rng(seed).integers(-most, most + 1, shape, dtype=np.int16)
    form = Form(name, 80, in_colour=in_colour)
    assert np.array_equal(form.decode(form.encode(residual), size), residual)


@pytest.mark.parametrize("in_colour", [False, True])
@pytest.mark.parametrize("name", LOSSY)
def test_lossy_comes_near(name: str, in_colour: bool) -> None:
    size = Size(96, 64)
    residual = soft_residual(size, 3 if in_colour else 1)
    form = Form(name, 90, in_colour=in_colour)
    back = form.decode(form.encode(residual), size)
    assert back.shape == residual.shape
    # Colours at half the resolution are another matter.
    assert np.abs(back - residual).mean() < (9 if in_colour else 2)


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_cuts_off_on_both_sides_alike(name: str) -> None:
    size = Size(64, 64)
    form = Form(name, 95)
    for sign in (-1, 1):
        flat = np.full((64, 64, 1), 300 * sign, np.int16)
        back = form.decode(form.encode(flat), size)
        assert np.abs(back - 127 * sign).max() <= 2


def test_a_gain_keeps_what_is_small() -> None:
    size = Size(96, 64)
    residual = soft_residual(size, strength=2)
    sizes, offs = zip(
        *(
            (len(data), float(np.abs(form.decode(data, size) - residual).mean()))
            for form in (Form("jpeg", 60, gain) for gain in (1, 4))
            for data in (form.encode(residual),)
        ),
        strict=True,
    )
    assert offs[1] < offs[0]
    assert sizes[1] > sizes[0]


@pytest.mark.parametrize("gain", [0, 9, -1])
def test_gains_that_cannot_be(gain: int) -> None:
    with pytest.raises(UsageError, match=r"1 to 8"):
        Form("jpeg", 60, gain)


def test_lossless_has_no_gain() -> None:
    with pytest.raises(UsageError, match="raw has 1 to 1"):
        Form("raw", 60, 2)


def test_codecs_that_there_are_not() -> None:
    with pytest.raises(UsageError, match=r"'gif' is not a codec"):
        Form("gif", 60)
    with pytest.raises(UsageError, match=r"'gif' is not a codec"):
        Form("gif", 60, in_colour=True)
    with pytest.raises(UsageError, match=r"'gif' is not a codec"):
        grey("gif")


@pytest.mark.parametrize("name", sorted(GREYS))
def test_another_size_is_refused(name: str) -> None:
    form, size = Form(name, 80), Size(32, 24)
    data = form.encode(soft_residual(size))
    for other in (Size(32, 25), Size(31, 24), Size(24, 32)):
        with pytest.raises(CodecError):
            form.decode(data, other)


@pytest.mark.parametrize("name", LOSSY)
def test_two_planes_are_for_lossless_codecs(name: str) -> None:
    data = Form(name, 80).encode(soft_residual(Size(32, 48)))
    with pytest.raises(CodecError):
        Form(name, 80).decode(data, Size(32, 24))


# -- codecs for grey pictures


@pytest.mark.parametrize("name", sorted(GREYS))
def test_a_grey_picture_comes_back(name: str) -> None:
    codec, size = grey(name), Size(53, 38)
    plane = np.ascontiguousarray(picture(size, 5, "soft")[:, :, :1])
    data = codec.encode(plane, 95)
    assert codec.inspect(data) == size
    back = codec.decode(data)
    assert back.shape == plane.shape
    off = cv2.absdiff(back, plane)
    assert off.max() == 0 if codec.lossless else off.mean() < 2
    out = np.empty_like(plane)
    assert codec.decode(data, out) is out
    assert np.array_equal(out, back)
    # Rows apart, as of a part of a larger one.
    wide = np.zeros((38, 99, 1), np.uint8)
    wide[:, 20:73] = plane
    assert np.array_equal(codec.decode(codec.encode(wide[:, 20:73], 95)), back)


@pytest.mark.parametrize("name", sorted(GREYS))
def test_a_grey_codec_takes_no_colours(name: str) -> None:
    with pytest.raises(CodecError, match=r"\(height, width, 1\)"):
        grey(name).encode(picture(Size(8, 8), 1, "soft"), 80)


@pytest.mark.parametrize("name", sorted(GREYS))
@given(data=st.binary(max_size=200), at=st.integers(0, 10_000), byte=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_do_no_harm(name: str, data: bytes, at: int, byte: int) -> None:
    sound = bytearray(Form(name, 80).encode(soft_residual(Size(32, 24))))
    sound[at % len(sound)] ^= byte
    for given_ in (data, bytes(sound), bytes(sound[: at % len(sound)])):
        try:
            found = Form(name, 80).decode(given_, Size(32, 24))
        except CodecError:
            continue
        assert found.shape == (24, 32, 1)


@pytest.mark.parametrize("name", sorted(GREYS))
def test_a_picture_in_colour_is_read_as_grey_or_refused(name: str) -> None:
    from p2c2g.media.codecs import codec

    data = codec(name).encode(picture(Size(32, 24), 2, "soft"), 80)
    try:
        found = Form(name, 80).decode(data, Size(32, 24))
    except CodecError:
        return
    assert found.shape == (24, 32, 1)
