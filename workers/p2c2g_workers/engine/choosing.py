"""Which engine a machine gets: the first graphics card that does a real chunk right, or the CPU.

Each interface has an opener, called only where the interface found a card, since importing
PyTorch alone takes seconds.  A missing or broken library is one line that says what to install.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.peers.messages import Gpu
from p2c2g.settings import WorkerSettings
from p2c2g_workers import gpu as _gpu
from p2c2g_workers.engine import Engine, Kind
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.engine.guarded import said
from p2c2g_workers.engine.opencl import OpenClEngine
from p2c2g_workers.engine.trial import try_out
from p2c2g_workers.handlers import handlers_kept

logger = logging.getLogger(__name__)

#: Opens an engine, or raises whatever its library does.
Opener = Callable[[WorkerSettings], Engine]


@dataclass(frozen=True, slots=True)
class Trial:
    """A card, and what is wrong with it; None where it works."""

    gpu: Gpu
    problem: str | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine to use, and every card that was tried, in order."""

    engine: Engine
    trials: tuple[Trial, ...] = ()

    @property
    def gpu(self) -> Gpu | None:
        """Return the card that is used."""
        return next((trial.gpu for trial in self.trials if trial.problem is None), None)

    @property
    def problems(self) -> str:
        """Return what is wrong with the cards that were tried, empty where no card was."""
        return "; ".join(
            f"{trial.gpu.name} ({trial.gpu.kind}): {trial.problem}"
            for trial in self.trials
            if trial.problem is not None
        )


@handlers_kept()
def open_engine(settings: WorkerSettings, gpus: Sequence[Gpu]) -> Choice:
    """Open the best engine that passes the trial; log a line for each that does not.

    Args:
        settings: which card, how much of its memory, how many chunks at once.
        gpus: those that the machine has, from :func:`~p2c2g_workers.probe.gpus`.

    Raises:
        UsageError: the settings name a card that is not there, or more memory than it has.
    """
    trials: list[Trial] = []
    spare = CpuEngine()
    for kind, opener in OPENERS.items():
        cards = [gpu for gpu in gpus if gpu.kind == kind]
        if not cards:
            continue
        card = _chosen(cards, settings.gpu) if kind == "cuda" else cards[0]
        try:
            engine = opener(settings)
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - libraries' errors share no class
            problem: str | None = _advice(kind, error)
        else:
            problem = _tried(engine, spare)
            if problem is None:
                return Choice(engine, (*trials, Trial(card, None)))
            engine.close()
        logger.warning("The graphics card %s is not used by %s: %s.", card.name, kind, problem)
        trials.append(Trial(card, problem))
    return Choice(spare, tuple(trials))


def _tried(engine: Engine, spare: Engine) -> str | None:
    try:
        return try_out(engine, spare)
    except Exception as error:  # noqa: BLE001 - drivers' errors share no class
        return f"it fails at a chunk ({said(error)})"


def _chosen(cards: Sequence[Gpu], index: int) -> Gpu:
    if index < len(cards):
        return cards[index]
    names = ", ".join(f"{number} ({card.name})" for number, card in enumerate(cards))
    raise UsageError(f"P2C2G_WORKER_GPU={index} names no card of this machine: it has {names}.")


def _advice(kind: str, error: Exception) -> str:
    if isinstance(error, UnavailableError):
        return said(error)
    if kind == "opencl":
        return f"OpenCV does not open it ({said(error)})"
    return f'PyTorch does not open it ({said(error)}): pip install "p2c2g[{kind}]"'


def _torch(device: str, kind: str, settings: WorkerSettings) -> Engine:
    if _gpu.MISSING:
        raise UnavailableError(f'PyTorch is not installed: pip install "p2c2g[{kind}]"')
    from p2c2g_workers.gpu.engine import TorchEngine

    limit = settings.gpu_memory_mb
    return TorchEngine(
        device,
        half=settings.gpu_half,
        max_batch=settings.gpu_batch,
        memory_limit=None if limit is None else limit << 20,
    )


def _cuda(settings: WorkerSettings) -> Engine:
    # In the driver's own numbering, which is how the probe lists them.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    return _torch(f"cuda:{settings.gpu}", "cuda", settings)


def _metal(settings: WorkerSettings) -> Engine:
    return _torch("mps", "metal", settings)


def _opencl(_settings: WorkerSettings) -> Engine:
    return OpenClEngine()


#: Openers by interface, the best first.  Tests put their own here.
OPENERS: dict[Kind, Opener] = {"cuda": _cuda, "metal": _metal, "opencl": _opencl}
