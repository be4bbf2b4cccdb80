"""Who carries a chunk out on this peer: the processor, or a graphics card.

An engine takes the whole of it, from the encoded picture to the encoded result, since on a
graphics card the codec and the operations belong together.  A worker has one current engine; the
CPU's is always there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from p2c2g.media.frame import Rect, Size
from p2c2g.media.operations import Plan, Step

Kind = Literal["cpu", "cuda", "metal", "opencl"]


@dataclass(frozen=True, slots=True)
class Work:
    """One chunk: ``payload`` is a picture of ``size``, ``crop`` what is wanted of the result.

    Every step of ``plan`` names its method: no choice is left.
    """

    plan: Plan
    codec: str
    quality: int
    payload: bytes
    size: Size
    crop: Rect


@dataclass(frozen=True, slots=True, repr=False)
class Done:
    """What came of it: the encoded result, and microseconds of decoding and of the steps."""

    payload: bytes
    decode_us: int
    process_us: int


class Engine(Protocol):
    """Carries out chunks; several threads may call it at a time."""

    @property
    def kind(self) -> Kind:
        """Return by which interface it works."""

    def can(self, step: Step) -> bool:
        """Tell whether it has a processor, and for a net the weights, for a step."""

    def enhance(self, work: Work) -> Done:
        """Carry a chunk out.

        Raises:
            ChunkError: the chunk, or a step, cannot be done by anybody, or not here.
        """

    def close(self) -> None:
        """Give back what it holds; it is not used again."""
