"""Which frames are held out, and whether a net may be kept: pure.

A game's frames are split by time, since neighbours are alike: nothing is learnt from the later
part.  The net is kept if, on those frames and through the codecs both ways, it beats the best of
what the gamer's own machine does for nothing by a margin, and loses to that on none of them; and
if it is no worse than the general net of its size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels
from p2c2g_training.rivals import BASE, FORM, QUALITY, decibels, free, judged
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
#: Most dB by which a single frame may be worse than with the best way that costs nothing.
SLIP = 0.1
#: dB by which a net has to beat that way, where nothing else is asked for.
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

    ``best`` is the best way that costs nothing, ``gain`` the mean over that and ``worst`` the
    least on any single frame; ``over_base`` is the mean over the base, ``over_general`` that over
    the general net, and ``general`` is the general net's mean over ``best``.
    """

    frames: int
    best: str
    gain: float
    worst: float
    over_base: float
    over_general: float
    general: float
    margin: float

    @property
    def accepted(self) -> bool:
        """Tell whether the net may be kept."""
        return self.gain >= self.margin and self.worst >= -SLIP and self.over_general >= 0

    def refusal(self, game: str, size: str) -> str:
        """Return the sentence that says why it may not."""
        if self.worst < -SLIP:
            why = (
                f"on one of the {self.frames} frames held back it is {-self.worst:.2f} dB worse "
                f"than {self.best}, which costs nothing, where at most {SLIP} is allowed"
            )
        elif self.gain < self.margin:
            how = "better" if self.gain >= 0 else "worse"
            why = (
                f"on the {self.frames} frames held back it is {abs(self.gain):.2f} dB {how} than "
                f"{self.best}, which costs nothing, and it has to be at least {self.margin:g} "
                "better"
            )
        else:
            why = (
                f"on the {self.frames} frames held back it is {-self.over_general:.2f} dB worse "
                f"than the general {size}"
            )
        return f"The net for {game} is not kept: {why}."

    def card(self) -> dict[str, Any]:
        """Return the figures for the net's card."""
        return {
            "held_out_frames": self.frames,
            "jpeg_up": QUALITY,
            "jpeg_down": FORM.quality,
            "best_of_own_machine": self.best,
            "db_over_best": round(self.gain, 2),
            "worst_db_over_best": round(self.worst, 2),
            "db_over_base": round(self.over_base, 2),
            "db_over_general": round(self.over_general, 2),
            "general_db_over_best": round(self.general, 2),
            "margin": self.margin,
        }


def weigh(
    ours: ArrayLike, general: ArrayLike, rivals: Mapping[str, ArrayLike], margin: float
) -> Judgement:
    """Return the judgement from each frame's PSNR with each way of doubling.

    Args:
        ours: with the net.
        general: with the general net of its size.
        rivals: with what costs nothing, by name; :data:`~p2c2g_training.rivals.BASE` is one.
        margin: in dB.
    """
    free = {name: np.asarray(values, np.float64) for name, values in rivals.items()}
    net, other = np.asarray(ours, np.float64), np.asarray(general, np.float64)
    best = max(free, key=lambda name: float(free[name].mean()))
    return Judgement(
        frames=len(net),
        best=best,
        gain=float((net - free[best]).mean()),
        worst=float((net - free[best]).min()),
        over_base=float((net - free[BASE]).mean()),
        over_general=float((net - other).mean()),
        general=float((other - free[best]).mean()),
        margin=margin,
    )


def judge(own: Weights, general: Weights, held: Sequence[Pixels], margin: float) -> Judgement:
    """Return the judgement on a net, run by the peer's own processor on frames it never saw."""
    pairs = judged(spread(held))
    return weigh(
        decibels(Network(own), pairs), decibels(Network(general), pairs), free(pairs), margin
    )
