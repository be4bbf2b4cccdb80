"""The whole of ``p2c2g train``: frames, training here or at the pool, judging, keeping.

PyTorch is needed only for a training on this machine, which is a module of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels
from p2c2g.messaging.broker import Broker
from p2c2g.nets.store import NetStore
from p2c2g.settings import Settings
from p2c2g_training.export import described
from p2c2g_training.gathering import Gathered, Origin, Stopped, gather
from p2c2g_training.home import Course, Home
from p2c2g_training.judging import Judgement, check_enough, judge, split
from p2c2g_training.pool import Ordering
from p2c2g_workers import nets
from p2c2g_workers.nets import SHAPES, Weights

#: Ctrl-C's exit code, as shells have it.
INTERRUPTED = 130


class RefusedError(UsageError):
    """The net is not good enough to be kept."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What the gamer asked for."""

    game: str
    origin: Origin
    size: str = "ml-tiny"
    minutes: float = 5.0
    steps: int | None = None
    margin: float = 0.3
    seed: int = 1
    pool: bool = False
    fresh: bool = False
    keep_frames: bool = False


class Training:
    """One call of the command."""

    def __init__(
        self, asked: TrainOptions, settings: Settings, console: Console, stop: threading.Event
    ) -> None:
        self._asked = asked
        self._settings = settings
        self._console = console
        self._stop = stop
        self._store = NetStore()
        self._store.find(asked.game)  # Says what is wrong with the name.
        self._home = Home(asked.game)

    def run(self) -> int:
        """Carry the command out; return the exit code.

        Raises:
            UsageError: something that was asked for is not valid.
            RefusedError: the net is not good enough; it is not kept.
            UnavailableError: a source or the pool is not available.
        """
        asked, home = self._asked, self._home
        general = general_net(asked.size)
        if asked.fresh:
            home.forget()
        try:
            gathered = gather(asked.origin, home.frames, self._console, self._stop)
            try:
                check_enough(len(gathered.files), asked.game)
            except UsageError:
                self._record_more_next_time()
                raise
            frames = gathered.load()
            teach, held = (
                [frames[index] for index in part] for part in split(gathered.scenes)
            )  # fmt: skip
            self._console.print(
                f"{len(teach)} frames teach, the last {len(held)} are held back to judge."
            )
            own, about = self._taught(self._course(gathered), general, teach)
        except Stopped:
            self._console.print(
                f"Stopped. Everything so far is kept: p2c2g train --game {asked.game} goes on."
            )
            return INTERRUPTED
        judgement = judge(own, general, held, asked.margin)
        return self._settle(judgement, own, {**about, "taught_frames": len(teach)})

    def _course(self, gathered: Gathered) -> Course:
        asked = self._asked
        seconds = None if asked.steps else 60 * asked.minutes
        course = Course(asked.size, asked.seed, seconds, asked.steps, gathered.digest)
        last = self._home.course()
        if self._home.begin(course):
            self._console.print("The training that was cut short goes on.")
        elif last is not None:
            self._console.print(
                "Something else was asked for last time: the training starts from the beginning."
            )
        return course

    def _taught(
        self, course: Course, general: Weights, teach: Sequence[Pixels]
    ) -> tuple[Weights, dict[str, Any]]:
        if self._asked.pool:
            with Broker(self._settings) as broker:
                ordering = Ordering(broker, self._home, self._console, self._stop)
                return ordering.taught(course, teach)
        from p2c2g_training.here import taught

        return taught(course, general, teach, self._home.run, self._console, self._stop)

    def _settle(self, judgement: Judgement, own: Weights, about: dict[str, Any]) -> int:
        asked = self._asked
        self._home.forget_run()
        if not judgement.accepted:
            self._record_more_next_time()
            raise RefusedError(
                f"{judgement.refusal(asked.game, asked.size)} The frames stay: train once more in "
                "other places of the game, or with more --minutes."
            )
        card = {
            **described(asked.game, own),
            "method": asked.size,
            "begun_from": nets.shipped(asked.size).name,
            "seed": asked.seed,
            "licence": "the gamer's own",
            **about,
            **judgement.card(),
        }
        path = self._store.put(asked.game, asked.size, own.model, card)
        if not asked.keep_frames:
            self._home.forget()
        self._console.print(
            f"Kept: on {judgement.frames} frames held back {judgement.gain:+.2f} dB over "
            f"{judgement.best}, which costs nothing, {judgement.over_general:+.2f} over the "
            f"general {asked.size}; at worst {judgement.worst:+.2f} on a single frame."
        )
        self._console.print(f"{path}, {len(own.model)} bytes.", soft_wrap=True)
        self._console.print(f"Play with it: p2c2g-capture run --game {asked.game}")
        return 0

    def _record_more_next_time(self) -> None:
        """Let the next call add a scene to what is recorded."""
        kept = self._home.frames.read()
        if kept.frames and self._asked.origin.video is None:
            self._home.frames.write(replace(kept, seconds=0.0, whole=False))


def general_net(size: str) -> Weights:
    """Return the general net that a game's own begins with and has to beat.

    Raises:
        UsageError: there is none of this size.
    """
    there = [name for name in SHAPES if nets.is_shipped(name)]
    if size not in there:
        raise UsageError(
            f"A game's own net cannot begin with the size {size!r}: give --size "
            f"{' or '.join(there)}."
        )
    return nets.shipped(size)
