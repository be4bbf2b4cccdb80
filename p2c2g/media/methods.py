"""The ways of scaling: how far each looks, and what a trained net owes.

Here and not with the processors, since a plan needs to know it, and so does the gamer's side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction


def _reach(support: int) -> Callable[[Fraction], int]:
    """Return the radius of a kernel of ``support`` pixels, widened where it scales down."""
    return lambda scale: support if scale >= 1 else math.ceil(support / scale) + 1


#: Methods of scaling: how many source pixels to each side one needs, at a given scale.
METHODS: dict[str, Callable[[Fraction], int]] = {
    "nearest": lambda _scale: 0,
    "bilinear": _reach(1),
    "bicubic": _reach(2),
    "lanczos": _reach(3),
}
DEFAULT_METHOD = "bicubic"


@dataclass(frozen=True, slots=True)
class Network:
    """What a trained net of ``upscale`` owes: one ``factor``, and how far it looks.

    ``radius`` is how many of its input's pixels to each side a result depends on.  It sees the
    picture in cells of ``cell`` pixels across and down, so a chunk has to begin at one.
    """

    factor: int
    radius: int
    cell: int


#: The nets, cheapest first: the peer's processor has the weights, and may be without them.
NETWORKS = {
    "ml-tiny": Network(factor=2, radius=7, cell=2),
    "ml-small": Network(factor=2, radius=13, cell=2),
    "ml-large": Network(factor=2, radius=21, cell=2),
}
#: The method that leaves the choice of the net, and as a last resort bicubic, to the peer.
ANY_NETWORK = "ml"
#: Most weights of one's own in one operation: one of each size.
MAX_WEIGHTS = len(NETWORKS)
#: All methods of ``upscale`` that are learnt.
LEARNT = {
    **NETWORKS,
    ANY_NETWORK: Network(factor=2, radius=max(net.radius for net in NETWORKS.values()), cell=2),
}
