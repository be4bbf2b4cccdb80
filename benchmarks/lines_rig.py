"""A pool over lines: a broker, peers and a session, with a delay proxy before whom it is due.

The session and the workers may be another version's, from a folder with its files, on the same
lines and in the same run: what the settings of that version give stands beside what this one does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks.child import Child
from benchmarks.lines_player import Run
from p2c2g.messaging.embedded import HOST
from p2c2g.system import processes
from p2c2g.testing.delay_line import Direction, Samples, Shape, Traffic
from p2c2g.testing.delay_proxy import DelayProxy
from tests.lane import ROOT
from tests.pool import HONEST, Pool, Worker
from tests.pool import environment as pool_environment

_PLAYER = ROOT / "benchmarks" / "lines_player.py"
#: Whose line it is, in the order in which lines are told.
GAMER = "gamer"
#: Seconds in which a session may find out what there is.
SETTLE = 1.5


@dataclass(frozen=True, slots=True)
class Way:
    """One line, as the one behind it has it: ``up`` to the broker, ``down`` from it."""

    down: Shape
    up: Shape

    def paced(self, pace: float) -> Self:
        """Return the same line where everything takes ``1 / pace`` of its time."""
        return type(self)(*(_paced(shape, pace) for shape in (self.down, self.up)))

    @classmethod
    def of(cls, down_mbps: float, up_mbps: float, rtt_ms: float = 30.0, **more: Any) -> Self:
        """Return a line of so many Mbit/s; ``more`` is of both directions."""
        return cls(
            *(Shape(bps=mbps * 1e6, delay_ms=rtt_ms / 2, **more) for mbps in (down_mbps, up_mbps))
        )


def _paced(shape: Shape, pace: float) -> Shape:
    return replace(
        shape,
        bps=None if shape.bps is None else shape.bps * pace,
        delay_ms=shape.delay_ms / pace,
        jitter_ms=shape.jitter_ms / pace,
        queue_ms=None if shape.queue_ms is None else shape.queue_ms / pace,
        trace=tuple((seconds / pace, bps * pace) for seconds, bps in shape.trace),
        stalls=tuple((at / pace, seconds / pace) for at, seconds in shape.stalls),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """From ``at`` seconds after the first frame on, somebody's line is like that."""

    at: float
    who: str
    way: Way


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one run; times are seconds of ``time.monotonic``.

    ``rows`` are of what was shown: number, captured, ready, shown, and a letter a chunk, 1 where it
    was enhanced.  ``decibels`` are number, base and picture.  ``cpu_s`` are of the workers, between
    ``settled`` and the end.  ``idle`` is the share of the machine that nobody used meanwhile: where
    hardly any was left, somebody else's programs are in the figures.
    """

    rows: Sequence[tuple[int, float, float, float, str]]
    decibels: Sequence[tuple[int, float, float]]
    report: Mapping[str, Any]
    due: int
    began: float
    settled: float
    ended: float
    fps: float
    deadline: float
    traffic: Mapping[str, Mapping[Direction, Traffic]]
    cpu_s: float
    idle: float
    changes: Sequence[tuple[float, Change]] = field(default=())

    def at_pace(self, pace: float) -> Played:
        """Return the same as if it had taken ``pace`` of its time."""

        def moment(at: float) -> float:
            return self.began + (at - self.began) * pace

        def samples(found: Samples) -> Samples:
            return [(moment(at), size) for at, size in found]

        return replace(
            self,
            rows=[
                (number, moment(captured), moment(ready), moment(shown), chunks)
                for number, captured, ready, shown, chunks in self.rows
            ],
            settled=moment(self.settled),
            ended=moment(self.ended),
            fps=self.fps / pace,
            deadline=self.deadline * pace,
            traffic={
                who: {
                    way: Traffic(samples(its.sent), samples(its.arrived)) for way, its in of.items()
                }
                for who, of in self.traffic.items()
            },
            changes=[(moment(at), change) for at, change in self.changes],
        )


class _Worker(Worker):
    """A worker of one version, which need not be this one."""

    def __init__(self, pool: Pool, name: str, tree: Path, *options: str) -> None:
        super().__init__(
            pool.app, pool.url(name), pool.folder / f"{name}.log",
            "-Q", "cpu", "-c", "1", "-l", "warning", "--without-heartbeat", *options,
            name=name, application=HONEST, forked=False,
        )  # fmt: skip
        self._tree = tree

    def launch(self) -> None:
        """Start it in its version's folder, from where Celery imports."""
        with self.log_path.open("ab") as log:
            self.process = processes.start(
                [sys.executable, *self._arguments],
                env=_environment(self._tree, self._url), cwd=self._tree,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip


def _environment(tree: Path, url: str) -> dict[str, str]:
    folders = [str(tree / name) for name in (".", "workers", "capture", "training")]
    more = {"PYTHONPATH": os.pathsep.join(folders), "PYTHONSAFEPATH": "1"}
    found = pool_environment(url, more)
    # As users have it: what a pool of the tests sets besides is for the tests, and of this version.
    mine = {"P2C2G_BROKER_URL"}
    return {name: each for name, each in found.items() if name[:6] != "P2C2G_" or name in mine}


class Rig:
    """A pool over lines; a context manager.

    Args:
        lines: by who is behind them: :data:`GAMER`, ``peer1`` and so on; others are next to the
            broker.
        peers: how many there are, of one chunk at a time.
        tree: of the version that plays and serves.
        options: further ones of the peers' workers.
        pace: how fast all that is played and all that lines do goes; figures are as if it were 1.
            On a machine that others use, too, a quarter leaves the session a machine's time in
            proportion; what the session itself does by seconds is then four times as quick.
    """

    def __init__(
        self,
        lines: Mapping[str, Way],
        peers: int = 1,
        tree: Path = ROOT,
        options: Sequence[str] = (),
        pace: float = 1.0,
    ) -> None:
        self._pace = pace
        self._lines = lines
        self._options = options
        self._peers = peers
        self._tree = tree
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._pool = stack.enter_context(Pool())
            for name, way in self._lines.items():
                way = way.paced(self._pace)
                proxy = DelayProxy(HOST, self._pool.broker.port, up=way.up, down=way.down)
                self._pool.proxies[name] = stack.enter_context(proxy)
            names = [f"peer{number + 1}" for number in range(self._peers)]
            made = [
                self._pool.add(name, _Worker(self._pool, name, self._tree, *self._options))
                for name in names
            ]
            url = self._pool.url(GAMER)
            player = Child(_PLAYER, url, self._pool.log, whole=_environment(self._tree, url))
            self._player: Child = stack.enter_context(player)
            for worker in made:
                worker.wait_until_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def reline(self, lines: Mapping[str, Way]) -> None:
        """Have lines be like that; whose is not named stays as it is."""
        for name, way in lines.items():
            self._shape(name, way)
        self._lines = {**self._lines, **lines}

    def capacity(self, order: Run, window: int = 4) -> float:
        """Return how many frames a second the pool completes with ``window`` of them out."""
        self._prepare(Run(**{**asdict(order), "window": window}))
        return float(self._player.ask("go")["frames_per_s"]) / self._pace

    def _shape(self, name: str, way: Way) -> None:
        way = way.paced(self._pace)
        self._pool.proxies[name].shape(way.up, way.down)

    def play(self, order: Run, changes: Sequence[Change] = (), settle: float = SETTLE) -> Played:
        """Play; after ``settle`` seconds, or a third of the time, what is measured begins.

        Raises:
            UnavailableError: the session ended with an error.
        """
        pace = self._pace
        self._prepare(order)
        settle = min(settle, order.seconds / 3) / pace
        began = time.monotonic()
        at_settled: list[float] = []
        made: list[tuple[float, Change]] = []

        def settled() -> None:
            at_settled.append(self._pool.cpu()["workers"])
            psutil.cpu_times_percent()  # the next call is of the time since

        def change(each: Change) -> None:
            self._shape(each.who, each.way)
            made.append((time.monotonic(), each))

        events = [(settle, settled), *((each.at / pace, _call(change, each)) for each in changes)]
        with _timed(began, events):
            self._player.say("go")
            self._player.answer()  # it has played
            idle = psutil.cpu_times_percent().idle / 100
            used = self._pool.cpu()["workers"] - (at_settled or [0.0])[0]
            got = self._player.answer()
        for each in {each.who for each in changes}:
            self._shape(each, self._lines[each])
        return Played(
            rows=got["rows"],
            decibels=got["decibels"],
            report=got["report"],
            due=got["due"],
            began=got["began"],
            settled=got["began"] + settle,
            ended=got["ended"],
            fps=order.fps * pace,
            deadline=order.deadline_ms / 1e3 / pace,
            traffic={name: self._pool.proxies[name].traffic() for name in self._lines},
            cpu_s=used,
            idle=idle,
            changes=made,
        ).at_pace(pace)

    def idle_cpu(self, seconds: float) -> float:
        """Return how many cores the workers take while nobody plays."""
        before = self._pool.cpu()["workers"]
        time.sleep(seconds)
        return (self._pool.cpu()["workers"] - before) / seconds

    def _prepare(self, order: Run) -> None:
        pace = self._pace
        paced = replace(
            order, fps=order.fps * pace, seconds=order.seconds / pace,
            deadline_ms=order.deadline_ms / pace, compare=order.compare * pace,
        )  # fmt: skip
        self._player.ask(asdict(paced))


def _call(act: Callable[[Change], None], change: Change) -> Callable[[], None]:
    return lambda: act(change)


class _timed(AbstractContextManager[None]):  # noqa: N801 - a function to those who use it
    """Do things at times after a moment, beside what is done meanwhile."""

    def __init__(self, began: float, events: Sequence[tuple[float, Callable[[], None]]]) -> None:
        self._began = began
        self._events = sorted(events, key=lambda event: event[0])
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lines-events")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        for at, act in self._events:
            if self._over.wait(max(0.0, self._began + at - time.monotonic())):
                return
            act()
