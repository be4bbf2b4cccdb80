"""How pixels become bytes: a codec is a name, three functions and one promise.

The promise is that bytes from a stranger do no harm.  The size is read from the header alone
and compared with what is allowed before memory is allocated for pixels; whatever is wrong with
the bytes raises a ``CodecError``.

========  =======================  =========================================================
jpeg      simplejpeg, 4:2:0        the one for 60 frames a second
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
from p2c2g.media import avif
from p2c2g.media.frame import MAX_EDGE, Pixels, Size

Data = bytes | memoryview


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

    def decode(self, data: Data, out: Pixels | None = None, *, limit: Size | None = None) -> Pixels:
        """Return ``(height, width, 3)`` BGR pixels, ``out`` itself where it is given.

        Raises:
            CodecError: the bytes are not a picture of this codec, or its size is not that of
                ``out`` or exceeds ``limit``.
        """

    def size_of(self, data: Data, *, limit: Size | None = None) -> Size:
        """Return the size that the header states; nothing is decoded.

        Raises:
            CodecError: there is no such header, or it states more than ``limit`` or than
                16384 pixels along an edge.
        """


@dataclass(frozen=True, slots=True)
class LibraryCodec:
    """The checks and the translation of errors, once, around a library's three functions.

    ``channels`` is 3 for pictures in colour, which may come with a fourth channel, and 1 for
    grey ones, ``(height, width, 1)`` (:mod:`p2c2g.media.greys`).
    """

    name: str
    media_type: str
    lossless: bool
    to_bytes: Callable[[Pixels, int], bytes]
    to_pixels: Callable[[Data, Size, Pixels | None], Pixels]
    to_size: Callable[[Data], tuple[int, int]]
    channels: int = 3

    def encode(self, pixels: Pixels, quality: int) -> bytes:
        """Check what is given, and have it encoded."""
        if not 1 <= quality <= 100:
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

    def size_of(self, data: Data, *, limit: Size | None = None) -> Size:
        """Read the header, and compare it with what is allowed."""
        try:
            size = Size(*self.to_size(data))
        except Exception as error:
            raise CodecError(f"These {len(data)} bytes are not {self.name}: {error}") from error
        allowed = limit or Size(MAX_EDGE, MAX_EDGE)
        if not (1 <= size.width <= allowed.width and 1 <= size.height <= allowed.height):
            raise CodecError(
                f"This {self.name} claims a size of {size}, where at most {allowed} is allowed."
            )
        return size

    def decode(self, data: Data, out: Pixels | None = None, *, limit: Size | None = None) -> Pixels:
        """Have it decoded, if its size may be."""
        size = self.size_of(data, limit=limit)
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


def jpeg_size(data: Data) -> tuple[int, int]:
    """Read a JPEG's header."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    return width, height


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


def webp_size(data: Data) -> tuple[int, int]:
    """Read the three kinds of WebP header (RFC 9649): Pillow opens a decoder to do so."""
    head = bytes(data[:30])
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        raise ValueError("it has no WebP header")
    if head[12:16] == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if head[12:16] == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[12:16] == b"VP8X":
        return (
            int.from_bytes(head[24:27], "little") + 1,
            int.from_bytes(head[27:30], "little") + 1,
        )
    raise ValueError("its WebP header is of no known kind")


def png_size(data: Data) -> tuple[int, int]:
    """Read a PNG's header."""
    head = bytes(data[:24])
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        raise ValueError("it has no PNG header")
    width, height = struct.unpack(">II", head[16:])
    return width, height


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
        # One byte of an lz4 block stands for at most 255: a shorter block cannot hold the size
        # that it states, and is refused before memory is allocated.
        if due > 255 * len(packed):
            raise ValueError("it is too short for its size")
        plain = lz4.block.decompress(packed, uncompressed_size=due, return_bytearray=True)
        return np.frombuffer(plain, np.uint8).reshape(size.height, size.width, channels)

    def size_of(data: Data) -> tuple[int, int]:
        found, version, width, height = _RAW.unpack_from(data)
        if found != magic or version != _RAW_VERSION:
            raise ValueError(f"it has no header of version {_RAW_VERSION}")
        return width, height

    media_type = "application/octet-stream"
    return LibraryCodec("raw", media_type, True, encode, decode, size_of, channels)


def by_name(codecs: Iterable[Codec]) -> dict[str, Codec]:
    """Return a table of codecs."""
    return {codec.name: codec for codec in codecs}


#: Every codec, by name.
CODECS: dict[str, Codec] = by_name(
    (
        LibraryCodec("jpeg", "image/jpeg", False, _jpeg_encode, _jpeg_decode, jpeg_size),
        LibraryCodec(
            "webp",
            "image/webp",
            False,
            _pillow_encode("WEBP", method=0),
            _pillow_decode("WEBP"),
            webp_size,
        ),
        LibraryCodec(
            "avif",
            "image/avif",
            False,
            _pillow_encode("AVIF", speed=10, subsampling="4:2:0"),
            _pillow_decode("AVIF"),
            avif.size_of,
        ),
        LibraryCodec(
            "png",
            "image/png",
            True,
            _pillow_encode("PNG", compress_level=1),
            _pillow_decode("PNG"),
            png_size,
        ),
        raw(b"p2r", 3),
    )
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
