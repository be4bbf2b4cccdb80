"""The methods of scaling: how many pixels around each depends on, and what a trained net is like.

``base`` is the base layer's own way (:mod:`p2c2g.media.base`): a peer that scales by it adds
nothing to what the gamer's machine makes by itself.

Here and not with the processors, since plans and the gamer's side need to know it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from p2c2g.media.kernels import kernel


@dataclass(frozen=True, slots=True)
class Kernel:
    """A method of scaling by any factor, which weighs the pixels around.

    ``support`` is how many source pixels to each side it weighs where it enlarges.  Where it
    scales down it widens with the scale; with a support of 0 it picks one pixel and ignores others.
    """

    support: int
    #: It sees single pixels.
    cell: ClassVar[int] = 1

    @property
    def leaves_out(self) -> bool:
        """Tell whether it leaves source pixels out where it scales down."""
        return not self.support

    def reach(self, scale: Fraction) -> int:
        """Return how many source pixels to each side a result depends on."""
        if scale >= 1 or self.leaves_out:
            return self.support
        return math.ceil(self.support / scale) + 1


@dataclass(frozen=True, slots=True)
class Base:
    """The base layer's way of scaling."""

    #: It sees single pixels, and each of them.
    cell: ClassVar[int] = 1
    leaves_out: ClassVar[bool] = False

    def reach(self, scale: Fraction) -> int:
        """Return how many source pixels to each side a result depends on."""
        return kernel(scale).reach


#: The method of the base layer.
BASE = "base"
#: Methods of scaling by any factor.
METHODS: dict[str, Kernel | Base] = {
    BASE: Base(),
    "nearest": Kernel(0),
    "bilinear": Kernel(1),
    "bicubic": Kernel(2),
    "lanczos": Kernel(3),
}
DEFAULT_METHOD = BASE


@dataclass(frozen=True, slots=True)
class Network:
    """A trained net of ``upscale``: its one ``factor``, and the pixels that it depends on.

    ``radius`` is on how many of its input's pixels to each side a result depends.  It takes the
    picture in cells of ``cell`` pixels across and down, so a chunk has to begin at one.
    """

    factor: int
    radius: int
    cell: int

    def reach(self, _scale: Fraction) -> int:
        """Return ``radius``: it has only one scale."""
        return self.radius


#: The nets, cheapest first: the peer's processor has the weights, and may be without them.
NETWORKS = {
    "ml-tiny": Network(factor=2, radius=7, cell=2),
    "ml-small": Network(factor=2, radius=13, cell=2),
    "ml-large": Network(factor=2, radius=21, cell=2),
}
#: What methods cost, in parts of the best general net's time, with all that a chunk costs besides:
#: as measured on one core (docs/upscaling.md).
WORK = {BASE: 0.1, "ml-tiny": 0.3, "ml-small": 1.0, "ml-large": 2.9}
#: The method that leaves the choice of the net to the peer, which may also add nothing.
ANY_NETWORK = "ml"
#: Most own weights of a gamer in one operation: one of each size.
MAX_WEIGHTS = len(NETWORKS)
#: The methods that are learnt.
LEARNT = {
    **NETWORKS,
    ANY_NETWORK: Network(factor=2, radius=max(net.radius for net in NETWORKS.values()), cell=2),
}
#: Every method of scaling.
SCALING: dict[str, Kernel | Base | Network] = {**METHODS, **LEARNT}
