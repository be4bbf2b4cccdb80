"""How far an honest residual may be from its source: measured, by codec and quality of the form.

Written by ``python benchmarks/calibrate_checks.py fit``: the worst of thousands of honest
chunks of games, a pattern, text and noise, through every operation and by every quality of the
way up from 30 on, with a margin.  A worse quality is never judged more strictly than a better
one.
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

    ``place`` is what it stays above.  ``shift`` is in source pixels, or in those of the smallest
    picture on the way where the pipeline scales down.
    """

    energy: float
    bias: float
    block: float
    place: float
    shift: float


#: By codec and whether it is in colour: quality, and its limits; in between they are interpolated.
LIMITS: dict[tuple[str, bool], dict[int, Limits]] = {
    (name, in_colour): {100: Limits(1, 1, 1, 0, 1.4)}
    for name in ("jpeg", "webp", "avif", "lossless")
    for in_colour in (False, True)
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
