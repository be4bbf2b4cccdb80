"""The size of an AVIF picture, read where its decoder reads it.

An AVIF states its size twice: in its boxes, which Pillow reads, and in the AV1 picture inside,
for which the decoder allocates memory.  A stranger may state a small one in the boxes and a huge
one inside.  So this reader insists that both are the same, and on the plain structure of a single
picture as libavif writes it: a file that can be read in only one way hides nothing.

Sources: ISO/IEC 23008-12 (boxes), and the AV1 bitstream specification, sections 5.3 to 5.5
(open bitstream units and the sequence header).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_SEQUENCE_HEADER = 1
#: Temporal delimiter, frame header, tile group, metadata, frame, padding.
_OTHER_UNITS = {2, 3, 4, 5, 6, 15}
_META_PARTS = {b"hdlr", b"pitm", b"iloc", b"iinf", b"iprp"}


def size_of(data: bytes | memoryview) -> tuple[int, int]:
    """Return width and height of an AVIF of one still picture.

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
    stated = _stated(parts[b"iprp"])
    inside = _inside(boxes[b"mdat"])
    if stated != inside:
        raise ValueError(f"it claims {stated[0]}x{stated[1]} and holds {inside[0]}x{inside[1]}")
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


def _stated(properties: memoryview) -> tuple[int, int]:
    """Return the size in the one ``ispe`` box."""
    for kind, body in _boxes(properties, 0):
        if kind == b"ipco":
            sizes = [part for name, part in _boxes(body, 0) if name == b"ispe"]
            if len(sizes) == 1 and len(sizes[0]) == 12:
                width, height = struct.unpack_from(">II", sizes[0], 4)
                return width, height
    raise ValueError("it does not state its size")


def _inside(units: memoryview) -> tuple[int, int]:
    """Return the size in the one sequence header among a picture's units."""
    found: tuple[int, int] | None = None
    begin = 0
    while begin < len(units):
        head = units[begin]
        # Bits: 0, type of four, no extension, with a size, 0.
        if head & 0b1000_0111 != 0b0000_0010:
            raise ValueError("a unit of its picture has no size of its own")
        length, begin = _leb128(units, begin + 1)
        kind, end = head >> 3, begin + length
        if end > len(units):
            raise ValueError("a unit of its picture is cut short")
        if kind == _SEQUENCE_HEADER and found is None:
            found = _sequence(bytes(units[begin : min(end, begin + 16)]))
        elif kind not in _OTHER_UNITS:
            raise ValueError("its picture has a unit that is not a still picture's")
        begin = end
    if found is None:
        raise ValueError("its picture has no sequence header")
    return found


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

    In that form no frame can override the size.  Bits: profile 3, still 1, short 1, level 5,
    then how many bits, less one, width and height have, 4 each, then these, less one.
    """
    bits, most = int.from_bytes(data, "big"), 8 * len(data)

    def take(begin: int, count: int) -> int:
        if begin + count > most:
            raise ValueError("its sequence header is cut short")
        return bits >> (most - begin - count) & ((1 << count) - 1)

    if take(3, 2) != 0b11:
        raise ValueError("it is not a still picture's AV1")
    across, down = take(10, 4) + 1, take(14, 4) + 1
    return take(18, across) + 1, take(18 + across, down) + 1
