"""What a PNG says of itself before it is decoded; any but the plainest is refused.

Only header, pixels and end are decoded, as encoders of ours write them: no animation, no
interlacing, no palette, no profile, no texts (which may be compressed).

Source: Portable Network Graphics (third edition), section 11.
"""

from __future__ import annotations

import struct

_START = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_CHUNK = struct.Struct(">I4s")
#: Bytes of a chunk beside its body: length, kind, checksum.
_AROUND = 12
#: Fewest bytes of a chunk of pixels, but for the last: encoders write 8192 and more.
_PIECE = 4096


def inspect(data: bytes | memoryview, *, channels: int) -> tuple[int, int]:
    """Return width and height of a PNG that may be decoded.

    Args:
        data: all of it.
        channels: 3 for colour and 1 for grey, of 8 bits each.

    Raises:
        ValueError: it is not a PNG of that kind.
    """
    view = memoryview(data)
    if len(view) < len(_START) + _CHUNK.size or bytes(view[: len(_START)]) != _START:
        raise ValueError("it has no PNG header")
    head, place = _chunk(view, len(_START), b"IHDR")
    if len(head) != _HEADER.size:
        raise ValueError("its header has a wrong length")
    width, height, *kind = _HEADER.unpack(head)
    # Bits, colour type, and the only ways of compressing, filtering and ordering.
    if not (width and height) or kind != [8, 2 if channels == 3 else 0, 0, 0, 0]:
        raise ValueError(f"it is not a plain picture of {channels} x 8 bits")
    rows = height * (width * channels + 1)
    # What deflate cannot compress it stores, in blocks with five bytes more.
    most = rows + rows // 1000 + 64 + _AROUND * (rows // _PIECE)
    if len(view) - place > most:
        raise ValueError(f"it is longer than {most} bytes, which is more than its picture takes")
    piece = None
    while piece is None or bytes(view[place + 4 : place + 8]) == b"IDAT":
        if piece is not None and len(piece) < _PIECE:
            raise ValueError("its pixels are in too many pieces")
        piece, place = _chunk(view, place, b"IDAT")
    end, place = _chunk(view, place, b"IEND")
    if len(end) or place != len(view):
        raise ValueError("something follows its picture")
    return width, height


def _chunk(view: memoryview, begin: int, due: bytes) -> tuple[memoryview, int]:
    """Return the body of the chunk that begins there, and where the next one does."""
    if len(view) - begin < _AROUND:
        raise ValueError(f"its {due.decode()} is missing")
    length, kind = _CHUNK.unpack_from(view, begin)
    end = begin + _AROUND + length
    if kind != due or end > len(view):
        raise ValueError(f"its {due.decode()} is missing or cut short")
    return view[begin + _CHUNK.size : end - 4], end
