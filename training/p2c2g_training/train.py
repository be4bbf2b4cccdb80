"""Training one net: seeded, resumable, and it leaves its curve.

What is learnt is the mean PSNR of patches, by Adam with a warmed-up cosine; for the last
``ROUNDED`` part of the steps the net rounds as it will at the peer.  A run is a folder:
``state.pt`` after every ``EVERY`` steps, ``curve.csv``, and at the end what
:mod:`training.export` makes of it.  The same seed, frames and number of threads give the same
net, whether or not the run was interrupted.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from p2c2g.media.frame import Pixels
from training.measure import psnr
from training.nets import CELL_IN, Net, Shape, cells, large_cells
from training.pairs import MARGIN, Pair, Patches, doubled, pair

#: Steps between two states and two points of the curve.
EVERY = 250
#: The part of the steps, at the end, that rounds.
ROUNDED = 0.4
#: A squared error that is as good as none, in levels.
_QUIET = 2.0
#: Frames that the curve is measured on.
_WATCHED = 4


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run is: ``steps`` of ``batch`` patches, from ``seed``, at most at ``rate``."""

    shape: Shape
    steps: int
    seed: int = 1
    batch: int = 16
    rate: float = 1e-3


def train(
    terms: Terms,
    frames: Sequence[Sequence[Pixels]],
    held: Sequence[Pixels],
    folder: Path,
    *,
    begin: Path | None = None,
    tell: Callable[[str], None] = print,
) -> Net:
    """Train a net and return it, rounding; goes on from the folder's state where there is one.

    Args:
        terms: the size, the length and the seed.
        frames: large frames to learn from, by game.
        held: large frames that are only looked at, for the curve.
        folder: the run's own.
        begin: another run's ``state.pt`` of the same shape, to start from.
        tell: gets a line at every point of the curve.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(terms.seed)
    net = Net(terms.shape)
    rate = terms.rate
    if begin is not None:
        net.load_state_dict(torch.load(begin)["net"])
        # What is known already should not be shaken off.
        rate /= 2
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    patches = Patches(frames, terms.seed)
    watched = [pair(one, 85) for one in held[:: max(1, len(held) // _WATCHED)]][:_WATCHED]
    bases = [doubled(one.small) for one in watched]
    state, curve = folder / "state.pt", folder / "curve.csv"
    rows: list[tuple[int, float, float]] = []
    start = 0
    if state.is_file():
        kept: dict[str, Any] = torch.load(state, weights_only=False)
        net.load_state_dict(kept["net"])
        optimiser.load_state_dict(kept["optimiser"])
        patches.state = kept["patches"]
        start, rows = kept["step"], kept["rows"]
    loss_sum = 0.0
    for step in range(start, terms.steps):
        net.rounding = step >= (1 - ROUNDED) * terms.steps
        for group in optimiser.param_groups:
            group["lr"] = rate * _schedule(step / terms.steps)
        loss = _loss(net, *patches.batch(terms.batch))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimiser.step()
        loss_sum += float(loss.detach())
        if (step + 1) % EVERY == 0 or step + 1 == terms.steps:
            gain = _gain(net, watched, bases)
            rows.append((step + 1, loss_sum / ((step % EVERY) + 1), gain))
            loss_sum = 0.0
            tell(f"step {step + 1} of {terms.steps}: loss {rows[-1][1]:.3f}, {gain:+.2f} dB")
            kept = {
                "net": net.state_dict(),
                "optimiser": optimiser.state_dict(),
                "patches": patches.state,
                "step": step + 1,
                "rows": rows,
            }
            torch.save(kept, state.with_suffix(".new"))
            state.with_suffix(".new").replace(state)
            with curve.open("w", newline="") as file:
                csv.writer(file).writerows([("step", "loss", "gain_db"), *rows])
    net.rounding = True
    return net


def corrected(net: Net, small: Pixels, base: Pixels) -> Pixels:
    """Return what a net makes of a picture whose edges are whole cells, by PyTorch."""
    border = 2 * net.shape.depth
    padded = np.pad(small, ((border, border), (border, border), (0, 0)), mode="edge")
    with torch.no_grad():
        added = net(cells(padded[None]))[0].numpy()
    tall, wide = added.shape[1:]
    large = added.reshape(4, 4, 3, tall, wide).transpose(3, 0, 4, 1, 2)
    large = large.reshape(4 * tall, 4 * wide, 3)
    return np.asarray(np.clip(np.rint(base + large), 0, 255), np.uint8)


def _loss(net: Net, small: Pixels, base: Pixels, large: Pixels) -> torch.Tensor:
    wanted = large_cells(large) - large_cells(base)
    margin = MARGIN // 2 - net.shape.depth
    inner = cells(small)
    if margin:
        inner = inner[:, :, margin:-margin, margin:-margin]
    assert inner.shape[1] == CELL_IN
    found: torch.Tensor = net(inner)
    squares = (found - wanted).square().mean((1, 2, 3))
    # In decibels, so that a patch of noise counts no more than one of a quiet wall.
    loss: torch.Tensor = 10 * (squares + _QUIET).log10().mean()
    return loss


def _gain(net: Net, pairs: Sequence[Pair], bases: Sequence[Pixels]) -> float:
    gains = [
        psnr(corrected(net, one.small, base), one.large) - psnr(base, one.large)
        for one, base in zip(pairs, bases, strict=True)
    ]
    return float(np.mean(gains)) if gains else math.nan


def _schedule(part: float) -> float:
    """Return the learning rate's share at this part of the run."""
    return min(1.0, part / 0.03 + 0.02) * (0.5 + 0.5 * math.cos(math.pi * part)) + 0.01
