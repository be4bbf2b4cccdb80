"""A worker with a graphics card that a test can break: ``celery -A tests.gpu_app worker -Q gpu``.

The card is the CPU under another name.  The key :data:`FAULT` at the broker says what is wrong
with it, :data:`DONE` counts the chunks that it did.
"""

from __future__ import annotations

import os
from typing import Any

import redis
from celery import Celery

from p2c2g.celery import create_app
from p2c2g.messaging.client import redis_client
from p2c2g.peers.messages import Gpu
from p2c2g.settings import load
from p2c2g_workers import probe
from p2c2g_workers.engine import Done, Engine, Kind, Work, choosing, guarded
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.gpu.errors import OutOfMemory
from p2c2g_workers.probe import speeds
from tests.lazy_app import attribute

FAULT, DONE = "test.gpu.fault", "test.gpu.done"
CARD = Gpu(name="Test card", kind="cuda", memory=8 << 30)
#: Set where the card is to fail the trial, and where PyTorch's CPU device is to be the card.
BAD, TORCH = "TEST_GPU_BAD", "TEST_GPU_TORCH"
#: Seconds until a lost card is tried again.
PAUSE = 0.2


class Card(CpuEngine):
    """Does what the CPU does, or what its fault is."""

    kind: Kind = "cuda"

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def enhance(self, work: Work) -> Done:
        fault: Any = self._client.get(FAULT)
        if fault == b"memory":
            raise OutOfMemory("no memory for one chunk")
        if fault is not None:
            raise RuntimeError(fault.decode())
        done = super().enhance(work)
        self._client.incr(DONE)
        return done


def _open(_settings: object) -> Engine:
    if os.environ.get(BAD):
        raise OSError("libtest.so: cannot open shared object file")
    if os.environ.get(TORCH):
        return _torch()
    return Card(redis_client(load()))


def _torch() -> Engine:
    from p2c2g_workers.gpu.engine import TorchEngine

    class TorchCard(TorchEngine):
        """PyTorch's CPU device, as if it were a card."""

        @property
        def kind(self) -> Kind:
            return "cuda"

    return TorchCard("cpu")


def build() -> Celery:
    """Return the pool's application for a machine with such a card."""
    probe.gpus = lambda: (CARD,)
    choosing.OPENERS["cuda"] = _open
    guarded.FIRST = guarded.LONGEST = PAUSE
    if os.environ.get(TORCH):
        # All nets by PyTorch's CPU device are most of a minute, and more on a busy machine.
        speeds.known = lambda: ("upscale:bicubic",)
    return create_app(load())


def __getattr__(name: str) -> Celery:
    """Build ``app`` when the worker asks for it; a test only wants the names."""
    return attribute(globals(), build, name)
