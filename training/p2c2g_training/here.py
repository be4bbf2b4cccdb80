"""Training on this machine, with a bar: the part of ``p2c2g train`` that needs PyTorch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels
from p2c2g_training import folder, threads
from p2c2g_training.beginning import BEGUN_RATE, begun
from p2c2g_training.export import weights
from p2c2g_training.gathering import Stopped
from p2c2g_training.home import Course
from p2c2g_training.nets import SHAPES
from p2c2g_training.shown import Shown
from p2c2g_training.train import ENDLESS, Terms, TrainingRun, drive
from p2c2g_workers.nets import Weights

#: Frames that the curve is measured on: taken from those that teach, so that the net is judged on
#: frames that nobody has looked at.
WATCHED = 4


def taught(
    course: Course,
    general: Weights,
    teach: Sequence[Pixels],
    kept: Path,
    console: Console,
    stop: threading.Event,
) -> tuple[Weights, dict[str, Any]]:
    """Return a net taught here, and what its card says of it; one that was cut short goes on.

    Args:
        course: what was asked for.
        general: the net that it begins with.
        teach: frames.
        kept: the folder of a training's state.
        console: shows how far it is.
        stop: set where it is to end.

    Raises:
        Stopped: it was; its state is kept.
    """
    terms = Terms(
        SHAPES[course.size],
        steps=course.steps or ENDLESS,
        seed=course.seed,
        rate=BEGUN_RATE,
        seconds=course.seconds,
    )
    torch.manual_seed(terms.seed)
    run = TrainingRun(begun(general), [teach[:-WATCHED]], teach[-WATCHED:], terms)
    try:
        folder.resume(run, kept)
    except UsageError as error:
        console.print(f"{error} The training starts from the beginning.")
        run = TrainingRun(begun(general), [teach[:-WATCHED]], teach[-WATCHED:], terms)
    with Shown(console, "Training") as shown:

        def tell(run: TrainingRun) -> None:
            gain = f", {run.points[-1].gain:+.2f} dB over the base" if run.points else ""
            shown.at(run.part, f"step {run.step}{gain}")

        threads.settle(run, stop.is_set)
        ended = drive(run, lambda run: folder.keep(run, kept), tell, stop.is_set)
    if not ended:
        folder.keep(run, kept)
        raise Stopped
    about = {"steps": run.step, "seconds": round(run.spent), "trained_by": "this machine"}
    return weights(run.net), about
