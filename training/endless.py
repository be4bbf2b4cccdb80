"""Patches that never come twice, for the general nets.

A net for games that it has not seen must not memorise.  So each patch is cut again from a large
picture, and made smaller, turned, recoloured, scaled down and compressed at random; where the
blocks of JPEG lie differs each time too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from p2c2g.media.frame import Pixels
from p2c2g_training.pairs import QUALITIES, Drawn, compressed, wanted

#: By how much a picture is made smaller, or larger and so as soft as a film is; each value is as
#: frequent as it is listed.
_SHARES = (1.0, 1.0, 1.0, 1.0, 0.75, 0.75, 0.5, 1.3, 1.7)
#: Small pixels by which a patch is larger when it is compressed: one block of 4:2:0.
_SLACK = 16
#: Small pixels around a patch that the base looks at, and more.
_AROUND = 4
#: How many patches are drawn small by taking single points, as a game does that draws small.
_POINTS = 0.08

#: Large pictures (h, w, 3): a list of them, or one array.
Pool = Sequence[Pixels] | NDArray[np.uint8]


class Endless(Drawn):
    """Seeded batches of patches from several pools of pictures, half of them with detail.

    Args:
        pools: large pictures, all at least 512 pixels along their edges.
        shares: how much is drawn from each pool.
        seed: of all that is random.
        margin: small pixels around a patch that only the net looks at: even, and 4 at least.
        edge: small pixels along a patch's edge.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        shares: Sequence[float],
        seed: int,
        margin: int,
        edge: int = 48,
    ) -> None:
        super().__init__(seed)
        self._pools = pools
        self._shares = np.array(shares) / sum(shares)
        self._margin, self._edge = margin, edge
        #: Small pixels that a net sees, and large ones that it takes to make them.
        self._small = edge + 2 * margin
        self._full = 2 * (self._small + _SLACK)

    def _patch(self, detailed: bool) -> tuple[Pixels, NDArray[np.int16]]:
        random, margin, edge = self._random, self._margin, self._edge
        pool = self._pools[int(random.choice(len(self._pools), p=self._shares))]
        by_points = random.random() < _POINTS
        shares = (0.5,) if by_points else _SHARES
        cuts = [self._cut(pool, shares, by_points) for _ in range(3 if detailed else 1)]
        large, own = max(cuts, key=lambda cut: _detail(cut[0]))
        large, own = self._varied(large, own)
        arrived = compressed(own, QUALITIES[int(random.integers(len(QUALITIES)))])
        y, x = (2 * int(value) for value in random.integers(0, _SLACK // 2 + 1, 2))
        near = np.s_[y + margin - _AROUND :, x + margin - _AROUND :]
        around = edge + 2 * _AROUND
        top, left = 2 * (y + margin - _AROUND), 2 * (x + margin - _AROUND)
        added = wanted(
            np.ascontiguousarray(own[near][:around, :around]),
            large[top : top + 2 * around, left : left + 2 * around],
        )
        inner = np.s_[2 * _AROUND : 2 * (_AROUND + edge)]
        return arrived[y : y + self._small, x : x + self._small], added[inner, inner]

    def _cut(self, pool: Pool, shares: Sequence[float], by_points: bool) -> tuple[Pixels, Pixels]:
        """Return a large square of exactly the size that is needed, and the small one of it."""
        random = self._random
        one = pool[int(random.integers(len(pool)))]
        need = round(self._full / float(random.choice(shares)))
        need = need if need <= min(one.shape[:2]) else self._full
        y = int(random.integers(one.shape[0] - need + 1))
        x = int(random.integers(one.shape[1] - need + 1))
        square = np.asarray(one[y : y + need, x : x + need], np.uint8)
        if by_points and need == 2 * self._full:
            # Two games that draw the same, each of its points in the middle of what it stands for.
            return square[1::2, 1::2], square[2::4, 2::4]
        if need > self._full:
            square = _smaller(square, self._full)
        elif need < self._full:
            kernel = int(random.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
            soft: Any = cv2.resize(square, (self._full, self._full), interpolation=kernel)
            square = soft
        return square, _smaller(square, self._full // 2)

    def _varied(self, *alike: Pixels) -> list[Pixels]:
        """Return pictures turned and recoloured, all in the same way."""
        random = self._random
        down, across = int(random.choice([1, -1])), int(random.choice([1, -1]))
        is_turned = random.random() < 0.5
        colours = random.permutation(3)
        levels = np.arange(256)
        if random.random() < 0.1:
            levels = 255 - levels
        if random.random() < 0.3:
            # Darker or less contrast: the same edges at other heights.
            low, high = sorted(random.uniform((0, 160), (60, 255)))
            levels = np.linspace(low, high, 256).round()[levels]
        table = levels.astype(np.uint8)
        found = []
        for one in alike:
            turned = one[::down, ::across]
            turned = turned.transpose(1, 0, 2) if is_turned else turned
            found.append(table[turned[:, :, colours]])
        return found


def _smaller(square: Pixels, edge: int) -> Pixels:
    small = cv2.resize(square, (edge, edge), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _detail(pixels: Pixels) -> float:
    """Return how much neighbours differ, in levels of green."""
    return float(np.abs(np.diff(pixels[::2, :, 1].astype(np.int16), axis=1)).mean())
