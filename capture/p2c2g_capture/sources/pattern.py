"""A moving test picture that shows its own number, to people and to programs.

People read the large digits in the middle.  Programs read the *stamps*: 16 copies of the
number, one in the middle of each cell of a 4 x 4 grid, so that every chunk of a grid of one
to four rows and one to four columns holds at least one whole stamp.

Layout, for a picture of W x H pixels, before or after any scaling::

    unit           W/128 wide and H/72 high: 5 x 5 pixels at 640x360
    stamp (i, j)   10 x 6 units, its middle at ((i + 1/2) W/4, (j + 1/2) H/4), i and j 0 to 3;
                   its outermost units, all around, are black
    bits           the inner 8 x 4 units, row by row from the top left, white 1 and black 0:
                   24 bits of number, most significant first, then 8 bits of its check
    check          CRC-8 of the number's three bytes, most significant first: polynomial
                   0x07, initial value 0, result XOR 0x55 (CRC-8/ITU), so that neither an
                   all-black nor an all-white stamp is a number

    row 1          number bits 23 … 16
    row 2          number bits 15 … 8
    row 3          number bits  7 … 0
    row 4          check bits   7 … 0

Edges are rounded to pixels.  To read a bit, average the pixels whose middles lie in the middle
half of its unit, both ways (one pixel where a unit has less), over all colours: at least 160
is 1, at most 96 is 0, and anything between makes the stamp unreadable, as a blend of two
pictures must be.  ``stamp_layout`` gives these rectangles as data.
"""

from __future__ import annotations

import math
from typing import TypedDict

import cv2
import numpy as np

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g_capture.input.echo import EchoInjector
from p2c2g_capture.input.target import OwnTarget
from p2c2g_capture.sources import Source

DEFAULT_SIZE = Size(640, 360)
#: Smallest picture whose stamps can still be read at half its size after JPEG at quality 50.
MINIMUM = Size(320, 180)
#: Numbers in a stamp wrap around here.
NUMBERS = 1 << 24

_CELLS = 4
_UNITS = Size(128, 72)
_BITS = Size(8, 4)
_WHITE, _BLACK = 160, 96
#: Movement of the background, pixels a picture.
_STEP_X, _STEP_Y = 3, 2


class RectData(TypedDict):
    """A rectangle in pixels, as JSON can hold it."""

    x: int
    y: int
    width: int
    height: int


class StampData(TypedDict):
    """One stamp: its whole rectangle, and for each bit the pixels to average."""

    column: int
    row: int
    cell: RectData
    bits: list[RectData]


def stamp_layout(size: Size) -> list[StampData]:
    """Return where the stamps of a picture of ``size`` are, row by row.

    ``size`` is that of the picture to be read, whatever it was scaled from.  ``bits`` has
    32 rectangles, most significant first: 24 of the number, 8 of its check.
    """
    return [
        {
            "column": column,
            "row": row,
            "cell": _data(_stamp(size, column, row)),
            "bits": [
                _data(_middle(size, column, row, bit % _BITS.width, bit // _BITS.width))
                for bit in range(32)
            ],
        }
        for row in range(_CELLS)
        for column in range(_CELLS)
    ]


def read_numbers(pixels: Pixels) -> list[int | None]:
    """Read the 16 stamps of a picture, row by row; None for each that cannot be read.

    Takes a (height, width, 3 or 4) array of any scale of the pattern.
    """
    # Sums over any rectangle are four look-ups in the integral image.
    weights = np.zeros((1, pixels.shape[2]), np.float32)
    weights[:, :3] = 1 / 3
    grey = cv2.integral(cv2.transform(pixels, weights))
    numbers: list[int | None] = []
    for stamp in stamp_layout(Size.of(pixels)):
        code: int | None = 0
        for bit in stamp["bits"]:
            left, right = bit["x"], bit["x"] + bit["width"]
            top, bottom = bit["y"], bit["y"] + bit["height"]
            total = int(grey[bottom, right]) - int(grey[top, right])
            total += int(grey[top, left]) - int(grey[bottom, left])
            mean = total / (bit["width"] * bit["height"])
            if _BLACK < mean < _WHITE:
                code = None
                break
            code = (code or 0) << 1 | (mean >= _WHITE)
        if code is not None and code & 0xFF != check_of(code >> 8):
            code = None
        numbers.append(None if code is None else code >> 8)
    return numbers


def check_of(number: int) -> int:
    """Return the CRC-8/ITU of the 24-bit number."""
    check = 0
    for byte in number.to_bytes(3, "big"):
        check ^= byte
        for _ in range(8):
            check = (check << 1 ^ 0x07) & 0xFF if check & 0x80 else check << 1
    return check ^ 0x55


class PatternSource(Source):
    """The test picture, drawn for each number; numbers wrap around at 2**24.

    The same number and size give the same pixels, on any machine with the same OpenCV.  While it is
    played, it shows what is pressed, by marks along its lower edge that cover no stamp.
    """

    def __init__(self, size: Size | None = None) -> None:
        """Raise UsageError where the size is too small for stamps that survive scaling."""
        self.size = size or DEFAULT_SIZE
        self.name = "pattern"
        self._echo = EchoInjector()
        if self.size.width < MINIMUM.width or self.size.height < MINIMUM.height:
            raise UsageError(
                f"A pattern of {self.size} is too small to carry its number: "
                f"give at least {MINIMUM}."
            )
        # Twice as wide and high as the picture, so that every window of it is one slice.
        self._background = np.tile(_texture(self.size), (2, 2, 1))
        self._digits = [_digit(value, self.size) for value in range(10)]
        # Rounding may make some stamps a pixel wider; at most sizes all have the same shape.
        self._stamps = [
            (_stamp(self.size, column, row), *_unit_sizes(self.size, column, row))
            for row in range(_CELLS)
            for column in range(_CELLS)
        ]

    def grab(self, number: int) -> Pixels:
        """Draw the picture of ``number``: (height, width, 3)."""
        number %= NUMBERS
        width, height = self.size.width, self.size.height
        x, y = number * _STEP_X % width, number * _STEP_Y % height
        pixels: Pixels = self._background[y : y + height, x : x + width].copy()
        self._draw_digits(pixels, number)
        units = _code_units(number)
        drawn: dict[tuple[tuple[int, ...], tuple[int, ...]], Pixels] = {}
        for cell, columns, rows in self._stamps:
            if (columns, rows) not in drawn:
                stamp = units.repeat(rows, axis=0).repeat(columns, axis=1)
                drawn[columns, rows] = stamp[:, :, np.newaxis]
            cell.of(pixels)[:] = drawn[columns, rows]
        self._echo.draw(pixels)
        return pixels

    def target(self) -> OwnTarget:
        """Return what shows what is pressed."""
        return OwnTarget(self._echo)

    def close(self) -> None:
        """Do nothing: a pattern holds nothing."""

    def _draw_digits(self, pixels: Pixels, number: int) -> None:
        text = f"{number:06d}"
        height, width = self._digits[0].shape[:2]
        x = (self.size.width - width * len(text)) // 2
        y = (self.size.height - height) // 2
        for position, digit in enumerate(text):
            left = x + position * width
            pixels[y : y + height, left : left + width] = self._digits[int(digit)]


def _code_units(number: int) -> Pixels:
    """Return a stamp with one pixel a unit, its black edge included: (6, 10)."""
    code = number << 8 | check_of(number)
    units = np.zeros((_BITS.height + 2, _BITS.width + 2), np.uint8)
    bits = np.unpackbits(np.frombuffer(code.to_bytes(4, "big"), np.uint8))
    units[1:-1, 1:-1] = bits.reshape(_BITS.height, _BITS.width) * 255
    return units


def _unit_sizes(size: Size, column: int, row: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the widths of a stamp's ten columns and the heights of its six rows, in pixels."""
    left, top = _origin(size, column, row)
    unit_x, unit_y = size.width / _UNITS.width, size.height / _UNITS.height
    across = [round(left + edge * unit_x) for edge in range(-1, _BITS.width + 2)]
    down = [round(top + edge * unit_y) for edge in range(-1, _BITS.height + 2)]
    return tuple(np.diff(across).tolist()), tuple(np.diff(down).tolist())


def _stamp(size: Size, column: int, row: int) -> Rect:
    """Return a whole stamp with its black edge, rounded to pixels."""
    left, top = _origin(size, column, row)
    widths, heights = _unit_sizes(size, column, row)
    x = round(left - size.width / _UNITS.width)
    y = round(top - size.height / _UNITS.height)
    return Rect(x, y, sum(widths), sum(heights))


def _origin(size: Size, column: int, row: int) -> tuple[float, float]:
    """Return the top left corner of a stamp's first bit, in pixels."""
    return (
        size.width * ((column + 0.5) / _CELLS - _BITS.width / 2 / _UNITS.width),
        size.height * ((row + 0.5) / _CELLS - _BITS.height / 2 / _UNITS.height),
    )


def _middle(size: Size, column: int, row: int, x: int, y: int) -> Rect:
    """Return the pixels to average for the bit in column x and row y of a stamp."""
    left, top = _origin(size, column, row)
    unit_x, unit_y = size.width / _UNITS.width, size.height / _UNITS.height
    x0, x1 = _span(left + x * unit_x, unit_x)
    y0, y1 = _span(top + y * unit_y, unit_y)
    return Rect(x0, y0, x1 - x0, y1 - y0)


def _span(start: float, length: float) -> tuple[int, int]:
    """Return the pixels whose middles lie in the middle half, or the one in the middle."""
    first = math.ceil(start + length / 4 - 0.5)
    last = math.floor(start + length * 3 / 4 - 0.5)
    if last < first:
        first = last = math.floor(start + length / 2)
    return first, last + 1


def _data(rect: Rect) -> RectData:
    return {"x": rect.x, "y": rect.y, "width": rect.width, "height": rect.height}


def _texture(size: Size) -> Pixels:
    """Return a picture that tiles without a seam: soft waves, hard edges and a little noise."""
    width, height = size.width, size.height
    x = np.arange(width) * (2 * np.pi / width)
    y = np.arange(height)[:, np.newaxis] * (2 * np.pi / height)
    waves = [
        128 + 55 * np.sin(a * x + b * y) + 45 * np.sin(c * x - d * y)
        for a, b, c, d in ((2, 1, 5, 3), (3, 2, 4, 1), (1, 3, 6, 2))
    ]
    picture = np.stack(waves, axis=2).astype(np.uint8)
    random = np.random.default_rng(24)
    for _ in range(40):
        colour = [int(part) for part in random.integers(0, 256, 3)]
        w = int(random.integers(width // 40, width // 8))
        h = int(random.integers(height // 40, height // 8))
        # Away from the edges, where tiling would cut them in two.
        x0, y0 = int(random.integers(0, width - w)), int(random.integers(0, height - h))
        cv2.rectangle(picture, (x0, y0), (x0 + w - 1, y0 + h - 1), colour, -1)
    noise = random.integers(0, 24, picture.shape, dtype=np.uint8)
    return np.asarray(cv2.add(picture, noise), np.uint8)


def _digit(value: int, size: Size) -> Pixels:
    """Return the picture of one digit, white on black, some 1/8 of the frame high."""
    width, height = round(size.width * 0.06), round(size.height * 0.13)
    tile = np.zeros((height, width, 3), np.uint8)
    font = cv2.FONT_HERSHEY_DUPLEX
    (text_width, text_height), _ = cv2.getTextSize(str(value), font, 1.0, 1)
    scale = min(0.72 * width / text_width, 0.72 * height / text_height)
    corner = (
        round((width - text_width * scale) / 2),
        round((height + text_height * scale) / 2),
    )
    thickness = max(1, height // 18)
    cv2.putText(tile, str(value), corner, font, scale, (255, 255, 255), thickness, cv2.LINE_AA)
    return tile
