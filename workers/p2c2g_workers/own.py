"""What the gamer's own machine does without a pool: the same operations, on its own pixels."""

from __future__ import annotations

import numpy as np

from p2c2g.media.frame import Pixels, Rect
from p2c2g.media.operations import Plan
from p2c2g.media.residual import Form, Residual
from p2c2g.session.own import Enhancer
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.adding import added
from p2c2g_workers.processors import CPU


def enhancer(plan: Plan, form: Form) -> Enhancer:
    """Return what computes the residual of a whole frame of a plan."""
    whole = Rect(0, 0, plan.output.width, plan.output.height)
    work = Work(plan, "raw", b"", plan.source, whole, form)

    def enhance(pixels: Pixels) -> Residual:
        return added(CPU, work, np.ascontiguousarray(pixels[:, :, :3]))

    return enhance
