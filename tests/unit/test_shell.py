"""The threads' side of the core: who waits for whom, and who is woken."""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random
from time import monotonic

import numpy as np
import pytest

from p2c2g.errors import BrokerUnavailableError
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState, Picture
from p2c2g.media.residual import Residual
from p2c2g.media.wire import ResultHeader
from p2c2g.messaging.dispatcher import task_id
from p2c2g.messaging.inbox import Arrival
from p2c2g.session.actions import Send, Steal
from p2c2g.session.collector import Collector
from p2c2g.session.config import SessionConfig
from p2c2g.session.core import Core
from p2c2g.session.player import Player
from p2c2g.session.seals import Plain
from p2c2g.session.shell import SessionCore, Shell

PATIENCE = 60.0
CONFIG = SessionConfig(
    Size(32, 32), Pipeline.parse("upscale:2"), Grid(1, 1), codec="raw", deadline=0.05
)


class Nowhere:
    """Takes what is sent, or is away."""

    def __init__(self) -> None:
        self.sent: list[Send[Pixels]] = []
        self.is_away = False

    def send(self, send: Send[Pixels]) -> None:
        if self.is_away:
            raise BrokerUnavailableError("The broker is away.")
        self.sent.append(send)

    def steal(self, steal: Steal) -> None:
        """Move nothing."""


class StuckReader:
    """Takes as long to decode a stranger's bytes as it is told."""

    def __init__(self) -> None:
        self.began, self.go_on = threading.Event(), threading.Event()

    def read(self, *_: object) -> Residual:
        self.began.set()
        assert self.go_on.wait(PATIENCE)
        return np.zeros((64, 64, 1), np.int16)


class Still:
    """A clock that stands still but for what a test says: no frame's time comes meanwhile."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Threads:
    """A session's core, its shell, and its player on a thread of its own."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self.core: SessionCore = Core("s", CONFIG, Random(1))
        self.carrier = Nowhere()
        self.woken = threading.Event()
        self.shell = Shell(self.core, self.carrier, self.woken.set)
        self.pictures: list[Picture] = []
        self.shown, self.sink_goes_on = threading.Event(), threading.Event()
        self.sink_goes_on.set()
        self.player = Player(CONFIG, self.shell, self._show, clock)
        self.thread = threading.Thread(target=self.player.run)
        self.thread.start()

    def _show(self, picture: Picture) -> None:
        self.pictures.append(picture)
        self.shown.set()
        assert self.sink_goes_on.wait(PATIENCE)

    def submit(self, number: int, ago: float = 0.0) -> None:
        now = self.clock()
        at = now - ago
        with self.shell as core:
            sends = core.submit(
                number, np.zeros((32, 32, 3), np.uint8), {0: b"x"}, core.plan(number, (), now),
                at, at, now, connected=True,
            )  # fmt: skip
        self.shell.perform(sends)

    def finish(self) -> None:
        self.player.finish()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


def arrival(number: int) -> Arrival:
    header = ResultHeader(
        frame=number, chunk=0, attempt=1, peer="one@here", started_us=0,
        decode_us=1, process_us=1, done_us=2,
    )  # fmt: skip
    return Arrival(task_id("s", number, 0), True, header.pack(), b"any", "", "")


def test_the_player_never_waits_for_a_stranger() -> None:
    clock, reader = Still(), StuckReader()
    threads = Threads(clock)
    collector = Collector(
        None,
        threads.shell,
        reader,
        CONFIG.chunks,
        Plain(),
        clock,  # type: ignore[arg-type]
    )
    threads.submit(0)
    collecting = threading.Thread(target=collector.take, args=(arrival(0), clock()))
    collecting.start()
    assert reader.began.wait(PATIENCE)
    clock.now += CONFIG.deadline
    # The stranger's bytes are being decoded, and the frame is shown all the same.
    assert threads.shown.wait(PATIENCE)
    [picture] = threads.pictures
    assert picture.state is FrameState.DEGRADED
    assert not reader.go_on.is_set()
    reader.go_on.set()
    collecting.join(PATIENCE)
    assert threads.core.tables.attempts.late == 1
    threads.finish()


def test_the_player_sleeps_until_a_frame_comes_and_ends_when_told() -> None:
    threads = Threads()
    threads.submit(0)
    assert threads.shown.wait(PATIENCE)
    threads.shown.clear()
    threads.submit(1)
    threads.finish()  # the last frame is shown, at its time
    assert [picture.number for picture in threads.pictures] == [0, 1]


def test_a_sink_that_was_stuck_goes_on_with_the_newest() -> None:
    threads = Threads()
    threads.sink_goes_on.clear()
    threads.submit(0)
    assert threads.shown.wait(PATIENCE)
    most = 0
    for number in range(1, 300):  # ten seconds of frames, which nobody took
        threads.submit(number, ago=10.0 - number / 30)
        most = max(most, threads.core.frames_in_flight)
    assert most <= 5, "what waits for the sink grows"
    threads.sink_goes_on.set()
    threads.submit(300)
    threads.finish()
    numbers = [picture.number for picture in threads.pictures]
    assert (numbers[0], numbers[-1]) == (0, 300)
    assert set(numbers[1:-1]) <= set(range(296, 300)), "old pictures are shown"


def test_the_collector_is_woken_for_a_look_that_has_come_nearer() -> None:
    clock = Still()
    threads = Threads(clock)
    assert threads.shell.next_look() is None
    threads.submit(0)
    assert threads.woken.is_set()
    threads.woken.clear()
    threads.submit(1)  # it is awake already
    assert not threads.woken.is_set()
    clock.now += CONFIG.deadline
    threads.finish()


def test_a_frame_that_the_broker_does_not_take_is_shown_from_the_base_layer() -> None:
    threads = Threads()
    threads.carrier.is_away = True
    threads.submit(0)
    assert threads.shown.wait(PATIENCE)
    assert threads.pictures[0].state is FrameState.DEGRADED
    assert len(threads.core.tables.attempts) == 0
    threads.finish()


def test_an_error_inside_lets_the_lock_go() -> None:
    threads = Threads()
    with pytest.raises(ZeroDivisionError), threads.shell:
        _ = 1 / 0
    threads.submit(0)
    threads.finish()
