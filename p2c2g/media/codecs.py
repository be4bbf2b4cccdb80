"""How pixels become bytes: a codec is a name, three functions and one promise.

The promise is that bytes from a stranger do no harm.  They are inspected before they are decoded:
the size is compared with what is allowed before memory is allocated for pixels, and what encoders
of ours do not write is refused, since it can take a decoder minutes (:mod:`p2c2g.media.jpeg` and
its siblings).  Whatever is wrong with the bytes raises a ``CodecError``.

========  =======================  =========================================================
jpeg      simplejpeg, 4:2:0        the one for 60 frames a second; for chunks and residuals with
                                   tables of our own (:mod:`p2c2g.media.flat`), by Pillow
webp      Pillow, method 0         slow links: smaller, ten times slower
avif      Pillow, speed 10         slower links: smaller again, slower again
png       Pillow, level 1          lossless where a browser has to show it
raw       lz4                      lossless and fast, for a local network
========  =======================  =========================================================
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import lz4.block
import numpy as np
import simplejpeg
from PIL import Image

from p2c2g.errors import CodecError, UsageError
from p2c2g.media import avif, flat, jpeg, png, webp
from p2c2g.media.frame import MAX_EDGE, Pixels, Size

Data = bytes | memoryview
#: The best quality: bytes of pictures of an unknown one are bounded by it.
BEST = 100


class Codec(Protocol):
    """Pixels to bytes and back.

    ``media_type`` is what a browser is told; ``application/octet-stream`` where it cannot show
    the bytes by itself.
    """

    @property
    def name(self) -> str:
        """Return the name that travels in messages."""

    @property
    def media_type(self) -> str:
        """Return the media type of the bytes."""

    @property
    def lossless(self) -> bool:
        """Return whether decoding gives back exactly the pixels that were encoded."""

    def encode(self, pixels: Pixels, quality: int) -> bytes:
        """Return ``(height, width, 3 or 4)`` BGR pixels, or a view of such, as bytes.

        ``quality`` is 1 to 100; a lossless codec ignores it.

        Raises:
            CodecError: the codec cannot hold such a picture.
            UsageError: the quality is out of its range.
        """

    def decode(
        self,
        data: Data,
        out: Pixels | None = None,
        *,
        limit: Size | None = None,
        inspected: Size | None = None,
    ) -> Pixels:
        """Return ``(height, width, 3)`` BGR pixels, ``out`` itself where it is given.

        The bytes are inspected first, unless ``inspected`` is what :meth:`inspect` said of them.

        Raises:
            CodecError: they are not a picture that :meth:`inspect` lets pass, they are damaged,
                or its size is not that of ``out``.
        """

    def inspect(self, data: Data, *, limit: Size | None = None, quality: int = BEST) -> Size:
        """Return the size of a picture that may be decoded; nothing is.

        ``quality`` is what it was encoded with, or more: it bounds the bytes.

        Raises:
            CodecError: it is not what an encoder of this codec writes, or larger than ``limit``
                or than 16384 pixels along an edge.
        """


@dataclass(frozen=True, slots=True)
class LibraryCodec:
    """The checks and the translation of errors, once, around a library's three functions.

    ``to_size`` inspects: it is given the bytes and their quality, and refuses by a ValueError.
    ``channels`` is 3 for pictures in colour, which may come with a fourth channel, and 1 for
    grey ones, ``(height, width, 1)`` (:mod:`p2c2g.media.greys`).
    """

    name: str
    media_type: str
    lossless: bool
    to_bytes: Callable[[Pixels, int], bytes]
    to_pixels: Callable[[Data, Size, Pixels | None], Pixels]
    to_size: Callable[[Data, int], tuple[int, int]]
    channels: int = 3

    def encode(self, pixels: Pixels, quality: int) -> bytes:
        """Check what is given, and have it encoded."""
        if not 1 <= quality <= BEST:
            raise UsageError(f"A quality of {quality} cannot be: give one from 1 to 100.")
        if (
            pixels.ndim != 3
            or pixels.shape[2] not in ((3, 4) if self.channels == 3 else (1,))
            or pixels.dtype != np.uint8
            or not 1 <= min(pixels.shape[:2]) <= max(pixels.shape[:2]) <= MAX_EDGE
        ):
            raise CodecError(
                f"Pixels of {pixels.dtype} in the shape {pixels.shape} cannot be encoded: give "
                f"uint8 in the shape (height, width, {'3 or 4' if self.channels == 3 else 1}), "
                f"edges from 1 to {MAX_EDGE}."
            )
        try:
            return self.to_bytes(pixels, quality)
        except Exception as error:
            size = Size.of(pixels)
            raise CodecError(f"{self.name} cannot encode a picture of {size}: {error}") from error

    def inspect(self, data: Data, *, limit: Size | None = None, quality: int = BEST) -> Size:
        """Have it inspected, and compare its size with what is allowed."""
        try:
            size = Size(*self.to_size(data, quality))
        except Exception as error:
            raise CodecError(f"These {len(data)} bytes are not {self.name}: {error}") from error
        allowed = limit or Size(MAX_EDGE, MAX_EDGE)
        if not (1 <= size.width <= allowed.width and 1 <= size.height <= allowed.height):
            raise CodecError(
                f"This {self.name} claims a size of {size}, where at most {allowed} is allowed."
            )
        return size

    def decode(
        self,
        data: Data,
        out: Pixels | None = None,
        *,
        limit: Size | None = None,
        inspected: Size | None = None,
    ) -> Pixels:
        """Have it decoded, if it may be."""
        size = inspected or self.inspect(data, limit=limit)
        due = (size.height, size.width, self.channels)
        if out is not None and out.shape != due:
            raise CodecError(
                f"This {self.name} is a picture of {size}, which is not the shape {out.shape} that "
                "it is to fill."
            )
        try:
            pixels = self.to_pixels(data, size, out)
        except Exception as error:
            raise CodecError(f"This {self.name} is damaged: {error}") from error
        if pixels.shape != due:
            raise CodecError(f"This {self.name} is not of the size {size} that its header states.")
        if out is None or pixels is out:
            return pixels
        out[:] = pixels
        return out


# -- jpeg


def _jpeg_encode(pixels: Pixels, quality: int) -> bytes:
    if pixels.strides[1:] != (pixels.shape[2], 1):  # rows may be apart, pixels may not
        pixels = np.ascontiguousarray(pixels)
    order = "BGRX" if pixels.shape[2] == 4 else "BGR"
    data: bytes = simplejpeg.encode_jpeg(pixels, quality, order, "420", fastdct=False)
    return data


def _jpeg_decode(data: Data, _size: Size, out: Pixels | None) -> Pixels:
    fits = out is not None and out.flags.c_contiguous and out.flags.writeable
    # The fast inverse DCT wraps around at hard edges: black becomes white, and it is no faster.
    pixels: Pixels = simplejpeg.decode_jpeg(
        data, "BGR", fastdct=False, fastupsample=True, buffer=out if fits else None
    )
    return out if fits and out is not None else pixels


def _jpeg_inspect(data: Data, quality: int) -> tuple[int, int]:
    return jpeg.inspect(data, quality, components=3)


# -- webp, avif and png, by Pillow


def _pillow_encode(format_: str, **options: Any) -> Callable[[Pixels, int], bytes]:
    def encode(pixels: Pixels, quality: int) -> bytes:
        code = cv2.COLOR_BGRA2RGB if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
        stream = io.BytesIO()
        image = Image.fromarray(cv2.cvtColor(pixels, code))
        image.save(stream, format_, quality=quality, **options)
        return stream.getvalue()

    return encode


def _pillow_decode(format_: str) -> Callable[[Data, Size, Pixels | None], Pixels]:
    def decode(data: Data, size: Size, out: Pixels | None) -> Pixels:
        with Image.open(io.BytesIO(data), formats=[format_]) as image:
            if image.size != (size.width, size.height):
                raise ValueError(f"its picture is {image.width}x{image.height}")
            rgb = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
        if out is None or out.strides[1:] != (3, 1):
            return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)
        cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR, dst=out)
        return out

    return decode


def _webp_inspect(data: Data, _quality: int) -> tuple[int, int]:
    return webp.inspect(data)


def _webp_inspect_lossless(data: Data, _quality: int) -> tuple[int, int]:
    return webp.inspect(data, lossless=True)


def _png_inspect(data: Data, _quality: int) -> tuple[int, int]:
    return png.inspect(data, channels=3)


# -- raw: magic, version, width, height, then one lz4 block

_RAW = struct.Struct(">3sBHH")
_RAW_VERSION = 1


def raw(magic: bytes, channels: int) -> LibraryCodec:
    """Return the codec for pixels as they lie in memory, with so many channels."""

    def encode(pixels: Pixels, _quality: int) -> bytes:
        if pixels.shape[2] > channels:
            pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR), np.uint8)
        size = Size.of(pixels)
        packed: bytes = lz4.block.compress(np.ascontiguousarray(pixels).data, store_size=False)
        return _RAW.pack(magic, _RAW_VERSION, size.width, size.height) + packed

    def decode(data: Data, size: Size, _out: Pixels | None) -> Pixels:
        due = size.width * size.height * channels
        packed = memoryview(data)[_RAW.size :]
        plain = lz4.block.decompress(packed, uncompressed_size=due, return_bytearray=True)
        return np.frombuffer(plain, np.uint8).reshape(size.height, size.width, channels)

    def inspect(data: Data, _quality: int) -> tuple[int, int]:
        found, version, width, height = _RAW.unpack_from(data)
        if found != magic or version != _RAW_VERSION:
            raise ValueError(f"it has no header of version {_RAW_VERSION}")
        due, packed = width * height * channels, len(data) - _RAW.size
        # One byte of an lz4 block stands for at most 255, and what cannot be compressed takes
        # one byte more in 255.
        if due > 255 * packed:
            raise ValueError("it is too short for its size")
        if packed > due + due // 255 + 16:
            raise ValueError("it is too long for its size")
        return width, height

    media_type = "application/octet-stream"
    return LibraryCodec("raw", media_type, True, encode, decode, inspect, channels)


def by_name(codecs: Iterable[Codec]) -> dict[str, Codec]:
    """Return a table of codecs."""
    return {codec.name: codec for codec in codecs}


#: Every codec, by name.
CODECS: dict[str, Codec] = by_name(
    (
        LibraryCodec("jpeg", "image/jpeg", False, _jpeg_encode, _jpeg_decode, _jpeg_inspect),
        LibraryCodec(
            "webp",
            "image/webp",
            False,
            _pillow_encode("WEBP", method=0),
            _pillow_decode("WEBP"),
            _webp_inspect,
        ),
        LibraryCodec(
            "avif",
            "image/avif",
            False,
            _pillow_encode("AVIF", speed=10, subsampling="4:2:0"),
            _pillow_decode("AVIF"),
            avif.inspect,
        ),
        LibraryCodec(
            "png",
            "image/png",
            True,
            _pillow_encode("PNG", compress_level=1),
            _pillow_decode("PNG"),
            _png_inspect,
        ),
        raw(b"p2r", 3),
    )
)
#: JPEG as chunks are sent in it (:mod:`p2c2g.media.flat`); anybody's JPEG decoder reads it.
_SOURCE_JPEG: Codec = LibraryCodec(
    "jpeg", "image/jpeg", False, flat.encode, _jpeg_decode, _jpeg_inspect
)
#: WebP without loss, which frames to train on come in; no codec for chunks.
LOSSLESS_WEBP: Codec = LibraryCodec(
    "webp",
    "image/webp",
    True,
    _pillow_encode("WEBP", lossless=True, method=0),
    _pillow_decode("WEBP"),
    _webp_inspect_lossless,
)


def codec(name: str) -> Codec:
    """Return the codec of a name.

    Raises:
        UsageError: there is none; the message lists those known.
    """
    try:
        return CODECS[name]
    except KeyError:
        raise UsageError(f"{name!r} is not a codec: those known are {', '.join(CODECS)}.") from None


def source_codec(name: str) -> Codec:
    """Return the codec in which chunks are sent that say this name.

    Raises:
        UsageError: there is none; the message lists those known.
    """
    return _SOURCE_JPEG if name == _SOURCE_JPEG.name else codec(name)
