"""What is heard of a game: from the machine's sound server to Opus packets.

A source gives twenty milliseconds at a time, each with the time of its first sample; the stream's
thread encodes them and hands them to a hub, from which viewers and the recording take them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Twenty milliseconds of sound: (960, 2) samples, ``int16``, left and right.

    ``captured_at`` is the time of the first one, in seconds of the session's clock.
    """

    samples: Samples
    captured_at: float


class SoundSource(Protocol):
    """Something that gives sound, twenty milliseconds at a time."""

    #: What a person calls it, such as ``the game``.
    name: str

    def read(self) -> Block | None:
        """Wait for the next twenty milliseconds; None where there are none now, or no more.

        It waits for half a second at most, so that its reader can end.
        """
        ...

    def notice(self) -> str:
        """Return what a viewer should know of the sound now, one sentence without its end."""
        return ""

    def close(self) -> None:
        """Release what the source holds, once nobody reads; may be called twice."""
        ...
