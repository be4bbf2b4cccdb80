"""What a WebP says of itself before it is decoded; any but a plain lossy picture is refused.

The container also holds animations, profiles, metadata and an alpha channel.  Chunks and results
have none of these: one chunk "VP8 ", with one key frame, is all that is decoded.

VP8L, without loss, is for who has minutes (the frames to train on): a stranger can have a table
made for every 16 pixels.

Sources: RFC 9649 (container and VP8L) and RFC 6386, section 9.1 (frame header).
"""

from __future__ import annotations

import struct

_AROUND = struct.Struct("<4sI4s4sI")
_LOSSY = struct.Struct("<3s3sHH")
_LOSSLESS = struct.Struct("<BI")
#: Most bytes of a pixel, of macroblocks of 16x16; noise of black and white takes 3.2 at a quality
#: of 100, and libwebp's fastest method sometimes no less at lower ones.
_PIXEL, _BLOCK, _MORE = 4, 16, 1024


def inspect(data: bytes | memoryview, *, lossless: bool = False) -> tuple[int, int]:
    """Return width and height of a WebP that may be decoded.

    Args:
        data: all of it.
        lossless: whether it is VP8L that is due.

    Raises:
        ValueError: it is not a WebP of that kind.
    """
    if len(data) < _AROUND.size + _LOSSY.size:
        raise ValueError("it is too short for a WebP header")
    riff, whole, webp, kind, length = _AROUND.unpack_from(data)
    if (riff, webp, kind) != (b"RIFF", b"WEBP", b"VP8L" if lossless else b"VP8 "):
        raise ValueError("it is not a single picture of the kind that is due")
    if len(data) != whole + 8 or whole - 12 != length + length % 2:
        raise ValueError("its picture is not all of it")
    width, height = _lossless(data) if lossless else _lossy(data, length)
    blocks = -(-width // _BLOCK) * -(-height // _BLOCK)
    most = _MORE + _PIXEL * _BLOCK * _BLOCK * blocks
    if len(data) > most:
        raise ValueError(f"it is longer than {most} bytes, which is more than its picture takes")
    return width, height


def _lossy(data: bytes | memoryview, length: int) -> tuple[int, int]:
    tag, start, width, height = _LOSSY.unpack_from(data, _AROUND.size)
    bits = int.from_bytes(tag, "little")
    # Bits: 0 for a key frame, version of three, shown, then the length of the first part.
    if (
        start != b"\x9d\x01\x2a"
        or bits & 1
        or bits >> 1 & 7 > 3
        or not bits >> 4 & 1
        or (bits >> 5) + _LOSSY.size > length
    ):
        raise ValueError("its frame is not one that is shown by itself")
    if not (width and height) or (width | height) > 0x3FFF:
        raise ValueError("its picture is empty, or to be scaled")
    return width, height


def _lossless(data: bytes | memoryview) -> tuple[int, int]:
    mark, bits = _LOSSLESS.unpack_from(data, _AROUND.size)
    # Bits: width and height, less one, of 14; whether there is alpha; version of three.
    if mark != 0x2F or bits >> 29:
        raise ValueError("its picture is of no known version")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
