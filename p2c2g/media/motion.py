"""Where what is seen in a frame was in an earlier one, and what of its residual is still right.

Three guesses are made of each pixel's way: that it stands still, that it goes the way of most of
the picture (phase correlation: scrolling), and what optical flow says (DIS: turning, walking).
Each is tried: the earlier frame is moved by it and compared with the later one.  A pixel takes the
guess that fits best around it, and how badly that fits is its *mismatch*, in squared levels.  A
guess that moves must fit clearly better than standing still, so where nothing is to be seen nothing
moves.

A residual that was made for the earlier frame is then moved likewise, and fades where its energy is
not well above the mismatch: what a peer added is finer than what can be compared, so it can be
believed no further than what can.  It is Wiener's filter with the mismatch as the noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from p2c2g.media.frame import Pixels, Size
from p2c2g.media.residual import Residual, levelled

_Field = NDArray[np.float32]
#: Most pixels of the picture in which motion is looked for: a quarter of 640x360.
_LOOKED_AT = 1 << 16
#: Each place is given whole, not across and down apart.
_NO_MAP: Any = None
#: Least edge of that picture for optical flow.
_LEAST = 32
#: Of so many rows one is compared.
_ROWS = 2
#: Across and down, pixels of such rows around one that are compared.
_WINDOW = (5, 3)
#: A way fits better if its mismatch, times this and a level more, is below.
_CLEARLY = 1.2
#: How often the mismatch counts: what is finer than what can be compared may be further off.
_CAUTION = 2
#: Squared levels of a residual that are too little to be worth anything.
_LITTLE = 0.5


@dataclass(frozen=True, eq=False)
class Motion:
    """The way of each pixel of a frame since an earlier one.

    Args:
        size: of the frame.
        field: ``(h, w, 2)``, of each second row: how far to the right and below it was, in pixels.
        mismatch: ``(h, w)``, likewise: mean squared levels by which the two differ around it.
        moves: whether anything does.
    """

    size: Size
    field: _Field
    mismatch: _Field
    moves: bool


def motion(before: Pixels, now: Pixels, step: tuple[float, float]) -> Motion:
    """Find the motion from one frame to another.

    Args:
        before: luma of the earlier frame, ``(h, w)``.
        now: of the later one, of the same shape.
        step: a whole picture's shift is taken to be a multiple of this across and down, in pixels
            of the frame: games scroll by whole pixels of what is shown.
    """
    size, rows = Size.of(now), now[::_ROWS]
    field: _Field = np.zeros((*rows.shape, 2), np.float32)
    mismatch = _mismatch(before[::_ROWS], rows)
    moves = False
    if not mismatch.any():
        return Motion(size, field, mismatch, moves)
    for guess in _guesses(before, now, step):
        moved: Any = cv2.remap(
            before, _grid(*now.shape)[::_ROWS] + guess, _NO_MAP, cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        found = _mismatch(moved, rows)
        better = (found * np.float32(_CLEARLY) + 1 < mismatch).astype(np.uint8)
        if cv2.countNonZero(better):
            cv2.copyTo(guess, better, field)
            cv2.copyTo(found, better, mismatch)
            moves = True
    return Motion(size, field, mismatch, moves)


def carried(residual: Residual, way: Motion, cell: Size) -> Residual:
    """Return what a residual of the earlier frame is worth to the later one.

    Args:
        residual: of the whole earlier frame, ``(height, width, 1 or 3)``.
        way: from that frame to the later one.
        cell: of the session's scale, whose means are taken out.
    """
    shape = residual.shape[:2]
    large = (shape[1], shape[0])
    small = (way.mismatch.shape[1], way.mismatch.shape[0])
    moved: Any = residual.astype(np.float32)
    if way.moves:
        field: Any = cv2.resize(_scaled(way.field, way.size, Size(*large)), large)
        field += _grid(*shape)
        moved = cv2.remap(moved, field, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    planes: list[Any] = list(cv2.split(moved))
    for plane in planes:
        energy: Any = cv2.resize(plane * plane, small, interpolation=cv2.INTER_AREA)
        energy = cv2.boxFilter(energy, cv2.CV_32F, _WINDOW)
        sure = energy / (energy + way.mismatch * np.float32(_CAUTION) + np.float32(_LITTLE))
        plane *= cv2.resize(sure, large)
    whole = [np.rint(plane).astype(np.int16) for plane in planes]
    return np.dstack([levelled(plane, cell) for plane in whole])


def _guesses(before: Pixels, now: Pixels, step: tuple[float, float]) -> Iterator[_Field]:
    """Give what may be the way of each pixel, beside that it stands still."""
    height, width = now.shape
    factor = max(1, math.ceil(math.sqrt(height * width / _LOOKED_AT)))
    small = (width // factor, height // factor)
    if min(small) < _LEAST:
        return
    was, is_ = (cv2.resize(one, small, interpolation=cv2.INTER_AREA) for one in (before, now))
    shift, _ = cv2.phaseCorrelate(is_.astype(np.float32), was.astype(np.float32), _window(small))
    across, down = (
        round(one * large / less / unit) * unit
        for one, large, less, unit in zip(shift, (width, height), small, step, strict=True)
    )
    if across or down:
        rows = now[::_ROWS].shape
        yield np.asarray(cv2.merge([np.full(rows, one, np.float32) for one in (across, down)]))
    flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    field = _scaled(flow.calc(is_, was, None), Size(*small), Size(width, height))
    yield np.asarray(cv2.resize(field, (width, -(-height // _ROWS))))


def _scaled(field: Any, one: Size, other: Size) -> Any:
    """Return a field in pixels of the size ``one`` in those of the size ``other``."""
    factors = (other.width / one.width, other.height / one.height)
    return cv2.merge(
        [plane * np.float32(f) for plane, f in zip(cv2.split(field), factors, strict=True)]
    )


def _mismatch(one: Pixels, other: Pixels) -> _Field:
    apart: Any = cv2.absdiff(one, other)
    found: _Field = cv2.sqrBoxFilter(apart, cv2.CV_32F, _WINDOW)
    return found


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> _Field:
    """Return where each pixel is, ``(height, width, 2)``; not to be written to."""
    across, down = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return np.dstack(np.meshgrid(across, down))


@lru_cache(maxsize=4)
def _window(size: tuple[int, int]) -> Any:
    return cv2.createHanningWindow(size, cv2.CV_32F)
