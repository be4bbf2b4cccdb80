"""The engine that this process uses: the CPU's until a worker's step opens another."""

from __future__ import annotations

from p2c2g_workers.engine import Engine
from p2c2g_workers.engine.cpu import CpuEngine

_current: Engine = CpuEngine()


def get() -> Engine:
    """Return the engine in use."""
    return _current


def use(engine: Engine) -> None:
    """Use another engine from the next chunk on; the caller closes the one before."""
    global _current  # One a process, as Celery's tasks are.
    _current = engine
