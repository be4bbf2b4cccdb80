"""What is kept on a device between chunks: plans made ready, nets, and recorded graphs.

Each of the three is bounded, and the least recently used goes.  One thread uses it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from p2c2g.media.frame import Size
from p2c2g.media.operations import Plan
from p2c2g_workers.gpu.adding import Adding
from p2c2g_workers.gpu.device import Device, Work
from p2c2g_workers.gpu.network import TorchNet
from p2c2g_workers.nets import Weights

MAX_PLANS, MAX_NETS, MAX_GRAPHS = 16, 8, 16
#: Runs of a plan with as many pictures after which it is recorded as a graph.
WARM = 3


@dataclass(frozen=True, slots=True)
class Place:
    """What a plan is made ready for.

    ``size`` is that of the pictures, and ``weights`` names those of its nets; the others are those
    of :class:`~p2c2g_workers.gpu.adding.Adding`.
    """

    plan: Plan
    size: Size
    weights: tuple[str, ...]
    in_colour: bool
    is_narrow: bool


class Stock:
    """Plans, nets and graphs of one device."""

    def __init__(self, device: Device, *, half: bool = False, compiled: bool = False) -> None:
        """Begin without any; ``half`` and ``compiled`` are the nets'."""
        self._device, self._half, self._compiled = device, half, compiled
        self._plans: OrderedDict[Place, Adding] = OrderedDict()
        self._nets: OrderedDict[str, TorchNet] = OrderedDict()
        #: By place and number of pictures: how often it ran, and then its graph.
        self._graphs: OrderedDict[tuple[Place, int], Work | int] = OrderedDict()

    def plan(self, place: Place, weights: Sequence[Weights]) -> Adding:
        """Return the plan of a place, made ready.

        Raises:
            ProcessorError: a step cannot be done on a card.
        """
        if place not in self._plans:
            nets = [self._net(one) for one in weights]
            self._plans[place] = Adding(
                place.plan, self._device.device, nets,
                in_colour=place.in_colour, is_narrow=place.is_narrow,
            )  # fmt: skip
        self._plans.move_to_end(place)
        while len(self._plans) > MAX_PLANS:
            gone, _ = self._plans.popitem(last=False)
            for known in [one for one in self._graphs if one[0] == gone]:
                self._drop(known)
        return self._plans[place]

    def run(self, place: Place, pixels: Tensor) -> Tensor:
        """Run a place's plan: proved the first time, and as a graph once it is warm.

        :meth:`plan` must have been called for it just before.
        """
        ready, key = self._plans[place], (place, len(pixels))
        known = self._graphs.get(key, 0)
        if isinstance(known, int):
            if known == 0:
                ready.prove(pixels)
            graph = self._device.record(ready, pixels) if known == WARM else None
            self._graphs[key] = graph or known + 1
        self._graphs.move_to_end(key)
        while len(self._graphs) > MAX_GRAPHS:
            self._drop(next(iter(self._graphs)))
        return ready(pixels) if isinstance(known, int) else known(pixels)

    def drop_graphs(self) -> None:
        """Free the memory of the graphs; they are recorded again when they are warm again."""
        self._device.drain()
        self._graphs.clear()
        self._device.free()

    def clear(self) -> None:
        """Free everything."""
        self.drop_graphs()
        self._plans.clear()
        self._nets.clear()
        self._device.free()

    def _drop(self, key: tuple[Place, int]) -> None:
        """Forget a graph; it may be running, and it reads its plan's tables."""
        if not isinstance(self._graphs[key], int):
            self._device.drain()
        del self._graphs[key]

    def _net(self, weights: Weights) -> TorchNet:
        if weights.name not in self._nets:
            self._nets[weights.name] = TorchNet(
                weights, self._device.device, half=self._half, compiled=self._compiled
            )
        self._nets.move_to_end(weights.name)
        while len(self._nets) > MAX_NETS:
            self._nets.popitem(last=False)
        return self._nets[weights.name]
