"""What every codec owes: the picture back, and no harm from bytes of a stranger."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.errors import CodecError, UsageError
from p2c2g.media.codecs import CODECS, Codec, codec
from p2c2g.media.frame import Pixels, Size
from tests.effort import examples

SIZE = Size(53, 38)


def soft(size: Size = SIZE) -> Pixels:
    """Return a picture that a lossy codec can hold: soft shapes in colour."""
    noise = np.random.default_rng(5).integers(0, 256, (size.height, size.width, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (15, 15), 0), np.uint8)


PICTURE = soft()
ENCODED = {name: each.encode(PICTURE, 90) for name, each in CODECS.items()}


@pytest.fixture(params=sorted(CODECS))
def each(request: pytest.FixtureRequest) -> Codec:
    return codec(request.param)


def test_the_picture_comes_back(each: Codec) -> None:
    back = each.decode(each.encode(PICTURE, 90))
    assert back.shape == PICTURE.shape
    assert back.dtype == np.uint8
    off = cv2.absdiff(back, PICTURE)
    if each.lossless:
        assert not off.any()
    else:
        assert off.mean() < 4


def test_blue_stays_blue(each: Codec) -> None:
    blue = np.zeros((16, 16, 3), np.uint8)
    blue[..., 0] = 250
    assert each.decode(each.encode(blue, 95)).mean((0, 1)).argmax() == 0


def test_quality_costs_bytes_unless_lossless(each: Codec) -> None:
    low, high = (len(each.encode(soft(Size(160, 120)), quality)) for quality in (20, 95))
    assert low == high if each.lossless else low < high


def test_a_view_and_a_fourth_channel_make_no_difference(each: Codec) -> None:
    screen = np.full((60, 70, 4), 99, np.uint8)
    screen[9:47, 11:64, :3] = PICTURE
    view = screen[9:47, 11:64]
    expected = each.decode(ENCODED[each.name])
    np.testing.assert_array_equal(each.decode(each.encode(view, 90)), expected)
    np.testing.assert_array_equal(each.decode(each.encode(view[..., :3], 90)), expected)


def test_it_decodes_from_a_memoryview(each: Codec) -> None:
    data = ENCODED[each.name]
    inside = memoryview(b"head" + data)[4:]
    np.testing.assert_array_equal(each.decode(inside), each.decode(data))
    assert each.inspect(inside) == SIZE


def test_it_decodes_into_a_given_array(each: Codec) -> None:
    expected = each.decode(ENCODED[each.name])
    out = np.empty_like(PICTURE)
    assert each.decode(ENCODED[each.name], out) is out
    np.testing.assert_array_equal(out, expected)


def test_it_decodes_into_a_part_of_a_larger_array(each: Codec) -> None:
    canvas = np.zeros((50, 80, 3), np.uint8)
    part = canvas[4:42, 9:62]
    assert each.decode(ENCODED[each.name], part) is part
    np.testing.assert_array_equal(part, each.decode(ENCODED[each.name]))
    part[:] = 0
    assert not canvas.any()


def test_an_array_of_another_shape_is_refused(each: Codec) -> None:
    out = np.zeros((38, 54, 3), np.uint8)
    with pytest.raises(CodecError, match="is a picture of 53x38"):
        each.decode(ENCODED[each.name], out)
    assert not out.any()


def test_the_size_is_read_from_the_header(each: Codec) -> None:
    assert each.inspect(ENCODED[each.name]) == SIZE


@pytest.mark.parametrize("limit", [Size(52, 38), Size(53, 37)])
def test_more_than_the_limit_is_refused(each: Codec, limit: Size) -> None:
    with pytest.raises(CodecError, match=f"at most {limit} is allowed"):
        each.decode(ENCODED[each.name], limit=limit)
    assert each.decode(ENCODED[each.name], limit=SIZE).shape == PICTURE.shape


@pytest.mark.parametrize("size", [Size(1, 1), Size(1, 17), Size(17, 1), Size(2, 3)])
def test_the_smallest_pictures_travel(each: Codec, size: Size) -> None:
    data = each.encode(soft(size), 80)
    assert Size.of(each.decode(data)) == each.inspect(data) == size


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_a_quality_out_of_range_is_refused(each: Codec, quality: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 100"):
        each.encode(PICTURE, quality)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_not_encoded(each: Codec, pixels: Pixels) -> None:
    with pytest.raises(CodecError):
        each.encode(pixels, 80)


def test_the_names_and_media_types() -> None:
    assert {name: each.media_type for name, each in CODECS.items()} == {
        "jpeg": "image/jpeg",
        "webp": "image/webp",
        "avif": "image/avif",
        "png": "image/png",
        "raw": "application/octet-stream",
    }
    assert {name for name, each in CODECS.items() if each.lossless} == {"png", "raw"}


def test_an_unknown_codec_lists_those_known() -> None:
    with pytest.raises(UsageError, match=r"'gif' is not a codec.*jpeg, webp, avif, png, raw"):
        codec("gif")


# -- strangers' bytes


def decode_or_refuse(each: Codec, data: bytes) -> None:
    """Decode; only a picture of the size in the header, or a CodecError, may come of it."""
    limit = Size(256, 256)
    try:
        pixels = each.decode(data, limit=limit)
    except CodecError as error:
        assert str(error).endswith((".", str(error.__cause__)))  # noqa: PT017
        return
    assert Size.of(pixels) == each.inspect(data, limit=limit)
    assert pixels.shape[2] == 3


HEADS = [data[:length] for data in ENCODED.values() for length in (0, 4, 12, 30)]


@given(st.sampled_from(sorted(CODECS)), st.sampled_from(HEADS), st.binary(max_size=300))
@settings(deadline=None, derandomize=True, max_examples=examples(300))
def test_random_bytes_do_no_harm(name: str, head: bytes, tail: bytes) -> None:
    decode_or_refuse(codec(name), head + tail)


@given(st.sampled_from(sorted(CODECS)), st.integers(0, 100_000))
@settings(deadline=None, derandomize=True, max_examples=examples(300))
def test_cut_short_does_no_harm(name: str, end: int) -> None:
    data = ENCODED[name]
    decode_or_refuse(codec(name), data[: end % len(data)])


@given(
    st.sampled_from(sorted(CODECS)),
    st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 255)), min_size=1, max_size=6),
)
@settings(deadline=None, derandomize=True, max_examples=examples(600))
def test_flipped_bits_do_no_harm(name: str, flips: list[tuple[int, int]]) -> None:
    data = bytearray(ENCODED[name])
    for place, bits in flips:
        data[place % len(data)] ^= bits
    decode_or_refuse(codec(name), bytes(data))


@pytest.mark.parametrize("other", sorted(CODECS))
def test_another_codecs_bytes_are_refused(each: Codec, other: str) -> None:
    if other != each.name:
        with pytest.raises(CodecError):
            each.decode(ENCODED[other])


def png_claiming(size: Size) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", size.width, size.height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def webp_claiming(size: Size) -> bytes:
    canvas = (size.width - 1).to_bytes(3, "little") + (size.height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_claiming(size: Size) -> bytes:
    data = bytearray(ENCODED["jpeg"])
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", size.height, size.width)
    return bytes(data)


def avif_claiming(size: Size) -> bytes:
    data = bytearray(ENCODED["avif"])
    start = data.index(b"ispe") + 8
    data[start : start + 8] = struct.pack(">II", size.width, size.height)
    return bytes(data)


def raw_claiming(size: Size) -> bytes:
    return b"p2r\x01" + struct.pack(">HH", size.width, size.height) + b"\x00"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("png", png_claiming(Size(60_000, 60_000))),
        ("webp", webp_claiming(Size(60_000, 60_000))),
        ("jpeg", jpeg_claiming(Size(60_000, 60_000))),
        ("avif", avif_claiming(Size(60_000, 60_000))),
        ("raw", raw_claiming(Size(60_000, 60_000))),
    ],
)
def test_a_bomb_is_refused_by_its_header(name: str, data: bytes) -> None:
    with pytest.raises(CodecError):
        codec(name).inspect(data)
    with pytest.raises(CodecError):
        codec(name).decode(data)


def test_a_raw_picture_too_short_for_its_size_takes_no_memory() -> None:
    with pytest.raises(CodecError, match="too short for its size"):
        codec("raw").decode(raw_claiming(Size(16_000, 16_000)))
