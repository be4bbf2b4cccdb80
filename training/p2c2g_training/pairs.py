"""A large picture and the small one that a chunk would have carried.

The small one is scaled down by area and then compressed and decoded by the same codec as chunks,
at random qualities around the default, so that a net learns to undo both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg

from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g_workers.processors import run

#: Qualities of JPEG to learn from, each as frequent as it is listed; None is without loss.
QUALITIES = (85, 85, 85, 85, 75, 92, None)
#: Small pixels around a patch that only the net and the base look at.
MARGIN = 22


@dataclass(frozen=True, slots=True)
class Pair:
    """A small picture ``(h, w, 3)`` and the large one ``(2h, 2w, 3)`` that it was made from."""

    small: Pixels
    large: Pixels


def pair(large: Pixels, quality: int | None) -> Pair:
    """Return the pair of a large picture, cut to whole blocks of 4 pixels."""
    height, width = large.shape[0] // 4 * 4, large.shape[1] // 4 * 4
    large = np.ascontiguousarray(large[:height, :width])
    small = cv2.resize(large, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return Pair(compressed(np.asarray(small, np.uint8), quality), large)


def compressed(pixels: Pixels, quality: int | None) -> Pixels:
    """Return a picture as a peer gets it: after JPEG 4:2:0 of this quality; unchanged for None."""
    if quality is None:
        return pixels
    data = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=quality, colorspace="BGR", colorsubsampling="420"
    )
    return np.asarray(simplejpeg.decode_jpeg(data, colorspace="BGR"), np.uint8)


def doubled(small: Pixels, text: str = "upscale:2:bicubic") -> Pixels:
    """Return a picture doubled by a peer's processors; bicubic is the nets' base."""
    return run(Pipeline.parse(text).resolve(Size.of(small)), small)


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

    def batch(self, count: int) -> tuple[Pixels, Pixels, Pixels]:
        """Return small with margin, base and large: (n, e+2m, e+2m, 3) and twice (n, 2e, 2e, 3)."""
        chosen = [self._patch(bool(index % 2)) for index in range(count)]
        small, base, large = (np.stack(parts) for parts in zip(*chosen, strict=True))
        return small, base, large

    @abstractmethod
    def _patch(self, detailed: bool) -> tuple[Pixels, Pixels, Pixels]:
        """Draw one patch: small, base and large."""


class Patches(Drawn):
    """Patches of whole frames, each of which was compressed once."""

    def __init__(self, frames: Sequence[Sequence[Pixels]], seed: int, edge: int = 48) -> None:
        """Take the frames of several games; each game is drawn from equally often."""
        super().__init__(seed)
        self._edge = edge
        self._games: list[list[tuple[Pair, Pixels]]] = []
        for game in frames:
            pairs = [pair(one, QUALITIES[i % len(QUALITIES)]) for i, one in enumerate(game)]
            self._games.append([(one, doubled(one.small)) for one in pairs])

    def _patch(self, detailed: bool) -> tuple[Pixels, Pixels, Pixels]:
        best: tuple[Pixels, Pixels, Pixels] | None = None
        most = -1.0
        game = self._games[int(self._random.integers(len(self._games)))]
        for _ in range(3 if detailed else 1):
            one, base = game[int(self._random.integers(len(game)))]
            edge, full = self._edge, self._edge + 2 * MARGIN
            # At even pixels: the nets see cells of 2x2.
            y = 2 * int(self._random.integers((one.small.shape[0] - full) // 2 + 1))
            x = 2 * int(self._random.integers((one.small.shape[1] - full) // 2 + 1))
            top, left = 2 * (y + MARGIN), 2 * (x + MARGIN)
            inner = np.s_[top : top + 2 * edge, left : left + 2 * edge]
            large = one.large[inner]
            detail = float(cv2.absdiff(large, base[inner]).mean())
            if detail > most:
                most = detail
                best = one.small[y : y + full, x : x + full], base[inner], large
        assert best is not None
        return best
