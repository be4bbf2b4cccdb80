"""Which frames are held out, and whether a net may be kept: pure.

A game's frames are split by time, since neighbours are alike: nothing is learnt from the later
part.  The net is kept if, on those frames after JPEG, it beats the general net of its size by a
margin, and on none of them loses to bicubic with a clamped sharpening, which costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels
from p2c2g_training.export import QUALITY, RIVALS, decibels
from p2c2g_training.measure import psnr
from p2c2g_training.pairs import doubled, pair
from p2c2g_workers.nets import Weights
from p2c2g_workers.processors.network import Network

#: The last part of the frames, which is held out.
HELD = 0.2
#: The cut moves to a scene's end that is this near to it, as a part of all frames.
NEAR = 0.1
#: Frames left out on both sides together where the cut goes through a scene.
GAP = 2
#: Fewest frames that are needed.
LEAST = 24
#: Most held-out frames that a net is judged on, evenly over their time.
JUDGED = 24
#: Most dB by which a single frame may be worse than bicubic with sharpening.
SLIP = 0.1
#: dB by which a net has to beat the general one, where nothing else is asked for.
MARGIN = 0.3


def split(scenes: Sequence[int]) -> tuple[range, range]:
    """Return the numbers of the frames that teach and of those that are held out.

    Args:
        scenes: frames of each scene, in the order of time.
    """
    count = sum(scenes)
    cut = round(count * (1 - HELD))
    ends = [end for end in accumulate(scenes) if abs(end - cut) <= NEAR * count and end < count]
    if ends:
        cut = min(ends, key=lambda end: abs(end - cut))
        return range(cut), range(cut, count)
    return range(max(0, cut - GAP)), range(cut, count)


def spread(frames: Sequence[Pixels], most: int = JUDGED) -> list[Pixels]:
    """Return at most ``most`` frames, evenly over their time."""
    keep = min(most, len(frames))
    return [frames[index * len(frames) // keep] for index in range(keep)]


def check_enough(frames: int, game: str) -> None:
    """Refuse to train on too few frames.

    Raises:
        UsageError: there are too few frames; the sentence says what to do.
    """
    if frames < LEAST:
        raise UsageError(
            f"There are {frames} frames of {game} that differ, where {LEAST} are needed: play on "
            "while it records, in several places of the game, or give more --seconds, a longer "
            "--video or more --frames."
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a net did on the held-out frames; all in dB.

    ``gain`` is the mean over the general net, ``over_bicubic`` the mean over bicubic, and
    ``worst`` the least over bicubic with sharpening on any single frame.
    """

    frames: int
    gain: float
    over_bicubic: float
    worst: float
    general: float
    margin: float

    @property
    def accepted(self) -> bool:
        """Tell whether the net may be kept."""
        return self.gain >= self.margin and self.worst >= -SLIP

    def refusal(self, game: str, size: str) -> str:
        """Return the sentence that says why it may not."""
        if self.worst < -SLIP:
            why = (
                f"on one of the {self.frames} frames held back it is {-self.worst:.2f} dB worse "
                f"than bicubic with sharpening, where at most {SLIP} is allowed"
            )
        else:
            how = "better" if self.gain >= 0 else "worse"
            why = (
                f"on the {self.frames} frames held back it is {abs(self.gain):.2f} dB {how} than "
                f"the general {size}, and it has to be at least {self.margin:g} better"
            )
        return f"The net for {game} is not kept: {why}."

    def card(self) -> dict[str, Any]:
        """Return the figures for the net's card."""
        return {
            "held_out_frames": self.frames,
            "jpeg": QUALITY,
            "db_over_general": round(self.gain, 2),
            "db_over_bicubic": round(self.over_bicubic, 2),
            "worst_db_over_sharpened": round(self.worst, 2),
            "general_db_over_bicubic": round(self.general, 2),
            "margin": self.margin,
        }


def weigh(
    ours: ArrayLike, general: ArrayLike, bicubic: ArrayLike, sharpened: ArrayLike, margin: float
) -> Judgement:
    """Return the judgement from each frame's PSNR with each method of doubling."""
    net, other, base, sharp = (
        np.asarray(each, np.float64) for each in (ours, general, bicubic, sharpened)
    )
    return Judgement(
        frames=len(net),
        gain=float((net - other).mean()),
        over_bicubic=float((net - base).mean()),
        worst=float((net - sharp).min()),
        general=float((other - base).mean()),
        margin=margin,
    )


def judge(own: Weights, general: Weights, held: Sequence[Pixels], margin: float) -> Judgement:
    """Return the judgement on a net, run by the peer's own processor on frames it never saw."""
    pairs = [pair(one, QUALITY) for one in spread(held)]

    def rival(text: str) -> NDArray[np.float64]:
        return np.array([psnr(doubled(one.small, text), one.large) for one in pairs])

    bicubic, sharpened = map(rival, RIVALS)
    return weigh(
        decibels(Network(own), pairs), decibels(Network(general), pairs), bicubic, sharpened, margin
    )
