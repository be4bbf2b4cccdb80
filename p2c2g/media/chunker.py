"""Frames into chunks: where to cut so that the joins cannot be seen.

A chunk is sent with a halo as wide as its operations need, and begins where every step begins
on a whole pixel, so that its pixels equal those of the whole frame processed at once.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from p2c2g.errors import UsageError
from p2c2g.media.frame import Chunk, Pixels, Rect, Size
from p2c2g.media.operations import Plan, scaled

#: Most rows, and most columns, of a grid.
MAX_GRID = 64


@dataclass(frozen=True, slots=True)
class Grid:
    """Into how many rows and columns of chunks a frame is cut."""

    rows: int
    cols: int

    def __str__(self) -> str:
        return f"{self.rows}x{self.cols}"

    @classmethod
    def parse(cls, text: str) -> Grid:
        """Read ``ROWSxCOLUMNS``.

        Raises:
            UsageError: it is not two whole numbers from 1 to 64.
        """
        match = re.fullmatch(r"(\d{1,2})[xX×](\d{1,2})", text.strip(), re.ASCII)
        grid = cls(int(match[1]), int(match[2])) if match else None
        if grid is None or not (1 <= grid.rows <= MAX_GRID and 1 <= grid.cols <= MAX_GRID):
            raise UsageError(
                f"{text!r} is not a grid: give ROWSxCOLUMNS, each from 1 to {MAX_GRID}, such "
                "as 2x1 for two chunks, one above the other."
            )
        return grid


@dataclass(frozen=True, slots=True)
class _Axis:
    """One direction of a plan: lengths in pixels, before and after processing."""

    length: int
    output: int
    scale: Fraction
    align: int
    halo: int

    @property
    def finest(self) -> int:
        """Into how many parts it can be cut, each with at least one pixel after processing."""
        return math.ceil(self.output / (self.align * self.scale))

    def spans(self, parts: int) -> list[tuple[int, int]]:
        """Cut the length into ``parts``, each begin the aligned one nearest to an even cut."""
        finest = self.finest
        begins = []
        for part in range(parts):
            even = scaled(part * self.length, Fraction(1, parts * self.align))
            # Leave one unit for each part before and after this one.
            begins.append(self.align * min(max(even, part), finest - (parts - part)))
        return list(pairwise([*begins, self.length]))

    def place(self, begin: int, end: int) -> tuple[int, int, int, int, int]:
        """Return the padded begin and end, the crop's begin, and the target's begin and end."""
        low, high = max(0, begin - self.halo), min(self.length, end + self.halo)
        target_end = self.output if end == self.length else int(end * self.scale)
        return low, high, int((begin - low) * self.scale), int(begin * self.scale), target_end


def plan_chunks(plan: Plan, grid: Grid) -> tuple[Chunk, ...]:
    """Return the chunks of every frame of a session, row by row.

    Their rectangles cover the frame without overlap, as evenly as ``plan.align`` allows; their
    targets cover the output in the same way.

    Raises:
        UsageError: the grid is finer than the frame or its alignment allows.
    """
    source, output = plan.source, plan.output
    across = _Axis(source.width, output.width, plan.scale_x, plan.align[0], plan.halo[0])
    down = _Axis(source.height, output.height, plan.scale_y, plan.align[1], plan.halo[1])
    if grid.rows > down.finest or grid.cols > across.finest:
        finest = Grid(min(down.finest, MAX_GRID), min(across.finest, MAX_GRID))
        raise UsageError(
            f"A grid of {grid} is too fine for frames of {source} that become {output}, where "
            f"chunks begin at multiples of {plan.align[0]} pixels across and {plan.align[1]} "
            f"down: {finest} is the finest."
        )
    chunks: list[Chunk] = []
    for top, bottom in down.spans(grid.rows):
        low_y, high_y, crop_y, target_y, target_bottom = down.place(top, bottom)
        for left, right in across.spans(grid.cols):
            low_x, high_x, crop_x, target_x, target_right = across.place(left, right)
            size = Size(target_right - target_x, target_bottom - target_y)
            chunks.append(
                Chunk(
                    index=len(chunks),
                    rect=Rect(left, top, right - left, bottom - top),
                    padded=Rect(low_x, low_y, high_x - low_x, high_y - low_y),
                    crop=Rect(crop_x, crop_y, size.width, size.height),
                    target=Rect(target_x, target_y, size.width, size.height),
                )
            )
    return tuple(chunks)


def cut(pixels: Pixels, chunk: Chunk) -> Pixels:
    """Return what is sent of a frame for ``chunk``: its ``padded``, as a view."""
    return chunk.padded.of(pixels)
