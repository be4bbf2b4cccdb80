"""The pool's application as a lying peer runs it: every result is a black picture."""

from __future__ import annotations

import numpy as np

from p2c2g.celery import create_app
from p2c2g.media.frame import Pixels
from p2c2g.media.operations import Plan
from p2c2g.settings import load
from p2c2g_workers.engine import current
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.processors import CPU
from p2c2g_workers.processors.registry import Registry

app = create_app(load())


class _Liar(Registry):
    def run(self, plan: Plan, pixels: Pixels) -> Pixels:
        return np.zeros_like(super().run(plan, pixels))


class _LyingEngine(CpuEngine):
    registry = _Liar(CPU)


current.use(_LyingEngine())
