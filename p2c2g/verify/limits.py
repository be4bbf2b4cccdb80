"""How far an honest result may be from its source: measured, by codec and quality.

Written by ``python benchmarks/calibrate_checks.py fit``: the worst of thousands of honest
chunks of a game, a pattern, text and noise, through every operation, times 1.4, and at least
0.4 for the bias and 1.4 for the shift.  A worse quality is never judged more strictly than a
better one.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from p2c2g.errors import UsageError
from p2c2g.media.codecs import codec


@dataclass(frozen=True, slots=True)
class Limits:
    """What an honest result stays below; ``checks.py`` says what the figures are.

    ``shift`` is in source pixels, or in those of the smallest picture on the way where the
    pipeline scales down.
    """

    mean: float
    bias: float
    block: float
    shift: float = 1.4


#: By codec: quality, and its limits; in between they are interpolated.
LIMITS: dict[str, dict[int, Limits]] = {
    "jpeg": {
        1: Limits(13.51, 7.63, 24.64, 11.25),
        5: Limits(12.54, 4.67, 17.08, 5.24),
        10: Limits(4.56, 2.32, 8.27, 4.36),
        20: Limits(2.41, 1.18, 5.63, 1.43),
        30: Limits(2.25, 0.91, 4.25),
        50: Limits(1.89, 0.55, 3.68),
        70: Limits(1.16, 0.55, 2.38),
        85: Limits(1.16, 0.40, 2.35),
        95: Limits(1.15, 0.40, 2.04),
        100: Limits(1.06, 0.40, 1.60),
    },
    "webp": {
        1: Limits(3.73, 1.46, 7.14),
        5: Limits(2.59, 1.46, 6.13),
        10: Limits(2.59, 1.14, 4.15),
        20: Limits(2.37, 1.14, 3.47),
        30: Limits(2.02, 1.14, 3.40),
        50: Limits(1.84, 1.00, 2.86),
        70: Limits(1.33, 0.58, 2.25),
        85: Limits(1.10, 0.53, 2.25),
        95: Limits(0.88, 0.52, 1.49),
        100: Limits(0.84, 0.52, 1.49),
    },
    "avif": {
        1: Limits(3.98, 1.59, 11.68, 4.34),
        5: Limits(3.98, 1.59, 11.68, 1.81),
        10: Limits(3.98, 1.23, 5.95),
        20: Limits(1.96, 1.00, 4.41),
        30: Limits(1.52, 0.98, 3.69),
        50: Limits(1.51, 0.98, 2.61),
        70: Limits(1.51, 0.98, 2.23),
        85: Limits(1.51, 0.98, 2.23),
        95: Limits(1.45, 0.98, 2.23),
        100: Limits(1.23, 0.47, 2.16),
    },
    "lossless": {
        100: Limits(0.77, 0.40, 1.28),
    },
}


def limits_for(codec_name: str, quality: int) -> Limits:
    """Return the limits for a codec at a quality.

    Raises:
        UsageError: the codec is unknown, or not calibrated.
    """
    chosen = codec(codec_name)
    rows = LIMITS.get("lossless" if chosen.lossless else codec_name)
    if rows is None:
        raise UsageError(
            f"{codec_name!r} has no limits for the check of its results: measure them with "
            "benchmarks/calibrate_checks.py."
        )
    qualities = sorted(rows)
    columns = zip(*(astuple(rows[each]) for each in qualities), strict=True)
    return Limits(*(float(np.interp(quality, qualities, column)) for column in columns))
