"""What is looked at before a stranger's picture is decoded."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from p2c2g.errors import CodecError
from p2c2g.media.codecs import CODECS, LOSSLESS_WEBP, Codec, LibraryCodec, codec
from p2c2g.media.frame import Chunk, Pixels, Rect, Size
from p2c2g.media.greys import GREYS, JPEG_LUMA, grey
from p2c2g.media.operations import Pipeline
from p2c2g.media.recipe import Recipe
from p2c2g.media.residual import Form
from p2c2g.verify.results import ResultReader
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.cpu import CpuEngine
from tests.effort import examples
from tests.forged_pictures import FORGED, SIZE, scan_bomb, slow_png
from tests.hard_pictures import kinds, picture

ALL = [(name, what) for name, forged in FORGED.items() for what in forged]


@pytest.mark.parametrize(("name", "what"), ALL, ids=lambda value: value)
def test_what_no_encoder_of_ours_writes_is_refused(name: str, what: str) -> None:
    with pytest.raises(CodecError):
        codec(name).decode(FORGED[name][what])


def undecoded(one: Codec) -> Codec:
    """Return a codec that fails a test where it decodes."""

    def decode(*_: Any) -> Pixels:
        raise AssertionError("it was decoded")

    assert isinstance(one, LibraryCodec)
    return replace(one, to_pixels=decode)


@pytest.mark.parametrize(("name", "what"), ALL, ids=lambda value: value)
def test_it_is_refused_before_it_is_decoded(name: str, what: str) -> None:
    with pytest.raises(CodecError, match=r"These .* bytes are not"):
        undecoded(codec(name)).decode(FORGED[name][what])


def test_a_worker_decodes_no_scan_bomb() -> None:
    """Luma alone, and colours: a denoised picture needs no more than luma."""
    for text in ("denoise:1", "upscale:2:ml-tiny"):
        plan = Pipeline.parse(text).resolve(SIZE)
        whole = plan.output_of(SIZE)
        crop = Rect(0, 0, whole.width, whole.height)
        work = Work(plan, "jpeg", scan_bomb(SIZE), SIZE, crop, Form("jpeg", 75))
        with pytest.raises(CodecError):
            CpuEngine().enhance(work)


@pytest.mark.parametrize("in_colour", [False, True])
def test_a_session_decodes_no_scan_bomb(in_colour: bool) -> None:
    size = Size(SIZE.width // 2, SIZE.height // 2)
    whole, target = Rect(0, 0, size.width, size.height), Rect(0, 0, SIZE.width, SIZE.height)
    form = Form("jpeg", 75, in_colour=in_colour)
    recipe = Recipe("jpeg", 80, form, Pipeline.parse("upscale:2"))
    reader = ResultReader(size, recipe)
    bomb = scan_bomb(SIZE, 3 if in_colour else 1)
    with pytest.raises(CodecError):
        reader.decode(Chunk(0, whole, whole, target, target), bomb, recipe)


def test_a_result_takes_no_more_bytes_than_its_quality_explains() -> None:
    """What passes at the best quality may be more than one of 50 can be."""
    noise = grey("jpeg").encode(picture(SIZE, 1, "hard")[:, :, :1], 100)
    assert grey("jpeg").decode(noise).shape == (SIZE.height, SIZE.width, 1)
    large = jpeg_of(Size(512, 512), 100)
    assert grey("jpeg").inspect(large) == Size(512, 512)
    with pytest.raises(CodecError, match="more than its picture takes"):
        Form("jpeg", 50).decode(large, Size(512, 512))


def jpeg_of(size: Size, quality: int) -> bytes:
    """Return grey noise in black and white by the standard's tables, the most that JPEG takes."""
    noise = picture(size, 1, "hard")[:, :, 0]
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return bytes(cv2.imencode(".jpg", noise, options)[1].tobytes())


# -- what honest encoders write


sizes = st.builds(Size, st.integers(1, 200), st.integers(1, 200))


@given(st.sampled_from(sorted(CODECS)), sizes, st.integers(1, 100), st.integers(0, 9), kinds)
@settings(deadline=None, derandomize=True, max_examples=examples(400))
def test_every_picture_that_we_encode_passes(
    name: str, size: Size, quality: int, seed: int, kind: str
) -> None:
    pixels = picture(size, seed, kind)
    for one, given_pixels in ((codec(name), pixels), (grey(name), pixels[:, :, :1])):
        data = one.encode(given_pixels, quality)
        assert one.inspect(data, quality=quality) == size
        assert Size.of(one.decode(data)) == size


@pytest.mark.parametrize("name", sorted(CODECS))
@pytest.mark.parametrize("kind", ["noise", "hard", "checks"])
def test_the_hardest_pictures_pass_at_every_quality(name: str, kind: str) -> None:
    size = Size(136, 120)
    for quality in (1, 10, 25, 50, 74, 75, 76, 85, 90, 91, 95, 96, 99, 100):
        pixels = picture(size, quality, kind)
        for one, given_pixels in ((codec(name), pixels), (grey(name), pixels[:, :, :1])):
            assert one.inspect(one.encode(given_pixels, quality), quality=quality) == size


def by_pillow(pixels: Pixels, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])).save(stream, "JPEG", **options)
    return stream.getvalue()


def by_opencv(pixels: Pixels, *options: int) -> bytes:
    return bytes(cv2.imencode(".jpg", pixels, options)[1].tobytes())


def by_simplejpeg(pixels: Pixels, quality: int, sampling: str) -> bytes:
    pixels = np.ascontiguousarray(pixels)
    return bytes(simplejpeg.encode_jpeg(pixels, quality, "BGR", sampling, fastdct=False))


_SAMPLINGS = (0x111111, 0x211111, 0x121111, 0x221111, 0x411111)
jpegs: st.SearchStrategy[Callable[[Pixels, int], bytes]] = st.one_of(
    st.builds(
        lambda sampling, optimize, rows: (
            lambda pixels, quality: by_pillow(
                pixels, quality=quality, subsampling=sampling, optimize=optimize,
                restart_marker_rows=rows,
            )
        ),
        st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]), st.booleans(), st.integers(0, 3),
    ),
    st.builds(
        lambda blocks: lambda pixels, quality: by_pillow(
            pixels, quality=quality, restart_marker_blocks=blocks
        ),
        st.integers(1, 20),
    ),
    st.builds(
        lambda sampling, optimize, every: (
            lambda pixels, quality: by_opencv(
                pixels, cv2.IMWRITE_JPEG_QUALITY, quality,
                cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling,
                cv2.IMWRITE_JPEG_OPTIMIZE, int(optimize), cv2.IMWRITE_JPEG_RST_INTERVAL, every,
            )
        ),
        st.sampled_from(_SAMPLINGS), st.booleans(), st.integers(0, 40),
    ),
    st.builds(
        lambda sampling: lambda pixels, quality: by_simplejpeg(pixels, quality, sampling),
        st.sampled_from(["444", "422", "420", "440", "411"]),
    ),
)  # fmt: skip


@given(jpegs, sizes, st.integers(1, 100), st.integers(0, 9), kinds)
@settings(deadline=None, derandomize=True, max_examples=examples(400))
def test_every_baseline_jpeg_of_the_usual_libraries_passes(
    encode: Callable[[Pixels, int], bytes], size: Size, quality: int, seed: int, kind: str
) -> None:
    data = encode(picture(size, seed, kind), quality)
    assert codec("jpeg").inspect(data) == size
    assert Size.of(codec("jpeg").decode(data)) == size
    assert JPEG_LUMA.decode(data).shape == (size.height, size.width, 1)


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("rows", [0, 1])
def test_every_grey_jpeg_of_the_usual_libraries_passes(sampling: str, rows: int) -> None:
    """Some say that they are sampled, which means nothing where there is one component."""
    size = Size(53, 38)
    plane = np.ascontiguousarray(picture(size, 1, "noise")[:, :, :1])
    stream = io.BytesIO()
    Image.fromarray(plane[:, :, 0]).save(
        stream, "JPEG", subsampling=sampling, optimize=bool(rows), restart_marker_rows=rows
    )
    options = [cv2.IMWRITE_JPEG_RST_INTERVAL, rows, cv2.IMWRITE_JPEG_OPTIMIZE, rows]
    for data in (
        stream.getvalue(),
        bytes(cv2.imencode(".jpg", plane, options)[1].tobytes()),
        bytes(simplejpeg.encode_jpeg(plane, 90, "GRAY", sampling.replace(":", ""))),
    ):
        assert grey("jpeg").inspect(data) == size
        assert cv2.absdiff(grey("jpeg").decode(data), plane).mean() < 40


def test_training_still_takes_webp_without_loss() -> None:
    pixels = picture(SIZE, 3, "noise")
    data = LOSSLESS_WEBP.encode(pixels, 100)
    np.testing.assert_array_equal(LOSSLESS_WEBP.decode(data), pixels)
    with pytest.raises(CodecError):
        LOSSLESS_WEBP.decode(codec("webp").encode(pixels, 80))


# -- what strangers make of them


HONEST = {
    (name, table): one.encode(picture(SIZE, 4, "soft")[:, :, :depth], 80)
    for table, codecs, depth in (("colour", CODECS, 3), ("grey", GREYS, 1))
    for name, one in codecs.items()
}


@given(
    st.sampled_from(sorted(HONEST)),
    st.lists(st.tuples(st.integers(0, 100_000), st.binary(max_size=4)), min_size=1, max_size=4),
    st.integers(0, 3),
)
@settings(deadline=None, derandomize=True, max_examples=examples(800))
def test_a_changed_picture_is_refused_or_of_the_announced_size(
    which: tuple[str, str], changes: list[tuple[int, bytes]], cut: int
) -> None:
    """Most changes are made where the header is; some insert, and some cut bytes out."""
    data = bytearray(HONEST[which])
    for index, (place, new) in enumerate(changes):
        at = place % min(len(data), 400 if index % 2 else len(data))
        data[at : at + (cut if new else 1)] = new
    one = (CODECS if which[1] == "colour" else GREYS)[which[0]]
    try:
        pixels = one.decode(bytes(data), limit=SIZE)
    except CodecError:
        return
    stated = one.inspect(bytes(data), limit=SIZE)
    assert Size.of(pixels) == stated
    assert stated.width <= SIZE.width
    assert stated.height <= SIZE.height


def test_the_slowest_png_that_passes_is_decoded() -> None:
    """What the figures of docs/reliability.md were measured with is what is let pass."""
    size = Size(64, 64)
    assert not codec("png").decode(slow_png(size)).any()
