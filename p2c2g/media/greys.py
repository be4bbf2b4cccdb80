"""The codecs once more, for pictures of one colour: ``(height, width, 1)``, as residuals are.

Their bytes are what any reader of the format shows as a grey picture, but for ``raw``.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from p2c2g.errors import UsageError
from p2c2g.media import avif, flat, jpeg, png, webp
from p2c2g.media.codecs import (
    Codec,
    Data,
    LibraryCodec,
    by_name,
    raw,
)
from p2c2g.media.frame import Pixels, Size


def _jpeg_decode(data: Data, _size: Size, out: Pixels | None) -> Pixels:
    fits = out is not None and out.flags.c_contiguous and out.flags.writeable
    pixels: Pixels = simplejpeg.decode_jpeg(
        data, "GRAY", fastdct=False, buffer=out if fits else None
    )
    return out if fits and out is not None else pixels


def _jpeg_inspect(data: Data, quality: int) -> tuple[int, int]:
    return jpeg.inspect(data, quality, components=1)


def _coloured_jpeg_inspect(data: Data, quality: int) -> tuple[int, int]:
    return jpeg.inspect(data, quality, components=3)


def _only_read(_pixels: Pixels, _quality: int) -> bytes:
    raise ValueError("it is only read")


def _webp_inspect(data: Data, _quality: int) -> tuple[int, int]:
    return webp.inspect(data)


def _png_inspect(data: Data, _quality: int) -> tuple[int, int]:
    return png.inspect(data, channels=1)


def _pillow_encode(format_: str, mode: str = "L", **options: Any) -> Callable[[Pixels, int], bytes]:
    def encode(pixels: Pixels, quality: int) -> bytes:
        stream = io.BytesIO()
        image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0])).convert(mode)
        image.save(stream, format_, quality=quality, **options)
        return stream.getvalue()

    return encode


def _pillow_decode(format_: str) -> Callable[[Data, Size, Pixels | None], Pixels]:
    def decode(data: Data, size: Size, _out: Pixels | None) -> Pixels:
        with Image.open(io.BytesIO(data), formats=[format_]) as image:
            if image.size != (size.width, size.height):
                raise ValueError(f"its picture is {image.width}x{image.height}")
            return np.asarray(image if image.mode == "L" else image.convert("L"))[:, :, None]

    return decode


#: Every codec for grey pictures, by the names of those for colour.
GREYS: dict[str, Codec] = by_name(
    (
        LibraryCodec("jpeg", "image/jpeg", False, flat.encode_grey, _jpeg_decode, _jpeg_inspect, 1),
        LibraryCodec(
            "webp",
            "image/webp",
            False,
            _pillow_encode("WEBP", "RGB", method=0),  # it knows no grey
            _pillow_decode("WEBP"),
            _webp_inspect,
            1,
        ),
        LibraryCodec(
            "avif",
            "image/avif",
            False,
            _pillow_encode("AVIF", speed=10, subsampling="4:0:0"),
            _pillow_decode("AVIF"),
            avif.inspect,
            1,
        ),
        LibraryCodec(
            "png",
            "image/png",
            True,
            _pillow_encode("PNG", compress_level=1),
            _pillow_decode("PNG"),
            _png_inspect,
            1,
        ),
        raw(b"p2g", 1),
    )
)
#: Reads the luma of a JPEG in colour, which it has as a plane of its own.
JPEG_LUMA: Codec = LibraryCodec(
    "jpeg", "image/jpeg", False, _only_read, _jpeg_decode, _coloured_jpeg_inspect, 1
)


def grey(name: str) -> Codec:
    """Return the codec of a name, for grey pictures.

    Raises:
        UsageError: there is none; the message lists those known.
    """
    try:
        return GREYS[name]
    except KeyError:
        raise UsageError(f"{name!r} is not a codec: those known are {', '.join(GREYS)}.") from None
