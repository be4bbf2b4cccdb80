"""Training one net: seeded, can be continued at any step, on a CPU or a graphics card.

What is optimised is the mean PSNR of the luma of patches, by Adam with a warmed-up cosine; for
the last ``ROUNDED`` part of the run the net rounds as it will at the peer.  A run lasts for a
number of steps or a span of time, whichever ends first.  By steps alone, the same seed, frames and
number of threads give the same net, whether or not the run was interrupted.

Nothing here opens a file: :mod:`p2c2g_training.folder` keeps a run on disk, and
:mod:`p2c2g_training.tasks` at the broker.
"""

from __future__ import annotations

import io
import math
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels
from p2c2g.media.residual import Residual
from p2c2g_training.measure import psnr
from p2c2g_training.nets import Net, Shape, cells, large_cells
from p2c2g_training.pairs import MARGIN, Patches, based, pair, shown

#: Steps between two points of the curve, at most.
EVERY = 250
#: Most seconds between two points where the run's length is a time: at worst this much is lost.
EVERY_SECONDS = 15.0
#: Points of a curve, at least.
POINTS = 10
#: The part of the run, at its end, that rounds.
ROUNDED = 0.4
#: Bytes of a state at most: three times what the largest net takes.
MAX_STATE = 48 << 20
#: Steps of a run whose length is a time.
ENDLESS = 10_000_000

#: The part of the run, at its end, that is never in half precision.
_PRECISE = 0.07
#: Frames that the curve is measured on, and the quality in which they arrive.
_WATCHED, _QUALITY = 4, 80


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a run: ``batch`` patches a step, from ``seed``, at most at ``rate``.

    It ends after ``steps`` or, where ``seconds`` are given, after these, of which only training
    itself counts.  ``quiet`` is a squared error, in levels, that counts as none: the larger it
    is, the more patches with detail count.  ``half`` convolves in bfloat16 except at the end, 1.7
    times as fast on processors that have it (avx512_bf16), and slower on others.
    """

    shape: Shape
    steps: int = ENDLESS
    seed: int = 1
    batch: int = 16
    rate: float = 1e-3
    seconds: float | None = None
    quiet: float = 2.0
    half: bool = False

    def part(self, step: int, spent: float) -> float:
        """Return how much of the run is done after a number of steps and seconds, 0 to 1."""
        timed = 0.0 if self.seconds is None else spent / self.seconds
        return min(1.0, max(step / self.steps, timed))


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve: the mean loss since the last one, and dB over the base."""

    step: int
    loss: float
    gain: float


class Batches(Protocol):
    """Where patches come from; :class:`~p2c2g_training.pairs.Patches` is one."""

    state: dict[str, object]

    def batch(self, count: int) -> tuple[Pixels, NDArray[np.int16]]:
        """Return what arrives, with ``MARGIN`` around, and what to add, as ``Patches`` does."""


class TrainingRun:
    """One net being trained.

    Args:
        net: where it begins.
        frames: large frames to learn from, by game, or a source of patches.
        held: held-out large frames, on which only the curve is measured.
        terms: the length and the seed.
        device: PyTorch's name of the device, such as ``cuda:0``.
        clock: seconds, for ``terms.seconds``.
    """

    def __init__(
        self,
        net: Net,
        frames: Sequence[Sequence[Pixels]] | Batches,
        held: Sequence[Pixels],
        terms: Terms,
        *,
        device: str = "cpu",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.net = net.to(device)
        self.terms = terms
        self.step = 0
        self.spent = 0.0
        self.points: list[Point] = []
        self._clock = clock
        self._optimiser = torch.optim.Adam(net.parameters(), lr=terms.rate)
        self._patches: Batches = (
            Patches(frames, terms.seed) if isinstance(frames, Sequence) else frames
        )
        watched = held[:: max(1, len(held) // _WATCHED)][:_WATCHED]
        pairs = [pair(one, _QUALITY) for one in watched]
        self._watched = [(one, based(one.own)) for one in pairs]
        self._loss_sum = 0.0
        self._told = (0, 0.0)

    @property
    def part(self) -> float:
        """Return how much of the run is done, 0 to 1."""
        return self.terms.part(self.step, self.spent)

    @property
    def done(self) -> bool:
        """Return whether the end is reached and the last point is measured."""
        return self.part >= 1 and self._told[0] == self.step

    @property
    def due(self) -> bool:
        """Return whether it is time for another point, and to keep the state."""
        steps, seconds = self.step - self._told[0], self.spent - self._told[1]
        if self.terms.seconds is None:
            often = steps >= min(EVERY, math.ceil(self.terms.steps / POINTS))
        else:
            often = seconds >= min(EVERY_SECONDS, self.terms.seconds / POINTS)
        return steps > 0 and (often or self.part >= 1)

    def advance(self) -> None:
        """Take one step."""
        began = self._clock()
        part = self.part
        self.net.rounding = part >= 1 - ROUNDED
        for group in self._optimiser.param_groups:
            group["lr"] = self.terms.rate * _schedule(part)
        half = self.terms.half and part < 1 - _PRECISE
        loss = _loss(self.net, self.terms.quiet, half, *self._patches.batch(self.terms.batch))
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        self._optimiser.step()
        self._loss_sum += float(loss.detach())
        self.step += 1
        self.spent += self._clock() - began

    def point(self) -> Point:
        """Measure the gain on the held-out frames, and begin the stretch to the next point."""
        began = self._clock()
        gains = [
            psnr(shown(under, added(self.net, one.arrived)), one.large) - psnr(under, one.large)
            for one, under in self._watched
        ]
        loss = self._loss_sum / max(1, self.step - self._told[0])
        self.points.append(Point(self.step, loss, float(np.mean(gains)) if gains else math.nan))
        self._loss_sum = 0.0
        self.spent += self._clock() - began
        self._told = (self.step, self.spent)
        return self.points[-1]

    def state(self) -> bytes:
        """Return everything that is needed to go on from here."""
        file = io.BytesIO()
        kept = {
            "net": self.net.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "patches": self._patches.state,
            "step": self.step,
            "spent": self.spent,
            "loss": self._loss_sum,
            "told": list(self._told),
            "rows": [[one.step, one.loss, one.gain] for one in self.points],
        }
        torch.save(kept, file)
        return file.getvalue()

    def restore(self, state: bytes) -> None:
        """Go on from a state, which a stranger may have made.

        Raises:
            UsageError: it is not the state of a run like this one.  The run is then unusable.
        """
        kept = unpacked(state)
        try:
            self.net.load_state_dict(kept["net"])
            self._optimiser.load_state_dict(kept["optimiser"])
            self._patches.state = kept["patches"]
            step, spent = int(kept["step"]), float(kept["spent"])
            told = int(kept["told"][0]), float(kept["told"][1])
            # A state with negative numbers would go on for ever.
            if not (0 <= told[0] <= step and 0 <= told[1] <= spent < math.inf):
                raise ValueError(f"{step} steps in {spent:g} seconds cannot be")
            self.step, self.spent, self._told = step, spent, told
            self._loss_sum = float(kept["loss"])
            self.points = [Point(int(a), float(b), float(c)) for a, b, c in kept["rows"]]
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            raise UsageError(
                f"The state of the training is not of a run like this one: {_first(error)}."
            ) from error


def unpacked(state: bytes) -> dict[str, Any]:
    """Read a state's bytes; they can hold only numbers and lists of them.

    Raises:
        UsageError: they are damaged, or would need more memory than :data:`MAX_STATE`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(state)) as parts:
            size = sum(part.file_size for part in parts.infolist())
        if max(size, len(state)) > MAX_STATE:
            raise UsageError(f"A state of {size} bytes is too large: at most {MAX_STATE}.")
        kept: dict[str, Any] = torch.load(io.BytesIO(state), weights_only=True, map_location="cpu")
    except UsageError:
        raise
    except Exception as error:  # a stranger's bytes; the library's errors share no class
        raise UsageError(f"The state of the training cannot be read: {_first(error)}.") from error
    return kept


def drive(
    run: TrainingRun,
    keep: Callable[[TrainingRun], None],
    tell: Callable[[TrainingRun], None],
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Take steps until the end is reached or ``stopped``; return whether it is reached.

    Args:
        run: the run to continue.
        keep: called after each point.
        tell: called after each step.
        stopped: asked before each step.
    """
    while not run.done:
        if stopped():
            return False
        run.advance()
        if run.due:
            run.point()
            keep(run)
        tell(run)
    run.net.rounding = True
    return True


def added(net: Net, arrived: Pixels) -> Residual:
    """Return what a net adds to a picture whose edges are whole cells, by PyTorch."""
    border = 2 * net.shape.depth
    padded = np.pad(arrived, ((border, border), (border, border), (0, 0)), mode="edge")
    with torch.no_grad():
        found = net(cells(padded[None]).to(_device(net)))[0].cpu().numpy()
    tall, wide = found.shape[1:]
    large = found.reshape(4, 4, tall, wide).transpose(2, 0, 3, 1).reshape(4 * tall, 4 * wide, 1)
    return np.asarray(np.rint(large), np.int16)


def _loss(
    net: Net, quiet: float, half: bool, arrived: Pixels, wanted: NDArray[np.int16]
) -> torch.Tensor:
    device = _device(net)
    margin = MARGIN // 2 - net.shape.depth
    inner = cells(arrived).to(device)
    if margin:
        inner = inner[:, :, margin:-margin, margin:-margin]
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        found: torch.Tensor = net(inner)
    squares = (found - large_cells(wanted).to(device)).square().mean((1, 2, 3))
    # In decibels, so that a patch of noise counts no more than a patch of a quiet wall.
    loss: torch.Tensor = 10 * (squares + quiet).log10().mean()
    return loss


def _device(net: Net) -> torch.device:
    return net.get_buffer("peaks").device


def _schedule(part: float) -> float:
    """Return the learning rate's share at this part of the way."""
    return min(1.0, part / 0.03 + 0.02) * (0.5 + 0.5 * math.cos(math.pi * part)) + 0.01


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".:")[:200]
