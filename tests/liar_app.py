"""The pool's application as a lying peer runs it: every result is a black picture."""

from __future__ import annotations

import numpy as np

from p2c2g.celery import create_app
from p2c2g.media.frame import Pixels
from p2c2g.media.operations import Plan
from p2c2g.settings import load
from p2c2g_workers.engine import cpu

app = create_app(load())
_honest = cpu.run


def _lie(plan: Plan, pixels: Pixels) -> Pixels:
    return np.zeros_like(_honest(plan, pixels))


cpu.run = _lie  # type: ignore[attr-defined]
