"""What processes a chunk on this peer: the CPU, or a graphics card.

An engine does all of it, from the encoded picture to the encoded residual, since on a graphics
card the codec and the operations belong together.  A worker has one current engine; the CPU's is
always available.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from p2c2g.media.frame import Rect, Size
from p2c2g.media.operations import Plan, Step
from p2c2g.media.residual import Form

Kind = Literal["cpu", "cuda", "metal", "opencl"]


@dataclass(frozen=True, slots=True)
class Work:
    """One chunk: ``payload`` is a picture of ``size``, in a ``codec``.

    ``crop`` is the part of the enhanced picture of which the residual is wanted, written as
    ``form`` says; it begins at a cell.  Every step of ``plan`` names its method: no choice is
    left open.
    """

    plan: Plan
    codec: str
    payload: bytes
    size: Size
    crop: Rect
    form: Form


@dataclass(frozen=True, slots=True, repr=False)
class Done:
    """The encoded residual, and the microseconds that decoding and the steps took."""

    payload: bytes
    decode_us: int
    process_us: int


class Engine(Protocol):
    """Processes chunks; several threads may call it at a time."""

    @property
    def kind(self) -> Kind:
        """Return the interface that it works through."""

    def can(self, step: Step) -> bool:
        """Tell whether it has a processor, and for a net the weights, for a step."""

    def enhance(self, work: Work) -> Done:
        """Process a chunk.

        Raises:
            ChunkError: the chunk or a step cannot be done, at all or on this peer.
        """

    def close(self) -> None:
        """Release what it holds; it is not used again."""
