"""Drawn lettering, for a net that is used on games it never saw: text must be harmed least."""

from __future__ import annotations

import cv2
import numpy as np

from p2c2g.media.frame import Pixels

_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX_SMALL,
)


def lettering(count: int, seed: int) -> list[Pixels]:
    """Return drawn pictures (720, 1280, 3) of text, bars and frames in many colours."""
    random = np.random.default_rng(seed)
    return [_lettering(random) for _ in range(count)]


def _lettering(random: np.random.Generator) -> Pixels:
    canvas = np.empty((720, 1280, 3), np.uint8)
    canvas[:] = random.integers(0, 256, 3, dtype=np.uint8)
    if random.random() < 0.5:
        # Text is on pictures more often than on a single colour.
        cloud = random.integers(0, 256, (9, 16, 3), dtype=np.uint8)
        canvas = np.asarray(cv2.resize(cloud, (1280, 720), interpolation=cv2.INTER_CUBIC), np.uint8)
    for _ in range(40):
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        x, y = int(random.integers(-40, 1240)), int(random.integers(0, 720))
        width, height = int(random.integers(8, 300)), int(random.integers(4, 80))
        thick = int(random.choice([-1, 1, 2, 3]))
        cv2.rectangle(canvas, (x, y), (x + width, y + height), colour, thick)
    words(canvas, 120, random)
    return canvas


def words(canvas: Pixels, count: int, random: np.random.Generator) -> None:
    """Write ``count`` random words over a picture, half of them with an edge of another colour."""
    for _ in range(count):
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        letters = bytes(random.integers(33, 127, int(random.integers(2, 16))).tolist()).decode()
        place = (int(random.integers(-40, 1200)), int(random.integers(0, 720)))
        font = int(random.choice(_FONTS))
        size, thick = float(random.uniform(0.4, 1.8)), int(random.integers(1, 4))
        line = int(random.choice([cv2.LINE_AA, cv2.LINE_8]))
        if random.random() < 0.5:
            other = tuple(255 - value for value in colour)
            cv2.putText(canvas, letters, place, font, size, other, thick + 2, line)
        cv2.putText(canvas, letters, place, font, size, colour, thick, line)
