"""What an AVIF says of itself before it is decoded, read where its decoder reads it.

An AVIF states its size twice: in its boxes, which Pillow reads, and in the AV1 picture inside,
for which the decoder allocates memory.  A stranger may state a small one in the boxes and a huge
one inside.  So this reader insists that both are the same, and on the plain structure of a single
picture as libavif writes it: a file that can be read in only one way hides nothing.  There is one
frame of 8 bits, in grey or 4:2:0, without film grain and without scaling; no grid, sequence,
rotation, profile or metadata.

How long AV1 takes to decode does not follow from its bytes: its filters and predictions cost
most, and a few bytes ask for them.  So size and bytes are all that is bounded here
(docs/reliability.md has what was measured).

Sources: ISO/IEC 23008-12 (boxes), and the AV1 bitstream specification, sections 5.3 to 5.5
(open bitstream units and the sequence header).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_SEQUENCE, _DELIMITER, _FRAME = 1, 2, 6
#: Colours by which AV1 means three planes of the same size.
_IDENTITY = 0x010D00
_META_PARTS = {b"hdlr", b"pitm", b"iloc", b"iinf", b"iprp"}
_PROPERTIES = {b"ispe", b"pixi", b"av1C", b"colr"}
#: Most bytes of everything but the frame; libavif writes 280.
_AROUND = 512
#: Most bytes of a pixel, of blocks of 64x64, at a quality up to this one; noise of black and white
#: takes 1.0, 1.2, 1.5 and 2.2.
_PIXEL, _BLOCK, _MORE = ((75, 1.5), (90, 1.8), (95, 2.2), (100, 3.2)), 64, 1024


def inspect(data: bytes | memoryview, quality: int) -> tuple[int, int]:
    """Return width and height of an AVIF that may be decoded.

    Args:
        data: all of it.
        quality: that of its encoder, or more; 1 to 100.

    Raises:
        ValueError: it is not an AVIF of that kind, or it states two different sizes.
    """
    view = memoryview(data)
    boxes = dict(_boxes(view, 0))
    if list(boxes) != [b"ftyp", b"meta", b"mdat"]:
        raise ValueError("its boxes are not ftyp, meta and mdat")
    parts = dict(_boxes(boxes[b"meta"], 4))
    if parts.keys() != _META_PARTS:
        raise ValueError("its meta box is not that of a single picture")
    start = len(view) - len(boxes[b"mdat"])
    # Version 0, offsets and lengths of four bytes, one item in one extent: all of mdat.
    place = bytes(parts[b"iloc"])
    one = bytes(4) + b"\x44\0\0\1" + place[8:10] + b"\0\0\0\1"
    if place != one + struct.pack(">II", start, len(boxes[b"mdat"])):
        raise ValueError("its picture is not one piece")
    if start > _AROUND or bytes(parts[b"iinf"][4:6]) != b"\0\1":
        raise ValueError("it holds more than a picture")
    stated = _stated(parts[b"iprp"])
    inside = _inside(boxes[b"mdat"])
    if stated != inside:
        raise ValueError(f"it claims {stated[0]}x{stated[1]} and holds {inside[0]}x{inside[1]}")
    pixel = next(most for limit, most in _PIXEL if quality <= limit)
    blocks = -(-inside[0] // _BLOCK) * -(-inside[1] // _BLOCK)
    most = _MORE + int(pixel * _BLOCK * _BLOCK * blocks)
    if len(view) > most:
        raise ValueError(f"it is longer than {most} bytes, which is more than its picture takes")
    return inside


def _boxes(data: memoryview, begin: int) -> Iterator[tuple[bytes, memoryview]]:
    """Yield kind and body of each box from ``begin``; a kind may occur once.

    Raises:
        ValueError: a box is cut short, too long or there twice.
    """
    seen: set[bytes] = set()
    while begin < len(data):
        if len(data) - begin < 8:
            raise ValueError("a box is cut short")
        length, kind = struct.unpack_from(">I4s", data, begin)
        end = begin + length
        if length < 8 or end > len(data) or kind in seen:
            raise ValueError("a box is longer than the file, or there twice")
        seen.add(kind)
        yield kind, data[begin + 8 : end]
        begin = end


def _stated(parts: memoryview) -> tuple[int, int]:
    """Return the size among the properties of the one item."""
    boxes = dict(_boxes(parts, 0))
    properties = dict(_boxes(boxes[b"ipco"], 0)) if list(boxes) == [b"ipco", b"ipma"] else {}
    if not {b"ispe", b"av1C"} <= properties.keys() <= _PROPERTIES:
        raise ValueError("its properties are not those of a plain picture")
    if bytes(properties.get(b"colr", b"nclx")[:4]) != b"nclx":
        raise ValueError("it has a profile")
    if len(properties[b"ispe"]) != 12:
        raise ValueError("it does not state its size")
    width, height = struct.unpack_from(">II", properties[b"ispe"], 4)
    return width, height


def _inside(units: memoryview) -> tuple[int, int]:
    """Return the size in the sequence header of a picture's units."""
    found: list[int] = []
    size, begin = (0, 0), 0
    while begin < len(units) and len(found) < 3:
        head = units[begin]
        # Bits: 0, type of four, no extension, with a size, 0.
        if head & 0b1000_0111 != 0b0000_0010:
            raise ValueError("a unit of its picture has no size of its own")
        length, begin = _leb128(units, begin + 1)
        kind, end = head >> 3, begin + length
        if end > len(units):
            raise ValueError("a unit of its picture is cut short")
        if kind == _SEQUENCE:
            size = _sequence(bytes(units[begin : min(end, begin + 32)]))
        found.append(kind)
        begin = end
    if begin != len(units) or found not in ([_DELIMITER, _SEQUENCE, _FRAME], [_SEQUENCE, _FRAME]):
        raise ValueError("its picture is not a header and one frame")
    return size


def _leb128(data: memoryview, begin: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, lowest first, and where it ends."""
    value = 0
    for place, byte in enumerate(data[begin : begin + 5]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, begin + place + 1
    raise ValueError("a unit's size is cut short")


def _sequence(data: bytes) -> tuple[int, int]:
    """Return the size in a sequence header; only a still picture's short form is accepted.

    In that form no frame can override the size.
    """
    bits = _Bits(data)
    if bits.take(3) or not bits.take(1) or not bits.take(1):
        raise ValueError("it is not a still picture's AV1 in grey or 4:2:0")
    bits.take(5)  # level
    across, down = bits.take(4) + 1, bits.take(4) + 1
    size = bits.take(across) + 1, bits.take(down) + 1
    bits.take(3)  # large blocks, intra filter, intra edge filter
    if bits.take(1):
        raise ValueError("its picture is scaled")
    bits.take(2)  # CDEF, restoration
    if bits.take(1):
        raise ValueError("its picture has more than 8 bits")
    is_grey, is_described = bits.take(1), bits.take(1)
    colours = bits.take(24) if is_described else None
    if not is_grey and colours == _IDENTITY:
        raise ValueError("its picture is not in 4:2:0")
    bits.take(1 if is_grey else 4)  # range; where chroma is, and whether it is quantised apart
    if bits.take(1):
        raise ValueError("its picture has film grain")
    return size


class _Bits:
    """Numbers of so many bits, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._bits, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("its sequence header is cut short")
        return self._bits >> self._left & ((1 << count) - 1)
