"""A run on disk: ``state.pt`` after every point, and ``curve.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels
from p2c2g.system.files import write_together
from p2c2g_training.home import STATE
from p2c2g_training.nets import Net
from p2c2g_training.train import Batches, Point, Terms, TrainingRun, drive

CURVE = "curve.csv"


def keep(run: TrainingRun, folder: Path) -> None:
    """Write a run's state and curve; a crash meanwhile leaves the ones before."""
    folder.mkdir(parents=True, exist_ok=True)
    table = io.StringIO(newline="")
    rows = [(one.step, one.loss, one.gain) for one in run.points]
    csv.writer(table).writerows([("step", "loss", "gain_db"), *rows])
    write_together({folder / CURVE: table.getvalue(), folder / STATE: run.state()})


def resume(run: TrainingRun, folder: Path) -> bool:
    """Restore a run from its folder's state; return whether there was one.

    Raises:
        UsageError: the state is another run's.
    """
    state = folder / STATE
    if not state.is_file():
        return False
    run.restore(state.read_bytes())
    return True


def curve(folder: Path) -> list[Point]:
    """Return a run's curve.

    Raises:
        UsageError: there is no such run.
    """
    if not (folder / CURVE).is_file():
        raise UsageError(f"There is no run in {folder}: give one that was trained.")
    with (folder / CURVE).open(newline="") as file:
        return [Point(int(a), float(b), float(c)) for a, b, c in list(csv.reader(file))[1:]]


def train(
    terms: Terms,
    frames: Sequence[Sequence[Pixels]] | Batches,
    held: Sequence[Pixels],
    folder: Path,
    *,
    net: Net | None = None,
    tell: Callable[[str], None] = print,
) -> Net:
    """Train a net and return it with rounding on; goes on from the folder's state if there is one.

    Args:
        terms: the size, the length and the seed.
        frames: large frames to learn from, by game, or a source of patches.
        held: held-out large frames, on which only the curve is measured.
        folder: the run's own.
        net: where to begin; else at chance.
        tell: called with a line at every point of the curve, before it is kept.
    """
    torch.manual_seed(terms.seed)
    run = TrainingRun(Net(terms.shape) if net is None else net, frames, held, terms)
    resume(run, folder)

    def kept(run: TrainingRun) -> None:
        last = run.points[-1]
        tell(f"step {last.step} of {terms.steps}: loss {last.loss:.3f}, {last.gain:+.2f} dB")
        keep(run, folder)

    drive(run, kept, lambda _: None)
    run.net.rounding = True
    return run.net
