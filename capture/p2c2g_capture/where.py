"""Who does the operations: the pool, or this machine where it does them in a moment.

What costs next to nothing is not worth sending a picture away for.  So a pipeline without a net
is done here, unless it takes too long or peers were asked for.  The edges do not know each other:
what does it is found by an entry point, and may not be installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from time import perf_counter
from typing import get_args

import numpy as np

from p2c2g.errors import UsageError
from p2c2g.media.methods import ANY_NETWORK, LEARNT
from p2c2g.session.config import SessionConfig, Where
from p2c2g.session.own import Enhancer, OwnSession
from p2c2g.session.session import Session
from p2c2g_capture.allowance import NOTHING, Allowance

AnySession = Session | OwnSession

#: Entry points that give an :data:`Enhancer` for a plan and a form.
GROUP = "p2c2g.own"
#: The share of the time from frame to frame that this machine may spend on it.
SHARE = 0.5
_RUNS = 3


@dataclass(frozen=True, slots=True)
class Own:
    """What this machine does by itself, and the seconds that it takes for a frame.

    ``enhance`` is None where it shows the base alone; ``notice`` is then why.
    """

    enhance: Enhancer | None
    seconds: float
    notice: str = ""

    def sentence(self, config: SessionConfig) -> str:
        """Return what a gamer is told of it."""
        if self.enhance is None:
            return f"{self.notice}."
        return (
            f"This machine does {config.operations.text} by itself, in {self.seconds * 1e3:.1f} ms "
            "a frame: nothing is sent. --where peers has the pool do it."
        )


def own_or_base(config: SessionConfig, where: str, allowed: Allowance) -> Own | None:
    """Return as :func:`own` does; where nothing may be sent at all, the base in place of None."""
    found = own(config, where)
    return Own(None, 0.0, NOTHING) if found is None and allowed.is_nothing else found


def own(config: SessionConfig, where: str, clock: Callable[[], float] = perf_counter) -> Own | None:
    """Return what this machine does by itself; None where the pool is to do it.

    Args:
        config: the session's.
        where: ``auto``, ``here`` or ``peers``.
        clock: seconds, for the trial that tells how long it takes.

    Raises:
        UsageError: there is no such place, or this machine cannot do it.
        ProcessorError: it lacks what the pipeline needs.
    """
    if where not in get_args(Where):
        raise UsageError(f"--where {where!r} is no place: give {', '.join(get_args(Where))}.")
    methods = {operation.method for operation in config.operations.operations}
    if where == "peers" or (where == "auto" and methods & set(LEARNT)):
        return None
    if ANY_NETWORK in methods:
        raise UsageError(
            "--where here cannot choose a net: name one, such as --ops upscale:2:ml-tiny."
        )
    found = next(iter(entry_points(group=GROUP)), None)
    if found is None:
        if where == "auto":
            return None
        raise UsageError('--where here needs what peers have: pip install ".[worker]".')
    plan = config.operations.resolve(config.size)
    enhance: Enhancer = found.load()(plan, config.form)
    seconds = _seconds(config, enhance, clock)
    if where == "auto" and seconds > SHARE / config.fps:
        return None
    return Own(enhance, seconds)


def _seconds(config: SessionConfig, enhance: Enhancer, clock: Callable[[], float]) -> float:
    """Return what a frame takes at least, written residual included."""
    shape = (config.size.height, config.size.width, 3)
    frame = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    best = float("inf")
    for _ in range(_RUNS):
        began = clock()
        config.form.encode(enhance(frame))
        best = min(best, clock() - began)
    return best
