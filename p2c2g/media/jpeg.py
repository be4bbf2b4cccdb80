"""What a JPEG says of itself before it is decoded; any but a plain baseline one is refused.

A progressive JPEG may go over its picture again and again: a megabyte of repeated scans took
34 to 127 s to decode.  So only what baseline encoders write is decoded: one picture of 8 bits in
one scan, whose tables are sound, whose markers all have their place, and which is no longer than
its number of blocks explains.  Then one pass over the picture is all that a decoder can be made to
do.

Source: ITU-T T.81, annex B (markers) and C (Huffman tables).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from functools import lru_cache

_START, _END = b"\xff\xd8", b"\xff\xd9"
_APP0, _COMMENT, _TABLES, _HUFFMAN, _INTERVAL, _FRAME, _SCAN = (
    0xE0, 0xFE, 0xDB, 0xC4, 0xDD, 0xC0, 0xDA,
)  # fmt: skip
#: In a scan 0xff is followed by a zero, which means 0xff itself, or by a restart marker.
_MARKER = re.compile(rb"\xff[^\x00]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_NO_RESTART = re.compile(rb"\xff[^\x00\xd0-\xd7]")
#: Most segments before the scan; a JPEG in colour has nine at most.
_MAX_SEGMENTS = 16
#: Most bytes of a file's name and version (JFIF), and of comments.
_MAX_NOTES = 256
#: Most bytes of a segment of Huffman tables: four, of one byte's values each.
_MAX_CODES = 4 * (17 + 256)
#: Luma's sampling across and down; that of colours is 1.  4:4:4, 4:2:2, 4:4:0, 4:2:0, 4:1:1, 4:4:1.
_SAMPLINGS = {(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 4)}
#: Bytes for markers and tables.
_HEAD = 1024
#: Most bytes of a block of 8x8 at a quality up to this one; twice what noise takes.  The last is
#: more than any picture takes by the standard's tables: 63 coefficients of 10 and 8 bits, of which
#: an encoder can have no more for the energy of a block, and one byte in ten doubled.
_BLOCK = ((75, 80), (90, 104), (95, 124), (100, 160))


@dataclass(slots=True)
class _Seen:
    """What came before the scan."""

    size: tuple[int, int] | None = None
    samplings: dict[int, tuple[int, int]] = field(default_factory=dict)
    quantisers: dict[int, int] = field(default_factory=dict)  # table of each component
    tables: set[int] = field(default_factory=set)
    codes: set[int] = field(default_factory=set)
    interval: int | None = None
    notes: int = 0


def inspect(data: bytes | memoryview, quality: int, *, components: int) -> tuple[int, int]:
    """Return width and height of a JPEG that may be decoded.

    Args:
        data: all of it.
        quality: that of its encoder, or more; 1 to 100.
        components: 3 for colour and 1 for grey.

    Raises:
        ValueError: it is not a JPEG of that kind.
    """
    if not isinstance(data, bytes):
        data = bytes(data)
    if data[:2] != _START or data[-2:] != _END:
        raise ValueError("it does not begin and end as a JPEG does")
    seen, place = _Seen(), 2
    for _ in range(_MAX_SEGMENTS):
        mark, kind, length = struct.unpack_from(">BBH", data, place)
        body = data[place + 4 : place + 2 + length]
        if mark != 0xFF or len(body) != length - 2:
            raise ValueError("a segment is cut short")
        place += 2 + length
        if kind == _SCAN:
            return _scan(data, place, body, seen, quality, components)
        reader = _READERS.get(kind)
        if reader is None:
            raise ValueError(f"its segment {kind:#x} is none of a plain baseline JPEG's")
        reader(body, seen)
    raise ValueError("it has too many segments")


def _note(body: bytes, seen: _Seen) -> None:
    seen.notes += len(body)
    if seen.notes > _MAX_NOTES:
        raise ValueError("its comments are too long")


def _quantisers(body: bytes, seen: _Seen) -> None:
    if len(body) % 65 or not body:
        raise ValueError("a table of quantisers is not of 8 bits")
    for begin in range(0, len(body), 65):
        number = body[begin]
        if number > 3 or number in seen.tables or 0 in body[begin + 1 : begin + 65]:
            raise ValueError("a table of quantisers is wrong or there twice")
        seen.tables.add(number)


def _huffman(body: bytes, seen: _Seen) -> None:
    found = _codes(body) if len(body) <= _MAX_CODES else ()
    if not found or not seen.codes.isdisjoint(found) or len(set(found)) != len(found):
        raise ValueError("a Huffman table is too long, or there twice")
    seen.codes.update(found)


@lru_cache(maxsize=64)  # nearly every JPEG in colour has the same four
def _codes(body: bytes) -> tuple[int, ...]:
    """Return the numbers of the Huffman tables in a segment.

    Raises:
        ValueError: one is not sound.
    """
    found, begin = [], 0
    while begin < len(body):
        number, counts = body[begin], body[begin + 1 : begin + 17]
        end = begin + 17 + sum(counts)
        if number not in (0, 1, 0x10, 0x11) or end > len(body):
            raise ValueError("a Huffman table is cut short")
        # Of each length there are so many codes, and the one of ones alone stays unused.
        room = 1
        for count in counts:
            room = 2 * room - count
            if room < 1:
                raise ValueError("a Huffman table has more codes than there are")
        values = body[begin + 17 : end]
        if not values or (number < 0x10 and max(values) > 11) or len(set(values)) != len(values):
            raise ValueError("a Huffman table has values that cannot be")
        found.append(number)
        begin = end
    return tuple(found)


def _interval(body: bytes, seen: _Seen) -> None:
    if len(body) != 2 or seen.interval is not None:
        raise ValueError("its restart interval is wrong or there twice")
    (seen.interval,) = struct.unpack(">H", body)


def _frame(body: bytes, seen: _Seen) -> None:
    if seen.size is not None or len(body) < 6:
        raise ValueError("it has two pictures, or a wrong one")
    bits, height, width, count = struct.unpack_from(">BHHB", body)
    if bits != 8 or not (width and height) or count not in (1, 3) or len(body) != 6 + 3 * count:
        raise ValueError("its picture is not one of 8 bits with one or three components")
    seen.size = width, height
    for begin in range(6, len(body), 3):
        name, sampling, table = body[begin : begin + 3]
        seen.samplings[name] = sampling >> 4, sampling & 15
        seen.quantisers[name] = table
    luma, *colours = seen.samplings.values()
    if (
        len(seen.samplings) != count
        or luma not in _SAMPLINGS
        or any(each != (1, 1) for each in colours)
    ):
        raise ValueError("its components are not sampled as ours are")


_READERS = {
    _APP0: _note, _COMMENT: _note, _TABLES: _quantisers, _HUFFMAN: _huffman,
    _INTERVAL: _interval, _FRAME: _frame,
}  # fmt: skip


def _scan(
    data: bytes, begin: int, body: bytes, seen: _Seen, quality: int, components: int
) -> tuple[int, int]:
    """Check the one scan, from its header to the end of the data; return the picture's size."""
    if seen.size is None or len(seen.samplings) != components:
        raise ValueError(f"its picture has not the {components} components that are due")
    if not set(seen.quantisers.values()) <= seen.tables:
        raise ValueError("a table of quantisers is missing")
    names, chosen = body[1 : 1 + 2 * components : 2], body[2 : 2 + 2 * components : 2]
    # All of the components at once, and of each all coefficients with all their bits.
    if (
        body[:1] != bytes([components])
        or names != bytes(seen.samplings)
        or body[1 + 2 * components :] != b"\0\x3f\0"
    ):
        raise ValueError("its scan is not the whole picture")
    if not {code for each in chosen for code in (each >> 4, 0x10 | each & 15)} <= seen.codes:
        raise ValueError("a Huffman table is missing")
    width, height = seen.size
    # By itself a component goes block by block, however it says that it is sampled.
    across, down = next(iter(seen.samplings.values())) if components > 1 else (1, 1)
    units = -(-width // (8 * across)) * -(-height // (8 * down))
    block = next(most for limit, most in _BLOCK if quality <= limit)
    restarts = -(-units // seen.interval) - 1 if seen.interval else 0
    most = _HEAD + 2 * restarts + block * units * (across * down + components - 1)
    if len(data) > most:
        raise ValueError(f"it is longer than {most} bytes, which is more than its picture takes")
    last = (_NO_RESTART if restarts else _MARKER).search(data, begin)
    if last is None or last.start() != len(data) - 2:
        raise ValueError("its scan is not the last")
    if restarts and sum(1 for _ in _RESTART.finditer(data, begin)) > restarts:
        raise ValueError("its scan restarts more often than it may")
    return width, height
