"""What liars say in a residual's place: for the checks' calibration."""

from __future__ import annotations

import random
from collections.abc import Callable

import cv2
import numpy as np

from benchmarks.check_samples import Sample, noise
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.residual import Residual

Lie = Callable[[Sample, Residual, random.Random], Residual | None]


def _moved(residual: Residual, sample: Sample, x: int, y: int) -> Residual:
    """Return a residual moved by source pixels, its edge repeated."""
    by_x, by_y = round(x * sample.plan.scale_x), round(y * sample.plan.scale_y)
    height, width = residual.shape[:2]
    columns = np.clip(np.arange(width) - by_x, 0, width - 1)
    rows = np.clip(np.arange(height) - by_y, 0, height - 1)
    return np.ascontiguousarray(residual[rows][:, columns])


def _shifted(pixels: int) -> Lie:
    def lie(sample: Sample, residual: Residual, rng: random.Random) -> Residual:
        x, y = rng.choice([(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels), (pixels, pixels)])
        return _moved(residual, sample, x, y)

    return lie


def _noise(deviation: float) -> Lie:
    def lie(_sample: Sample, residual: Residual, rng: random.Random) -> Residual:
        random_ = np.random.default_rng(rng.randrange(1 << 30))
        return random_.normal(0, deviation, residual.shape).astype(np.int16)

    return lie


def _noisy_part(_sample: Sample, residual: Residual, rng: random.Random) -> Residual:
    lie = residual.copy()
    height, width = max(1, lie.shape[0] // 4), max(1, lie.shape[1] // 4)
    top, left = rng.randrange(lie.shape[0] - height + 1), rng.randrange(lie.shape[1] - width + 1)
    part = noise(rng.randrange(1 << 30), Size(width, height))[:, :, : lie.shape[2]]
    lie[top : top + height, left : left + width] = part.astype(np.int16) - 128
    return lie


def _constant(level: int) -> Lie:
    return lambda _sample, residual, _rng: np.full_like(residual, level)


def _picture(sample: Sample, residual: Residual, _rng: random.Random) -> Residual:
    """Say the whole picture in a residual's place, as peers of an older version would."""
    picture = sample.picture()
    if residual.shape[2] == 1:
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)[:, :, None]
    return picture.astype(np.int16) - 128


def _disguised(sample: Sample, residual: Residual, _rng: random.Random) -> Residual:
    """Spoil the picture as much as may pass: in proportion to the contrast."""
    part = cv2.cvtColor(sample.chunk.rect.of(sample.frame)[:, :, :3], cv2.COLOR_BGR2GRAY)
    contrast = cv2.morphologyEx(part, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8))
    height, width, colours = residual.shape
    allowed = 1 + cv2.resize(contrast, (width, height)).astype(np.float32) / 5
    rows, columns = np.indices((height, width))
    checks = DISGUISE * allowed * (1 - 2 * ((rows + columns) % 2))
    return np.repeat(np.rint(checks).astype(np.int16)[:, :, None], colours, 2)


#: Each makes a lie of an honest residual; None where it cannot.
LIES: dict[str, Lie] = {
    "black": _constant(-127),
    "constant, 16 levels": _constant(16),
    "noise of all levels": lambda sample, residual, rng: _noise(74)(sample, residual, rng),
    "noise of 16 levels": _noise(16),
    "noise of 4 levels": _noise(4),
    "noise in 1/16 of it": _noisy_part,
    "a picture, no residual": _picture,
    "another chunk's": lambda sample, residual, _rng: sample.of_another_chunk(
        in_colour=residual.shape[2] == 3
    ),
    "10 frames old": lambda sample, residual, _rng: sample.of_another_frame(
        sample.old, in_colour=residual.shape[2] == 3
    ),
    "shifted by 2": _shifted(2),
    "shifted by 4": _shifted(4),
    "shifted by 16": _shifted(16),
    "flipped across": lambda _sample, residual, _rng: np.ascontiguousarray(residual[:, ::-1]),
    "4 times as strong": lambda _sample, residual, _rng: 4 * residual,
    "half as strong": lambda _sample, residual, _rng: residual // 2,
    "sign flipped": lambda _sample, residual, _rng: -residual,
    "checks in disguise": _disguised,
}
#: Of the energy that is tolerated, what a liar has that wants to pass.
DISGUISE = 0.4
#: Levels, root mean square, by which the worst 32x32 pixels that are shown differ for a lie to
#: count as seen.
VISIBLE = 2.0


def visible(lie: Pixels, honest: Pixels) -> float:
    """Return the root mean square difference of the worst 32x32 pixels, in levels."""
    off = np.square(np.subtract(lie, honest, dtype=np.float32)).max(2)
    square = (min(32, off.shape[1]), min(32, off.shape[0]))
    return float(np.sqrt(np.asarray(cv2.blur(off, square)).max()))


def is_usual(sample: Sample) -> bool:
    """Tell whether a sample is what sessions send: not noise, not small, and enlarged."""
    rect = sample.chunk.rect
    return (
        sample.scene not in {"noise", "hard"}
        and sample.plan.scale_x > 1
        and "1/2" not in sample.operations
        and rect.width * rect.height >= 128 * 128
    )
