"""The base layer: what the gamer's own machine makes of a frame, without anybody's help.

Frames are enlarged by bicubic filters and back-projected (:mod:`p2c2g.media.kernels`)::

    base = up(frame) + up(frame - down(up(frame)))

one axis after the other.  Where both grow by whole numbers, what is left of the error is taken
out too: base, scaled down by area, *is* the frame, to half a level.  Each old pixel becomes a
block whose mean is that pixel, and where a block would leave 0 to 255, its detail shrinks until
it fits.  An axis that shrinks is scaled by area; one that stays is left alone.

All of it is integers, with units and roundings that are stated here, so that peers, sessions,
training and the browser agree to the level, and a chunk with :func:`reach` pixels around it has
the very pixels of the whole frame.  With ``d`` the weights of a phase and ``[ ]`` rounding down::

    x     = d_x * frame       along the row, and so what is added there
    y     = d_y * frame       along the column
    xy    = d_y * [x]         along the column, of x in 8ths, or as fine as fits in 16 bits
    base  = [frame + [x] + [y] + [xy] + 1/2]     the three in 16ths

Of an axis with a whole factor, each of the four roundings of details is for the last phase the
negative sum of those of the others.  That keeps a block's mean exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import reduce
from itertools import cycle
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from p2c2g.media.frame import Pixels, Size
from p2c2g.media.kernels import Kernel, Taps, kernel

_Whole = NDArray[np.signedinteger[Any]]

_SHORT = 32_767
#: Most 16ths, with half a level more, that are still 255.
_TOP = 16 * 256 - 1
#: Channels of OpenCV at most, in any release.
_CHANNELS = 128
#: Phases of a row that are carried side by side; more than that are put together at once.
_BESIDE = 8
#: New pixels in a band of rows: what is made of it on the way stays in the cache.
_BAND = 1 << 18
#: One in so many blocks, and it is worth looking for them one by one.
_FEW = 16


def reach(scale: Fraction) -> int:
    """Return how many source pixels beyond a chunk its base looks, along one axis."""
    return kernel(scale).reach


def is_exact(scale_x: Fraction, scale_y: Fraction) -> bool:
    """Tell whether the base, scaled down by area, is the frame to half a level."""
    return kernel(scale_x).is_whole and kernel(scale_y).is_whole


def base(
    pixels: Pixels, scale_x: Fraction, scale_y: Fraction, size: Size, out: Pixels | None = None
) -> Pixels:
    """Return the base layer of a frame, or of the padded part of a chunk.

    Args:
        pixels: ``(height, width, 3 or 4)`` uint8, BGR, or ``(height, width)``, one plane such as
            luma; a view will do.
        scale_x: the whole pipeline's, across; a part has to begin where its plan is aligned.
        scale_y: the same, down.
        size: of the result, as the pipeline would give it.
        out: is filled, where it is given: of the result's shape, each row in one piece.

    Returns:
        ``(size.height, size.width, 3)`` uint8, BGR; of a plane, ``(size.height, size.width)``.
    """
    if out is None:
        out = np.empty((size.height, size.width, 3)[: pixels.ndim], np.uint8)
    if scale_x == scale_y == 1 and Size.of(pixels) == size:
        out[:] = pixels[..., :3] if pixels.ndim == 3 else pixels
        return out
    if pixels.shape[2:] == (4,):
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR), np.uint8)
    _Scaler(kernel(scale_x), kernel(scale_y), size).run(pixels, out)
    return out


#: Gives, of each period of old pixels, the one at a place relative to its first.
_View = Callable[[int], _Whole]


def rest_bits(across: Kernel, down: Kernel) -> int:
    """Return how many bits behind the point what was added along a row takes down."""
    return next((n for n in (3, 2, 1) if (_most(across) << n) * down.heaviest <= _SHORT), 0)


def _most(across: Kernel) -> int:
    """Return the most levels that are added along a row."""
    return (255 * across.heaviest // 2 >> across.bits) + 1


class _Scaler:
    """Old pixels to new ones, a band of rows at a time.

    A band is ``(rows, colours * columns)``: of each row the colours side by side, each with its
    border.  So a step aside, or down, is a step in memory, and numpy runs over whole bands.
    What a row's filter makes of the borders means nothing and is cut off in the end.
    """

    def __init__(self, across: Kernel, down: Kernel, size: Size) -> None:
        self._across, self._down, self._size = across, down, size
        self._most, self._rest = _most(across), rest_bits(across, down)

    def run(self, pixels: Pixels, result: Pixels) -> None:
        across, down, size = self._across, self._down, self._size
        wide, tall = -(-size.width // across.outputs), -(-size.height // down.outputs)
        right = max(0, across.inputs * wide + across.after - pixels.shape[1])
        right += -(across.before + pixels.shape[1] + right) % across.inputs
        bottom = max(0, down.inputs * tall + down.after - pixels.shape[0])
        border = (down.before, bottom, across.before, right)
        padded = np.asarray(cv2.copyMakeBorder(pixels, *border, cv2.BORDER_REPLICATE), np.uint8)
        band = max(1, _BAND // (size.width * down.outputs))
        for begin in range(0, tall, band):
            rows = min(band, tall - begin)
            last = down.inputs * (begin + rows) + down.before + down.after
            target = result[down.outputs * begin :][: down.outputs * rows]
            for at, colours in enumerate(self._band(padded[down.inputs * begin : last], rows)):
                part = target[at :: down.outputs]
                if not part.size:  # the last period may be cut short
                    break
                planes = list(colours[: part.shape[0], :, : size.width].transpose(1, 0, 2))
                if len(planes) == 1:
                    part[:] = planes[0]
                else:
                    cv2.merge(planes, dst=part)

    def _band(self, pixels: Pixels, rows: int) -> Iterator[Pixels]:
        """Give, phase by phase down, ``(rows, colours, columns)`` of a band with its halo."""
        across, down = self._across, self._down
        view = _across(pixels, across)
        nearest = [view(at) for at in across.nearest]
        fine, coarse = _filtered(view, across, (across.bits - 4, across.bits - self._rest))
        if len(nearest) > _BESIDE and not across.is_whole:
            nearest, fine, coarse = ([_interleaved(one)] for one in (nearest, fine, coarse))

        def rows_of(columns: _Whole) -> _View:
            before, step = down.before, down.inputs
            return lambda at: columns[before + at : before + at + step * rows : step]

        # Where the factor is whole, all phases have one nearest pixel, and the last one's
        # details are the negative sum of the others'.
        kept = len(nearest) - 1 if across.is_whole else len(nearest)
        some = nearest[:1] if across.is_whole else nearest
        ys = [_filtered(rows_of(one), down, (down.bits - 4,))[0] for one in some]
        by, most = down.bits + self._rest - 4, self._most << self._rest
        xys = [_filtered(rows_of(one), down, (by,), 2 * most)[0] for one in coarse[:kept]]
        if across.is_whole:
            xys.append([_opposite([xy[at] for xy in xys], y) for at, y in enumerate(ys[0])])
        parts: list[list[_Whole]] = []
        # Half a level more than it is: what is shifted down later is rounded by that.
        sixteenths = [one * 16 + 8 for one in (nearest[:1] if across.is_whole else nearest)]
        for at, first in enumerate(down.nearest):
            middles = [rows_of(one)(first) + y[at] for one, y in zip(sixteenths, ys, strict=True)]
            parts.append(
                [
                    rows_of(added)(first) + xy[at] + middle
                    for added, xy, middle in zip(fine, xys, cycle(middles), strict=False)
                ]
            )
        is_exact = across.is_whole and down.is_whole
        if is_exact:
            _fit([one for row in parts for one in row], rows_of(sixteenths[0])(0))
        for row in parts:
            levels = [_levels(one, is_within=is_exact) for one in row]
            yield _interleaved(levels).reshape(rows, 3 if pixels.ndim == 3 else 1, -1)


def _across(pixels: Pixels, filters: Kernel) -> _View:
    """Return the view along the rows of a band: ``(rows, colours * periods)`` each."""
    step, before = filters.inputs, filters.before
    rows, columns = pixels.shape[0], pixels.shape[1] // step
    planes = cv2.split(pixels)
    # Room behind for the steps aside of the last row.
    room = before + filters.after
    apart = np.zeros((step, rows * len(planes) * columns + room), np.int16)
    for first in range(step):
        colours = apart[first, : apart.shape[1] - room].reshape(rows, -1, columns)
        for number, colour in enumerate(planes):
            colours[:, number] = colour[:, first::step]

    def view(at: int) -> _Whole:
        begin, first = divmod(before + at, step)
        return apart[first, begin:][: rows * len(planes) * columns].reshape(rows, -1)

    return view


def _filtered(
    view: _View, filters: Kernel, shifts: Sequence[int], spread: int = 255
) -> list[list[_Whole]]:
    """Return what each phase adds, once for each power of two by which it is divided.

    ``spread`` is the largest difference between two values that are filtered.
    """
    kept = filters.outputs - 1 if filters.is_whole else filters.outputs
    # The weights add up to 0: half of them pull one way, half the other.
    bits = _bits(spread * filters.heaviest // 2)
    kinds = list(zip(filters.nearest, filters.details, strict=True))[:kept]
    sums = [_sum(view, nearest, taps, bits) for nearest, taps in kinds]
    found = [[(one >> by).astype(np.int16, copy=False) for one in sums] for by in shifts]
    if filters.is_whole:
        for phases in found:
            phases.append(_opposite(phases, view(0)))
    return found


def _bits(largest: int) -> type[np.signedinteger[Any]]:
    return np.int16 if largest <= _SHORT else np.int32


def _sum(view: _View, centre: int, taps: Taps, bits: type[np.signedinteger[Any]]) -> _Whole:
    """Return the weighted sum around a place; opposite ones of one weight share a product."""
    found: list[_Whole] = []
    for at in sorted({abs(at) for at in taps}):
        right, left = taps.get(at, 0), taps.get(-at, 0)
        if at and right == -left:
            found.append(np.subtract(view(centre + at), view(centre - at), dtype=bits))
            found[-1] *= right
            continue
        for place, weight in {at: right, -at: left}.items():
            if weight:
                found.append(np.multiply(view(centre + place), weight, dtype=bits))
    total = found[0] if found else np.zeros_like(view(0))
    for one in found[1:]:
        total += one
    return total


def _opposite(phases: Sequence[_Whole], like: _Whole) -> _Whole:
    """Return the negative sum of some phases, of the shape of ``like``."""
    if not phases:
        return np.zeros_like(like)
    total = -phases[0]
    for one in phases[1:]:
        total -= one
    return total


def _fit(phases: Sequence[_Whole], middle: _Whole) -> None:
    """Shrink the detail of each block that would leave 0 to 255 when rounded, in place.

    All are 16ths and half a level more; ``middle`` is the means of the blocks.
    """
    # Without a sign, what is below 0 is very large.
    largest = reduce(np.maximum, [one.view(np.uint16) for one in phases])
    outside = largest > _TOP
    if not outside.any():
        return
    # Where they are few, they alone; the others do not change.
    few = np.count_nonzero(outside) * _FEW < outside.size
    where: Any = np.flatnonzero(outside) if few else slice(None)
    level = middle.reshape(-1)[where].astype(np.int32)
    details = [one.reshape(-1)[where] - level for one in phases]
    above, below = reduce(np.maximum, details, 1), -reduce(np.minimum, details, -1)
    # Small whole numbers: a quotient's floor is exact.
    kept = np.minimum(256 * (_TOP - level) / above, 256 * level / below)
    part = np.minimum(kept, 256).astype(np.int32)
    for one, detail in zip(phases, details, strict=True):
        one.reshape(-1)[where] = level + ((detail * part + 128) >> 8)


def _levels(sixteenths: _Whole, *, is_within: bool) -> Pixels:
    """Return levels; those that are known to be within 0 to 255 are not cut off."""
    sixteenths >>= 4
    if not is_within:
        np.clip(sixteenths, 0, 255, out=sixteenths)
    return sixteenths.astype(np.uint8)


def _interleaved(phases: Sequence[Any]) -> Any:
    """Return ``(rows, n * columns)`` of ``n`` arrays: a column of each in turn."""
    if len(phases) == 1:
        return phases[0]
    # OpenCV is faster, and has an end to its channels.
    whole = cv2.merge(phases) if len(phases) <= _CHANNELS else np.stack(phases, -1)
    return np.asarray(whole).reshape(len(phases[0]), -1)
