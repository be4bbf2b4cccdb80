"""How a chunk is sent and what is wanted back: codec, quality, form and operations.

A session has a usual recipe, the best one that it was asked for.  From frame to frame it may take
another, where there is too little of something; each run of a chunk is by its frame's.  Results
are only like each other where their recipe is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from p2c2g.media.codecs import source_codec
from p2c2g.media.frame import Pixels
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the chunks of a frame are sent, and what is wanted back.

    Args:
        codec: name of the codec in which a chunk is sent.
        quality: of a lossy codec, 1 to 100.
        form: how the residuals that come back are written.
        operations: what is asked of the peers.
        rank: how many steps below the best of the session, which is 0.  It is no part of what a
            recipe is: two that differ in it alone are equal.
    """

    codec: str
    quality: int
    form: Form
    operations: Pipeline
    rank: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.codec} {self.quality} {self.operations.text} {self.form}"

    def encode(self, pixels: Pixels) -> bytes:
        """Write a part of a frame as it is sent.

        Raises:
            CodecError: the codec cannot hold it.
        """
        return source_codec(self.codec).encode(pixels, self.quality)
