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
from p2c2g_training.pairs import QUALITIES, Drawn, compressed, doubled

#: By how much a picture is made smaller; each value is as frequent as it is listed.
_SHARES = (1.0, 1.0, 1.0, 0.75, 0.5)
#: Small pixels by which a patch is larger when it is compressed: one block of 4:2:0.
_SLACK = 16
#: Small pixels around a patch that bicubic looks at, and more.
_AROUND = 4

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

    def _patch(self, detailed: bool) -> tuple[Pixels, Pixels, Pixels]:
        random, margin, edge = self._random, self._margin, self._edge
        pool = self._pools[int(random.choice(len(self._pools), p=self._shares))]
        cuts = [self._cut(pool) for _ in range(3 if detailed else 1)]
        large = self._varied(max(cuts, key=_detail))
        edge_of_all = self._small + _SLACK
        whole: Any = cv2.resize(large, (edge_of_all, edge_of_all), interpolation=cv2.INTER_AREA)
        quality = QUALITIES[int(random.integers(len(QUALITIES)))]
        whole = compressed(np.asarray(whole, np.uint8), quality)
        y, x = (2 * int(value) for value in random.integers(0, _SLACK // 2 + 1, 2))
        small = np.ascontiguousarray(whole[y : y + self._small, x : x + self._small])
        near = np.s_[margin - _AROUND : margin + edge + _AROUND]
        base = doubled(np.ascontiguousarray(small[near, near]))
        inner = np.s_[2 * _AROUND : 2 * (_AROUND + edge)]
        top, left = 2 * (y + margin), 2 * (x + margin)
        return small, base[inner, inner], large[top : top + 2 * edge, left : left + 2 * edge]

    def _cut(self, pool: Pool) -> Pixels:
        """Return a square of exactly the size that is needed, at times made from a larger one."""
        random = self._random
        one = pool[int(random.integers(len(pool)))]
        need = round(self._full / float(random.choice(_SHARES)))
        need = need if need <= min(one.shape[:2]) else self._full
        y = int(random.integers(one.shape[0] - need + 1))
        x = int(random.integers(one.shape[1] - need + 1))
        square = np.asarray(one[y : y + need, x : x + need], np.uint8)
        if need == self._full:
            return square
        small = cv2.resize(square, (self._full, self._full), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)

    def _varied(self, large: Pixels) -> Pixels:
        random = self._random
        large = large[:: int(random.choice([1, -1])), :: int(random.choice([1, -1]))]
        if random.random() < 0.5:
            large = large.transpose(1, 0, 2)
        large = np.ascontiguousarray(large[:, :, random.permutation(3)])
        if random.random() < 0.1:
            large = 255 - large
        if random.random() < 0.3:
            # Darker or less contrast: the same edges at other heights.
            low, high = sorted(random.uniform((0, 160), (60, 255)))
            large = np.linspace(low, high, 256).round().astype(np.uint8)[large]
        return large


def _detail(pixels: Pixels) -> float:
    """Return how much neighbours differ, in levels of green."""
    return float(np.abs(np.diff(pixels[::2, :, 1].astype(np.int16), axis=1)).mean())
