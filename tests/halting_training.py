"""``p2c2g`` whose trainings halt once their first state is kept, until they are to end."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from p2c2g.commands.main import main
from p2c2g_training import here
from p2c2g_training.train import TrainingRun, drive


def halting(
    run: TrainingRun,
    keep: Callable[[TrainingRun], None],
    tell: Callable[[TrainingRun], None],
    stopped: Callable[[], bool],
) -> bool:
    """Drive a run to its first state, and no further before it is ``stopped``."""
    pause = Event()

    def halted() -> bool:
        while run.points and not stopped():
            pause.wait(0.01)
        return stopped()

    return drive(run, keep, tell, halted)


if __name__ == "__main__":
    here.drive = halting
    main()
