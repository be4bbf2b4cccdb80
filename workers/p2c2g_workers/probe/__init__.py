"""What this machine can do: measured, not believed.

:func:`capabilities` measures, and remembers the slow half on disk; :func:`quick` only looks.
Both describe one engine: the speeds are that engine's, and ``gpu`` is among the queues only where
it is a graphics card's, which has then passed its trial (:mod:`p2c2g_workers.engine.choosing`).
Cards are listed in any case.

The line to the broker is measured whenever there is a client for it: a laptop moves.
Processors and codecs are remembered for as long as what they depend on stays the same: the
versions of everything involved, the CPU and its cores, the engine and its settings, the nets.
"""

from __future__ import annotations

import platform
from functools import cache as _once
from importlib.metadata import PackageNotFoundError, version

import cv2
import lz4
import numpy as np
import PIL

from p2c2g import __version__
from p2c2g.media.methods import NETWORKS
from p2c2g.messaging.client import Client
from p2c2g.peers.messages import Capabilities
from p2c2g.settings import load
from p2c2g.system.cpus import cores
from p2c2g_workers import nets
from p2c2g_workers.engine import Engine
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.probe import cache, line, speeds
from p2c2g_workers.probe.graphics import gpus
from p2c2g_workers.probe.machine import cpu_model, memory

__all__ = ["capabilities", "cpu_model", "gpus", "memory", "quick", "versions"]

#: Packages that a chunk goes through only where they are installed, or only on a graphics card.
_OPTIONAL = ("onnxruntime",)
_ON_CARDS = ("torch", "torchvision")


def capabilities(
    client: Client | None = None,
    *,
    engine: Engine | None = None,
    fresh: bool = False,
    stop: speeds.Stop = lambda: False,
    line_key: str | None = None,
) -> Capabilities:
    """Return what this machine can do; some seconds the first time, then under two.

    Args:
        client: of the broker, to measure the line to it; without one its figures are 0, as they
            are where it does not answer.
        engine: the one in use; the CPU's where it is None.
        fresh: measure even what is remembered.
        stop: asked now and then; once it returns True, the rest is not measured.
        line_key: what is sent to and fro; one of the pool's own where None.
    """
    used = engine or CpuEngine()
    kind = used.kind
    seen = _look(used)
    measured = None if fresh else cache.load(_key(seen, used), kind)
    if measured is None:
        measured = cache.Measured(
            speeds=speeds.processors(used, stop), codecs=speeds.codecs(used, stop)
        )
        # Else the engine changed meanwhile and the figures are mixed, or they are incomplete.
        if used.kind == kind and not stop():
            cache.save(_key(seen, used), measured, kind)
    found = line.measure(client, line_key) if client is not None and not stop() else line.Line()
    return seen.model_copy(
        update={
            "speeds": measured.speeds,
            "codecs": measured.codecs,
            "up": found.up,
            "down": found.down,
            "rtt": found.rtt,
        }
    )


def quick(engine: Engine | None = None) -> Capabilities:
    """Return what is known at once: the machine, and speeds where they are remembered.

    Takes milliseconds, unless a graphics driver takes longer.

    Args:
        engine: the one in use; the CPU's where it is None.
    """
    used = engine or CpuEngine()
    seen = _look(used)
    measured = cache.load(_key(seen, used), used.kind) or cache.Measured()
    return seen.model_copy(update={"speeds": measured.speeds, "codecs": measured.codecs})


def versions(*, card: bool = False) -> dict[str, str]:
    """Return the versions of all packages that a chunk goes through, with or without a card."""
    found = {
        "p2c2g": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "lz4": lz4.__version__,
    }
    for name in (*_OPTIONAL, *(_ON_CARDS if card else ())):
        installed = _version(name)
        if installed is not None:
            found[name] = installed
    return found


@_once
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _look(engine: Engine) -> Capabilities:
    return Capabilities(
        cpu=cpu_model()[:200],
        cores=cores(),
        memory=memory(),
        gpus=gpus(),
        queues=("cpu",) if engine.kind == "cpu" else ("cpu", "gpu"),
        versions=versions(card=engine.kind in ("cuda", "metal")),
    )


def _key(seen: Capabilities, engine: Engine) -> str:
    named = sorted(seen.versions.items())
    graphics = [gpu.name for gpu in seen.gpus]
    worker = load().worker
    card = None if engine.kind == "cpu" else (worker.gpu, worker.gpu_batch, worker.gpu_half)
    return cache.key(
        named, seen.cpu, seen.cores, graphics, speeds.known(), speeds.threads(),
        engine.kind, card, _nets(),
    )  # fmt: skip


def _nets() -> list[str]:
    """Return the hashes of the package's nets."""
    return [str(nets.card(name)["sha256"]) for name in NETWORKS if nets.is_shipped(name)]
