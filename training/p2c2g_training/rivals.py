"""What a gamer sees with a net, and what their own machine makes for nothing.

A net has to beat the best of these ways of doubling, each of the *undamaged* small picture, while
the net itself is fed and answers through the codecs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form
from p2c2g_training.fsr import fsr
from p2c2g_training.measure import psnr
from p2c2g_training.pairs import Pair, based, compressed, pair, shown
from p2c2g_workers.processors import run
from p2c2g_workers.processors.network import Network

#: Quality of the JPEG in which a picture arrives when nets are judged.
QUALITY = 80
#: How what a net adds travels back then.
FORM = Form("jpeg", 75)


def doubled(own: Pixels, text: str) -> Pixels:
    """Return a picture doubled by processors that need no net."""
    return run(Pipeline.parse(text).resolve(Size.of(own)), own)


#: What is shown where no net has answered.
BASE = "the base layer"
#: What costs the gamer's own machine a few milliseconds.
RIVALS: dict[str, Callable[[Pixels], Pixels]] = {
    BASE: based,
    "Lanczos": lambda own: doubled(own, "upscale:2:lanczos"),
    "sharpened bicubic": lambda own: doubled(own, "upscale:2:bicubic,sharpen:0.5"),
    "FSR": fsr,
}


def judged(frames: Sequence[Pixels]) -> list[Pair]:
    """Return the pairs of large frames that nets are judged on, scaled down by area."""
    return [pair(one, QUALITY) for one in frames]


def drawn(small: Sequence[Pixels], large: Sequence[Pixels]) -> list[Pair]:
    """Return the pairs of frames that a game drew at both sizes."""
    both = zip(small, large, strict=True)
    return [Pair(own, compressed(own, QUALITY), whole) for own, whole in both]


def enhanced(network: Network, one: Pair) -> Pixels:
    """Return what a gamer sees who has a net's answer, through the codecs both ways."""
    under = based(one.own)
    answer = FORM.encode(network.added(one.arrived)[:, :, None])
    return shown(under, FORM.decode(answer, Size.of(under)))


def decibels(network: Network, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return the PSNR of what a gamer sees of each pair with a net."""
    return np.array([psnr(enhanced(network, one), one.large) for one in pairs])


def free(pairs: Sequence[Pair]) -> dict[str, NDArray[np.float64]]:
    """Return the PSNR of each pair with each way that costs nothing."""
    return {
        name: np.array([psnr(way(one.own), one.large) for one in pairs])
        for name, way in RIVALS.items()
    }
