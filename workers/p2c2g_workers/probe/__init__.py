"""What this machine can do: measured, not believed.

:func:`capabilities` measures, and remembers the slow half on disk; :func:`quick` only looks.

The way to the broker is measured each time that there is a client for it: a laptop moves.
Processors and codecs are remembered for as long as what they depend on stays: the versions of
everything involved, the CPU and its cores.
"""

from __future__ import annotations

import platform

import cv2
import lz4
import numpy as np
import PIL
import redis

from p2c2g import __version__
from p2c2g.peers.report import Capabilities
from p2c2g_workers.probe import cache, line, speeds
from p2c2g_workers.probe.graphics import gpus
from p2c2g_workers.probe.machine import cores, cpu_model, memory

__all__ = ["capabilities", "cores", "cpu_model", "gpus", "memory", "quick"]


def capabilities(client: redis.Redis | None = None, *, fresh: bool = False) -> Capabilities:
    """Return what this machine can do; some seconds the first time, then under two.

    Args:
        client: of the broker, to measure the way to it; without one its figures are 0, and so
            they are where it does not answer.
        fresh: measure even what is remembered.
    """
    seen = _look()
    measured = None if fresh else cache.load(_key(seen))
    if measured is None:
        measured = cache.Measured(speeds=speeds.processors(), codecs=speeds.codecs())
        cache.save(_key(seen), measured)
    way = line.measure(client) if client is not None else line.Line()
    return seen.model_copy(
        update={
            "speeds": measured.speeds,
            "codecs": measured.codecs,
            "up": way.up,
            "down": way.down,
            "rtt": way.rtt,
        }
    )


def quick() -> Capabilities:
    """Return what can be told at once: the machine, and speeds where they are remembered.

    Milliseconds, but for a graphics driver that takes its time.
    """
    seen = _look()
    measured = cache.load(_key(seen)) or cache.Measured()
    return seen.model_copy(update={"speeds": measured.speeds, "codecs": measured.codecs})


def versions() -> dict[str, str]:
    """Return the versions of all that a chunk goes through."""
    return {
        "p2c2g": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "lz4": lz4.__version__,
    }


def _look() -> Capabilities:
    found = gpus()
    return Capabilities(
        cpu=cpu_model()[:200],
        cores=cores(),
        memory=memory(),
        gpus=found,
        queues=("cpu", "gpu") if found else ("cpu",),
        versions=versions(),
    )


def _key(seen: Capabilities) -> str:
    named = sorted(seen.versions.items())
    graphics = [gpu.name for gpu in seen.gpus]
    return cache.key(named, seen.cpu, seen.cores, graphics, speeds.known(), speeds.threads())
