"""A game's net, taught by peers over a real broker: to the end, called off, and taken over."""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'p2c2g[train]'")

from rich.console import Console

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.media.frame import Pixels
from p2c2g.messaging import names
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g_training.board import Board
from p2c2g_training.gathering import Stopped
from p2c2g_training.home import Course, Home
from p2c2g_training.order import QUEUE, Progress
from p2c2g_training.pool import Ordering
from p2c2g_training.teaching import Reporter
from p2c2g_training.train import POINTS
from p2c2g_training.watching import OrderWatch
from p2c2g_workers.nets import Weights, shipped
from tests.forks import LEARNING
from tests.lane import PATIENCE, Lane, settings
from tests.pool import HONEST, MakeWorker, Worker

#: Far more steps than any test waits for.
ENDLESS = 100_000
#: The application of a peer that halts once it has kept a state.
HALTING = "tests.halting_teacher_app"


@pytest.fixture
def teacher(worker: MakeWorker) -> MakeWorker:
    """Make workers that train."""

    def make(*_: str, name: str = "w", application: str = HONEST) -> Worker:
        return worker(
            "-Q", QUEUE, "-c", "1", name=name, application=application,
            environment={"OMP_NUM_THREADS": "1"}, imported=LEARNING,
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def frames() -> list[Pixels]:
    """Blocks of 4 pixels in a few colours, as pixel art is."""
    random = np.random.default_rng(5)
    colours = random.integers(0, 256, (6, 3), dtype=np.uint8)
    drawn = []
    for _ in range(14):
        art = colours[random.integers(0, 6, (60, 80))]
        drawn.append(
            np.asarray(cv2.resize(art, (320, 240), interpolation=cv2.INTER_NEAREST), np.uint8)
        )
    return drawn


def test_no_report_of_a_peer_overtakes_a_later_one() -> None:
    told: list[Any] = []

    class Slow:
        def tell(self, _order: str, _attempt: int, **fields: Any) -> str:
            if fields["step"] == 1:
                later.start()
                later.join(0.1)  # Time enough, were it let.
            told.append(fields["step"])
            return "wanted"

    reporter = Reporter(cast("Board", Slow()), "order", 1, threading.Event())
    later = threading.Thread(target=reporter.report, kwargs={"step": 2})
    reporter.report(step=1)
    later.join(PATIENCE)
    assert told == [1, 2]


class Gamer:
    """The command's part, beside the test."""

    def __init__(self, broker: EmbeddedBroker, lane: Lane, folder: Path) -> None:
        self.lane = lane
        self.home = Home("art", folder)
        self.board = Board(lane.client)
        self.said = io.StringIO()
        self.stop = threading.Event()
        self._broker = Broker(settings(broker.url))
        self._beside = ThreadPoolExecutor(1)

    def ordering(self, silent: float = 60.0) -> Ordering:
        return Ordering(
            self._broker, self.home, Console(file=self.said), self.stop, OrderWatch(silent=silent)
        )

    def train(
        self, frames: list[Pixels], steps: int, silent: float = 60.0
    ) -> Future[tuple[Weights, dict[str, Any]]]:
        course = Course("ml-tiny", 1, None, steps, "digest")
        self.home.begin(course)
        return self._beside.submit(self.ordering(silent).taught, course, frames)

    def seen(self) -> Progress:
        order = self.home.order()
        return (self.board.look(order) if order else None) or Progress()

    def wait_for_step(self, step: int, of: Future[Any]) -> None:
        def there() -> bool:
            assert not of.done(), of.exception() or of.result()
            return self.seen().step >= step

        self.lane.wait_until(there)

    def left(self) -> list[bytes]:
        """Return what is at the broker of any training."""
        found: list[bytes] = []
        for prefix in (names.training(""), names.blob("")):
            found += self.lane.client.keys(f"{prefix}*")  # type: ignore[arg-type]
        return found

    def close(self) -> None:
        self.stop.set()
        self._beside.shutdown()
        self._broker.close()


@pytest.fixture
def gamer(broker: EmbeddedBroker, lane: Lane, tmp_path: Path) -> Iterator[Gamer]:
    made = Gamer(broker, lane, tmp_path)
    yield made
    made.close()


def test_a_peer_teaches_and_leaves_nothing_behind(
    gamer: Gamer, teacher: MakeWorker, frames: list[Pixels]
) -> None:
    teacher()
    own, about = gamer.train(frames, 8).result(timeout=2 * PATIENCE)
    assert own.method == "ml-tiny"
    assert own.name != shipped("ml-tiny").name
    assert about == {"steps": 8, "trained_by": "the peer w@test on cpu"}
    assert gamer.home.order() is None
    gamer.lane.wait_until(lambda: not gamer.left())


def test_what_is_called_off_ends_and_leaves_nothing_behind(
    gamer: Gamer, teacher: MakeWorker, frames: list[Pixels]
) -> None:
    peer = teacher()
    running = gamer.train(frames, ENDLESS)
    gamer.wait_for_step(2, running)
    assert len(gamer.left()) == len(frames) + 1
    gamer.stop.set()
    with pytest.raises(Stopped):
        running.result(timeout=PATIENCE)
    gamer.lane.wait_until(lambda: "succeeded" in peer.log())
    gamer.lane.wait_until(lambda: not gamer.left())


def test_a_peer_that_is_killed_is_taken_over_where_it_was(
    gamer: Gamer, teacher: MakeWorker, frames: list[Pixels]
) -> None:
    # One that is killed while it replaces a state leaves a blob that only expires: this one waits.
    first = teacher(name="first", application=HALTING)
    running = gamer.train(frames, 40, silent=3.0)
    gamer.lane.wait_until(lambda: gamer.seen().pieces)
    kept = gamer.seen().step
    assert kept == 40 // POINTS
    first.signal(signal.SIGKILL)
    second = teacher(name="second")
    _, about = running.result(timeout=2 * PATIENCE)
    assert about == {"steps": 40, "trained_by": "the peer second@test on cpu"}
    assert f"goes on at step {kept}" in second.log()
    gamer.lane.wait_until(lambda: not gamer.left())


def test_a_worker_that_ends_hands_its_training_on(
    gamer: Gamer, teacher: MakeWorker, frames: list[Pixels]
) -> None:
    first = teacher(name="first", application=HALTING)
    running = gamer.train(frames, 30)
    gamer.lane.wait_until(lambda: gamer.seen().pieces)
    first.signal(signal.SIGTERM)
    first.wait()
    second = teacher(name="second")
    # No peer fell silent: the first one said that it left.
    _, about = running.result(timeout=2 * PATIENCE)
    assert about["trained_by"] == "the peer second@test on cpu"
    assert "goes on at step" in second.log()
    gamer.lane.wait_until(lambda: not gamer.left())


def test_a_command_that_was_killed_finds_its_order_again(
    gamer: Gamer, teacher: MakeWorker, frames: list[Pixels], broker: EmbeddedBroker, tmp_path: Path
) -> None:
    order = gamer.ordering()
    course = Course("ml-tiny", 1, None, 8, "digest")
    gamer.home.begin(course)
    out, attempt = order._out(course, frames)  # As far as a command gets that is killed then.
    assert attempt == 1
    teacher()
    own, _ = gamer.train(frames, 8).result(timeout=2 * PATIENCE)
    assert own.method == "ml-tiny"
    assert "The order is out already." in gamer.said.getvalue()
    assert gamer.board.look(out.id) is None


def test_what_no_peer_takes_is_refused_before_a_frame_is_sent(
    gamer: Gamer, frames: list[Pixels]
) -> None:
    course = Course("ml-tiny", 1, 3600.0, None, "digest")
    with pytest.raises(UsageError, match="60 minutes cannot be: give up to 30"):
        gamer.ordering().taught(course, frames)
    gamer.lane.wait_until(lambda: not gamer.left())


def test_an_order_that_cannot_be_carried_out_says_why(
    gamer: Gamer, teacher: MakeWorker, frames: list[Pixels]
) -> None:
    teacher()
    # A peer takes the order, and finds nothing of its frames.
    ordering = gamer.ordering()
    course = Course("ml-tiny", 1, None, 8, "digest")
    gamer.home.begin(course)
    put = ordering._blobs.put
    ordering._blobs.put = lambda data, lifetime: put(data, 0.001)  # type: ignore[method-assign]
    with pytest.raises(UnavailableError, match="not at the broker any more"):
        ordering.taught(course, frames)
