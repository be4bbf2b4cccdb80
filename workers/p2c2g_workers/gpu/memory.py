"""How much memory a plan takes, by the size of the pictures and how many there are at once.

A card reports its own peak, with everything that its libraries take.  Elsewhere the peak of
PyTorch's tensors is counted, operation by operation: a card needs at least that, since the same
tensors are made there.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from p2c2g.media.frame import Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Plan
from p2c2g_workers import nets
from p2c2g_workers.engine.adding import From
from p2c2g_workers.gpu.adding import Adding, source
from p2c2g_workers.gpu.device import Device, out_of_memory
from p2c2g_workers.gpu.network import TorchNet


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes at most for ``batch`` pictures of ``size``, the net's weights included.

    ``peak`` is None where there was no memory for it; ``told`` says whether it is the card's
    own figure, libraries included, or a count of tensors.
    """

    size: Size
    batch: int
    peak: int | None
    told: bool


def measure(
    device: Device, plans: Mapping[Size, Plan], batches: Sequence[int], *, half: bool = False
) -> Iterator[Memory]:
    """Yield the peaks of plans, each by the size of its pictures.

    Raises:
        ProcessorError: a step is not done on a card, or its weights are not here.
    """
    for size, plan in plans.items():
        for batch in batches:
            try:
                yield _measured(device, plan, size, batch, half)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                yield Memory(size, batch, None, told=device.device.type == "cuda")
            device.free()


#: PyTorch gives it no types.
_Mode: Any = TorchDispatchMode


class Count(_Mode):
    """Counts the bytes of the living tensors, and their peak, inside a ``with`` block."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._live = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        _types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Let an operation run, and count what it made."""
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, Tensor):
                self._add(one)
        return made

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        place = storage.data_ptr()
        if place in self._known or not storage.nbytes():
            return
        self._known.add(place)
        self._live += storage.nbytes()
        self.peak = max(self.peak, self._live)
        weakref.finalize(storage, self._remove, place, storage.nbytes())

    def _remove(self, place: int, size: int) -> None:
        self._known.discard(place)
        self._live -= size


def _measured(device: Device, plan: Plan, size: Size, batch: int, half: bool) -> Memory:
    weights = [nets.find(step) for step in plan.steps if step.method in NETWORKS]
    told = device.device.type == "cuda"
    if told:
        torch.cuda.reset_peak_memory_stats(device.device)
        before = torch.cuda.memory_allocated(device.device)
    count = Count()
    with device.stage("steps"), count:
        made = [TorchNet(one, device.device, half=half) for one in weights]
        work = Adding(plan, device.device, made, is_narrow=True)
        channels = 1 if source(plan, in_colour=False) is From.LUMA else 3
        shape = (batch, size.height, size.width, channels)
        work(torch.zeros(shape, dtype=torch.uint8, device=device.device))
    device.drain()
    peak = torch.cuda.max_memory_allocated(device.device) - before if told else count.peak
    return Memory(size, batch, peak, told)
