"""A large picture, the small one that a gamer has of it, and what a chunk of that carries.

The small picture is the large one scaled down by area; what arrives at a peer has gone through
the codec of chunks, at random qualities around the default.  What a net has to learn is what the
large picture adds to the *base* of the undamaged small one, which is what the gamer's own machine
shows: luma alone, without the means of cells, which the composition takes out of it anyway
(:mod:`p2c2g.media.composition`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from p2c2g.media.base import base
from p2c2g.media.cells import cell_of
from p2c2g.media.composition import Composition
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g.media.residual import Residual, difference

#: Qualities of JPEG to learn from, each as frequent as it is listed; None is without loss.
QUALITIES = (80, 85, 80, 70, 90, 80, 60, 95, 80, 50, None)
#: Small pixels around a patch that only the net and the base look at.
MARGIN = 22
#: The factor of all nets.
TWO = Fraction(2)
#: The block of large pixels whose mean a residual cannot change.
CELL = cell_of(TWO, TWO)


@dataclass(frozen=True, slots=True)
class Pair:
    """A small picture ``own`` (h, w, 3), as it ``arrived``, and the ``large`` one, (2h, 2w, 3)."""

    own: Pixels
    arrived: Pixels
    large: Pixels


def pair(large: Pixels, quality: int | None) -> Pair:
    """Return the pair of a large picture, cut to whole blocks of 4 pixels."""
    height, width = large.shape[0] // 4 * 4, large.shape[1] // 4 * 4
    large = np.ascontiguousarray(large[:height, :width])
    own = cv2.resize(large, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    small = np.asarray(own, np.uint8)
    return Pair(small, compressed(small, quality), large)


def compressed(pixels: Pixels, quality: int | None) -> Pixels:
    """Return a picture as a peer gets it: after JPEG 4:2:0 of this quality; unchanged for None."""
    if quality is None:
        return pixels
    data = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=quality, colorspace="BGR", colorsubsampling="420"
    )
    return np.asarray(simplejpeg.decode_jpeg(data, colorspace="BGR"), np.uint8)


def based(own: Pixels) -> Pixels:
    """Return the base of a picture at twice its size."""
    return base(own, TWO, TWO, Size(2 * own.shape[1], 2 * own.shape[0]))


def wanted(own: Pixels, large: Pixels) -> NDArray[np.int16]:
    """Return the levels (2h, 2w) that a net should add to the base of ``own``."""
    return difference(large, based(own), CELL)[:, :, 0]


def shown(under: Pixels, residual: Residual) -> Pixels:
    """Return base and residual (2h, 2w, 1) together, as a gamer sees them."""
    place = Rect(0, 0, under.shape[1], under.shape[0])
    return Composition.of(TWO, TWO).frame(under, [(place, residual)])


class Drawn(ABC):
    """Seeded batches of patches, half of them chosen for their detail.

    Args:
        seed: of all that is random.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    @property
    def state(self) -> dict[str, object]:
        """Return the state of the random numbers, so that a run can go on."""
        return dict(self._random.bit_generator.state)

    @state.setter
    def state(self, state: dict[str, object]) -> None:
        self._random.bit_generator.state = state

    def batch(self, count: int) -> tuple[Pixels, NDArray[np.int16]]:
        """Return what arrives, with a margin, (n, e+2m, e+2m, 3), and what to add (n, 2e, 2e)."""
        chosen = [self._patch(bool(index % 2)) for index in range(count)]
        small, added = zip(*chosen, strict=True)
        return np.stack(small), np.stack(added)

    @abstractmethod
    def _patch(self, detailed: bool) -> tuple[Pixels, NDArray[np.int16]]:
        """Draw one patch: what arrives, and what to add."""


class Patches(Drawn):
    """Patches of whole frames, each of which was compressed once."""

    def __init__(self, frames: Sequence[Sequence[Pixels]], seed: int, edge: int = 48) -> None:
        """Take the frames of several games; each game is drawn from equally often."""
        super().__init__(seed)
        self._edge = edge
        self._games: list[list[tuple[Pixels, NDArray[np.int16]]]] = []
        for game in frames:
            pairs = (pair(one, QUALITIES[i % len(QUALITIES)]) for i, one in enumerate(game))
            self._games.append([(one.arrived, wanted(one.own, one.large)) for one in pairs])

    def _patch(self, detailed: bool) -> tuple[Pixels, NDArray[np.int16]]:
        best: tuple[Pixels, NDArray[np.int16]] | None = None
        most = -1.0
        game = self._games[int(self._random.integers(len(self._games)))]
        for _ in range(3 if detailed else 1):
            arrived, added = game[int(self._random.integers(len(game)))]
            edge, full = self._edge, self._edge + 2 * MARGIN
            # At even pixels: the nets see cells of 2x2.
            y = 2 * int(self._random.integers((arrived.shape[0] - full) // 2 + 1))
            x = 2 * int(self._random.integers((arrived.shape[1] - full) // 2 + 1))
            top, left = 2 * (y + MARGIN), 2 * (x + MARGIN)
            part = added[top : top + 2 * edge, left : left + 2 * edge]
            detail = float(np.abs(part).mean())
            if detail > most:
                most = detail
                best = arrived[y : y + full, x : x + full], part
        assert best is not None
        return best
