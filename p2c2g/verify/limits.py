"""How far an honest residual may be from its source: measured, by codec and quality of the form.

Energy, bias and block are from ``python benchmarks/calibrate_checks.py fit``: the worst of some
hundred honest chunks of games, a pattern, text and noise, through every operation and by every
quality of the way up from 30 on, with a margin; block was widened where ``alarms`` refused honest
ones on other pictures, and energy of luma for black and white checks that came up at quality 30.
Place and beside are what ``alarms`` saw no honest one reach.  A worse quality is never judged more
strictly than a better one.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from p2c2g.errors import UsageError
from p2c2g.media.codecs import codec
from p2c2g.media.residual import Form


@dataclass(frozen=True, slots=True)
class Limits:
    """What an honest result stays below; ``checks.py`` says what the figures are.

    ``place`` is what it stays above.
    """

    energy: float
    bias: float
    block: float
    place: float
    beside: float


#: By codec and whether it is in colour: quality, and its limits; in between they are interpolated.
LIMITS: dict[tuple[str, bool], dict[int, Limits]] = {
    ("jpeg", False): {
        1: Limits(0.75, 0.30, 1.35, -0.10, 0.30),
        10: Limits(0.75, 0.30, 1.35, -0.10, 0.30),
        30: Limits(0.75, 0.30, 1.35, 0.00, 0.10),
        50: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
        75: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
        90: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
        100: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
    },
    ("jpeg", True): {
        1: Limits(0.49, 0.30, 1.40, -0.10, 0.30),
        10: Limits(0.49, 0.30, 1.40, -0.10, 0.30),
        30: Limits(0.49, 0.30, 1.40, 0.00, 0.10),
        50: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
        75: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
        90: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
        100: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
    },
    ("webp", False): {
        1: Limits(0.75, 0.49, 1.35, -0.10, 0.30),
        10: Limits(0.75, 0.49, 1.35, -0.10, 0.30),
        30: Limits(0.75, 0.30, 1.35, 0.00, 0.10),
        50: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
        75: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
        90: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
        100: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
    },
    ("webp", True): {
        1: Limits(0.49, 0.34, 1.40, -0.10, 0.30),
        10: Limits(0.49, 0.34, 1.40, -0.10, 0.30),
        30: Limits(0.49, 0.30, 1.40, 0.00, 0.10),
        50: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
        75: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
        90: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
        100: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
    },
    ("avif", False): {
        1: Limits(0.75, 0.30, 1.35, -0.10, 0.30),
        10: Limits(0.75, 0.30, 1.35, -0.10, 0.30),
        30: Limits(0.75, 0.30, 1.35, 0.00, 0.10),
        50: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
        75: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
        90: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
        100: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
    },
    ("avif", True): {
        1: Limits(0.49, 0.30, 1.40, -0.10, 0.30),
        10: Limits(0.49, 0.30, 1.40, -0.10, 0.30),
        30: Limits(0.49, 0.30, 1.40, 0.00, 0.10),
        50: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
        75: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
        90: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
        100: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
    },
    ("lossless", False): {
        100: Limits(0.75, 0.30, 1.35, 0.10, 0.05),
    },
    ("lossless", True): {
        100: Limits(0.49, 0.30, 1.40, 0.10, 0.05),
    },
}


def limits_for(form: Form) -> Limits:
    """Return the limits for residuals of a form.

    Raises:
        UsageError: the codec is unknown, or not calibrated.
    """
    name = "lossless" if codec(form.codec).lossless else form.codec
    rows = LIMITS.get((name, form.in_colour))
    if rows is None:
        raise UsageError(
            f"{form.codec!r} has no limits for the check of its results: measure them with "
            "benchmarks/calibrate_checks.py."
        )
    qualities = sorted(rows)
    columns = zip(*(astuple(rows[each]) for each in qualities), strict=True)
    return Limits(*(float(np.interp(form.quality, qualities, column)) for column in columns))
