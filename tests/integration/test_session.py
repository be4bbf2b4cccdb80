"""A session on a real broker with a real worker."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from celery.result import AsyncResult

from p2c2g.media.chunker import Grid, cut
from p2c2g.media.codecs import codec
from p2c2g.media.frame import ChunkKey, Frame, Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState, Picture
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.dispatcher import task_id
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.session.attempts import Decision
from p2c2g.session.config import SessionConfig
from p2c2g.session.observer import Observer
from p2c2g.session.session import Session
from tests import honest
from tests.honest import EXACT
from tests.lane import settings
from tests.pool import HONEST, Pool, Worker, wait_until_known
from tests.sessions import Screen, now_captured

SIZE = Size(160, 90)
PIPELINE = Pipeline.parse("upscale:2,sharpen:0.5")
#: Long enough for any machine: only what never comes back runs into it.
PATIENCE = 60.0


def new_session(
    link: Broker,
    sink: Callable[[Picture], None],
    observers: Sequence[Observer] = (),
    **plan: Any,
) -> Session:
    wanted: dict[str, Any] = {
        "size": SIZE,
        "operations": PIPELINE,
        "grid": Grid(2, 2),
        "codec": "raw",
        "form": EXACT,
        "deadline": PATIENCE,
        "paced": False,  # Else a picture is shown when its time has come.
        "steady": False,  # Else a busy machine is asked for less.
        **plan,
    }
    return Session(link, SessionConfig(**wanted), sink, observers=observers)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with Pool(tmp_path_factory.mktemp("pool")) as opened:
        yield opened


@pytest.mark.parametrize("name", ["collector", "player", "maintenance"])
def test_a_thread_that_dies_is_told_at_the_next_submit(
    link: Broker, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        raise ValueError("broken")

    session = new_session(link, lambda _: None)
    [thread] = [each for each in session._threads if each.name == f"p2c2g-{name}"]
    monkeypatch.setattr(thread, "_target", die)
    session.start()
    assert thread.join(PATIENCE)
    with pytest.raises(RuntimeError, match=f"the thread p2c2g-{name} has died") as told:
        session.submit(frame(0))
    assert isinstance(told.value.__cause__, ValueError)
    session.close(0)


@pytest.fixture
def link(pool: Pool) -> Iterator[Broker]:
    with Broker(pool.settings()) as opened:
        yield opened


@pytest.fixture
def worker(pool: Pool, tmp_path: Path) -> Iterator[Worker]:
    """Start a worker for one test."""
    made = Worker(
        pool.app, pool.url(), tmp_path / "w.log", "-Q", "cpu", "-c", "2", application=HONEST
    )
    try:
        made.start()
        wait_until_known(made, pool.client)
        yield made
    finally:
        made.kill()


def frame(number: int) -> Frame:
    pixels = np.random.default_rng(number).integers(0, 256, (SIZE.height, SIZE.width, 3), np.uint8)
    return now_captured(number, pixels)


def test_chunked_by_the_pool_equals_whole(pool: Pool, link: Broker, worker: Worker) -> None:
    screen = Screen()
    session = new_session(link, screen)
    session.start()
    sent, shown = [], list[Picture]()
    for number in range(3):
        # One by one: while nothing has come for a moment, a session sends little.
        sent.append(frame(number))
        session.submit(sent[-1])
        shown.append(screen.next())
    last = AsyncResult(task_id(session.id, 2, 3), app=pool.app)
    assert last.get(timeout=PATIENCE, disable_sync_subtasks=False).startswith("<frame 2 chunk 3")
    assert last.state == "SUCCESS"
    session.close(due=3)

    assert [picture.number for picture in shown] == [0, 1, 2]
    whole = PIPELINE.resolve(SIZE)
    for source, picture in zip(sent, shown, strict=True):
        assert picture.state is FrameState.COMPLETE
        np.testing.assert_array_equal(picture.pixels, honest.shown(whole, source.pixels))
    # Once each; on a busy machine a second run may be the quicker.
    assert session.tables.attempts.accepted.total() == 12
    assert len(session.tables.attempts) == 0
    # Who is there, and how far, is the peers' to tell, and what was seen of them is for the next
    # session.
    kept = (b"p2c2g.peers", b"p2c2g.beat.", b"p2c2g.probe.", b"p2c2g.health", b"p2c2g.spoken")
    left = [key for key in pool.client.keys("p2c2g.*") if not key.startswith(kept)]
    assert left == [], "the session left something at the broker"


def test_the_stages_add_up_to_the_latency(link: Broker, worker: Worker) -> None:
    screen = Screen()
    session = new_session(link, screen, grid=Grid(1, 1))
    session.start()
    session.submit(frame(0))
    picture = screen.next()
    session.close(due=1)
    summary = session.tally.summary()
    total = sum(stage["p50"] for stage in summary["stages_ms"].values())
    assert total == pytest.approx((picture.ready_at - picture.captured_at) * 1e3, abs=0.02)
    assert all(stage["p50"] >= 0 for stage in summary["stages_ms"].values())


def test_frames_that_are_shown_at_once_have_what_peers_added_to_earlier_ones(
    link: Broker, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is.
    monkeypatch.setattr("p2c2g.session.carried_residuals._OLDEST", PATIENCE)
    screen = Screen()
    session = new_session(link, screen, at_once=True)
    session.start()
    world, began = frame(0).pixels, monotonic()
    shown: list[Picture] = []
    while not shown or shown[-1].state is not FrameState.COMPLETE:
        assert monotonic() < began + PATIENCE
        pixels = np.roll(world, 2 * len(shown), 1)  # it scrolls
        session.submit(now_captured(len(shown), pixels))
        # It is there when it was submitted; who looks at it has the residuals carried.
        shown.append(screen.next())
        assert shown[-1].pixels.shape == (180, 320, 3)
        wait_for_what_was_sent(session)
    session.close(due=len(shown))

    assert [picture.number for picture in shown] == list(range(len(shown)))
    np.testing.assert_array_equal(shown[0].pixels, shown[0].base)
    # Nearer to what peers make of it than the base is.
    due = honest.shown(PIPELINE.resolve(SIZE), pixels).astype(np.int16)
    assert np.abs(shown[-1].pixels - due).mean() < 0.5 * np.abs(shown[-1].base - due).mean()
    at_once = session.figures()["at_once"]
    assert at_once["frames"] == len(shown)
    assert at_once["carried"] > 0
    assert at_once["age_ms"] > 0


def wait_for_what_was_sent(session: Session) -> None:
    until = monotonic() + PATIENCE
    while session.frames_in_flight:
        assert monotonic() < until
        sleep(0.005)


def test_the_report_has_the_bytes_of_what_was_sent_and_came_back(
    link: Broker, worker: Worker
) -> None:
    screen = Screen()
    session = new_session(link, screen, grid=Grid(1, 1))
    session.start()
    session.submit(frame(0))
    (tile,) = screen.next().tiles
    session.close(due=1)
    traffic = session.tally.summary()["bytes"]
    assert tile.residual is not None
    sent = codec("raw").encode(cut(frame(0).pixels, tile.chunk), 80)
    # As often as it was run: a busy machine may need a second time.
    assert traffic["up"]["total"] in {times * len(sent) for times in (1, 2, 3)}
    assert traffic["down"]["total"] in {times * len(tile.residual) for times in (1, 2, 3)}


class Failures(Observer):
    """What runs failed of, in order."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def run_failed(
        self, key: ChunkKey, attempt: int | None, peer: str, error: str, decision: Decision
    ) -> None:
        self.errors.append(error)


class CorruptingCodec:
    """The raw codec, but what it encodes for one chunk is no picture."""

    def __init__(self, chunk: int, chunks: int) -> None:
        self._chunk, self._chunks, self._calls = chunk, chunks, 0

    def encode(self, pixels: Pixels, quality: int) -> bytes:
        index, self._calls = self._calls % self._chunks, self._calls + 1
        return b"no picture" if index == self._chunk else codec("raw").encode(pixels, quality)


def test_a_corrupt_chunk_is_run_three_times_then_painted_from_the_base_layer(
    pool: Pool, link: Broker, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen, told = Screen(), Failures()
    session = new_session(link, screen, observers=(told,), deadline=6.0)
    corrupting = CorruptingCodec(chunk=2, chunks=4)
    monkeypatch.setattr("p2c2g.media.recipe.source_codec", lambda _: corrupting)
    session.start()
    source = frame(0)
    session.submit(source)
    picture = screen.next()
    session.close(due=1)

    assert picture.state is FrameState.DEGRADED
    assert [tile.residual is None for tile in picture.tiles] == [False, False, True, False]
    assert session.tables.attempts.exhausted == 1
    assert session.tables.attempts.failed == 3
    assert [re.findall(r"chunk 2 of frame 0, attempt (\d)", each) for each in told.errors] == [
        ["1"], ["2"], ["3"],
    ]  # fmt: skip
    assert session.tally.summary()["errors"] == {"CodecError": 3}
    state = AsyncResult(task_id(session.id, 0, 2), app=pool.app)
    assert state.state == "FAILURE"
    assert "chunk 2 of frame 0, attempt 3" in str(state.result)

    # That chunk is the base layer, and the others are more.
    whole = honest.shown(PIPELINE.resolve(SIZE), source.pixels)
    for tile in picture.tiles:
        at = tile.chunk.target
        due = picture.base if tile.residual is None else whole
        np.testing.assert_array_equal(at.of(picture.pixels), at.of(due))
    assert not np.array_equal(whole, picture.base)


def test_without_any_peer_every_frame_is_shown_from_the_base_layer(
    pool: Pool, link: Broker
) -> None:
    screen = Screen()
    session = new_session(link, screen, deadline=0.05, codec="jpeg")
    session.start()
    shown = []
    for number in range(4):
        session.submit(frame(number))
        shown.append(screen.next())
    session.close(due=4)
    assert [picture.number for picture in shown] == [0, 1, 2, 3]
    assert {picture.state for picture in shown} == {FrameState.DEGRADED}
    assert session.tally.frames() == {"captured": 4, "complete": 0, "degraded": 4, "dropped": 0}
    pool.app.control.purge()


def test_frames_that_were_due_and_never_submitted_are_dropped(pool: Pool, link: Broker) -> None:
    session = new_session(link, Screen(), deadline=0.05)
    session.start()
    session.submit(frame(3))
    session.close(due=10)
    frames = session.tally.frames()
    assert frames["captured"] == 10
    assert frames["dropped"] == 9
    pool.app.control.purge()


def test_a_broker_that_goes_away_costs_no_picture(worker_threads: None) -> None:
    screen = Screen()
    with EmbeddedBroker() as broker:
        link = Broker(settings(broker.url))
        session = new_session(link, screen, deadline=0.05)
        session.start()
        session.submit(frame(0))
        assert screen.next().number == 0
        broker.kill()
        for number in (1, 2):
            session.submit(frame(number))
            assert screen.next().number == number
        broker.restart()
        session.submit(frame(3))
        assert screen.next().number == 3
        session.close(due=4)
        link.close()
    assert session.tally.frames()["degraded"] == 4


@pytest.fixture
def worker_threads() -> Iterator[None]:
    """See that a session leaves no thread behind."""
    before = set(threading.enumerate())
    yield
    left = [each for each in set(threading.enumerate()) - before if "forker" not in each.name]
    for thread in left:  # On a busy machine one may still be about to end.
        thread.join(PATIENCE)
    assert not [thread for thread in left if thread.is_alive()]
