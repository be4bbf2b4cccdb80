"""How many threads to train with: measured, since on a busy machine more are slower.

A game runs beside the training, and threads that wait for each other lose more to it than they
gain: on two cores with four other busy programs, one thread did 303 steps in 20 s, two did 11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from p2c2g.system.cpus import cores
from p2c2g_training.train import TrainingRun

#: Steps that are measured for each number of threads, after a first one that is not.
TRIED = 4
#: A step this many times as long as the best mean ends the measuring: the training pays for it.
HOPELESS = 2.0
#: Fewer threads are chosen where more are faster by less than this part.
WORTH = 0.15


def candidates(cores: int) -> list[int]:
    """Return the numbers of threads to try: one, half of the cores, and all."""
    return sorted({1, max(1, cores // 2), max(1, cores)})


def best(seconds: Mapping[int, float]) -> int:
    """Return the fewest threads that are nearly as fast as the fastest.

    Args:
        seconds: a step's time by number of threads.
    """
    limit = min(seconds.values()) * (1 + WORTH)
    return min(count for count, time in seconds.items() if time <= limit)


def settle(run: TrainingRun, stopped: Callable[[], bool]) -> int:
    """Choose the number of threads by timing a run's next steps; set and return it.

    A run whose length is a number of steps is left as it is, so that it can be repeated.
    """
    if run.terms.seconds is None:
        return torch.get_num_threads()
    mean: dict[int, float] = {}
    for count in candidates(cores()):
        torch.set_num_threads(count)
        steps: list[float] = []
        for tried in range(TRIED + 1):
            if run.part >= 1 or stopped():
                break
            before = run.spent
            run.advance()
            if tried:
                steps.append(run.spent - before)
            if mean and steps and steps[-1] > HOPELESS * min(mean.values()):
                break
        if steps:
            mean[count] = sum(steps) / len(steps)
    if mean:
        torch.set_num_threads(best(mean))
    return torch.get_num_threads()
