"""Other pictures made from the same frames, for a net that is used on games it never saw.

A game teaches its own colours and its own fineness of detail, and a general net would rely on
them.  So each frame is turned, mirrored, recoloured and made smaller at random, *before* it is
scaled down and compressed, since the codec treats colours and directions differently.  Drawn
lettering is added: text is what must be harmed least.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from p2c2g.media.frame import Pixels

#: By how much a frame is made smaller; each value is as frequent as it is listed.
_SHARES = (1.0, 1.0, 0.75, 0.5)
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX_SMALL,
)


def varied(frames: Sequence[Pixels], seed: int) -> list[Pixels]:
    """Return a varied picture of each frame, none smaller than 320 pixels along an edge."""
    random = np.random.default_rng(seed)
    return [_varied(frame, random) for frame in frames]


def lettering(count: int, seed: int) -> list[Pixels]:
    """Return drawn pictures (720, 1280, 3) of text, bars and frames in many colours."""
    random = np.random.default_rng(seed)
    return [_lettering(random) for _ in range(count)]


def _varied(frame: Pixels, random: np.random.Generator) -> Pixels:
    share = float(random.choice(_SHARES))
    if share < 1 and min(frame.shape[:2]) * share >= 320:
        frame = np.asarray(
            cv2.resize(frame, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), np.uint8
        )
    frame = frame[:: int(random.choice([1, -1])), :: int(random.choice([1, -1]))]
    if random.random() < 0.5:
        frame = frame.transpose(1, 0, 2)
    frame = frame[:, :, random.permutation(3)]
    if random.random() < 0.2:
        frame = 255 - frame
    # Darker or less contrast: the same edges at other heights.
    low, high = sorted(random.uniform((0, 160), (60, 255)))
    if random.random() < 0.5:
        table = np.linspace(low, high, 256).round().astype(np.uint8)
        frame = table[frame]
    return np.ascontiguousarray(frame)


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
