"""A graphics card that falls over takes its capability with it: no chunk, and not the peer."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.messages import Enrolment, PeerState
from p2c2g.peers.registry import Registry
from p2c2g.session.config import SessionConfig
from p2c2g_workers import gpu
from tests.forks import LEARNING
from tests.gamer import Gamer
from tests.gpu_app import BAD, CARD, DONE, FAULT, TORCH
from tests.honest import EXACT, shown
from tests.lane import PATIENCE, Lane, settings
from tests.pool import MakeWorker, Worker
from tests.sessions import Player

W = "w@test"
SIZE = Size(96, 64)
OPS = Pipeline.parse("upscale:2")
APPLICATION = "tests.gpu_app"
GIVEN_UP = "The graphics card is given up"
MakePeer = Callable[..., Worker]


@pytest.fixture
def registry(lane: Lane) -> Registry:
    return Registry(lane.client)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    # Who is not heard of for three intervals is swept by the session, and hears no command.
    return {"P2C2G_WORKER_BEAT_INTERVAL": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def peer(worker: MakeWorker, environment: dict[str, str]) -> MakePeer:
    def make(*options: str) -> Worker:
        return worker(*options, application=APPLICATION, environment=environment)

    return make


Play = Callable[..., None]


@pytest.fixture
def play(lane: Lane, broker: EmbeddedBroker) -> Iterator[Play]:
    """Play on a queue, one chunk a frame: ``play("gpu", 2)`` sends two frames.

    Each is sent after the one before it was shown, and all have to be right but for
    ``levels``.
    """
    players: dict[str, Player] = {}
    with ExitStack() as stack:

        def frames(queue: str, count: int, levels: int = 0) -> None:
            if queue not in players:
                config = SessionConfig(
                    size=SIZE, operations=OPS, grid=Grid(1, 1), codec="raw", form=EXACT,
                    deadline=PATIENCE, paced=False, queue=queue,
                )  # fmt: skip
                players[queue] = stack.enter_context(Player(settings(broker.url), config))
            # It looks at the registry now and then, and sends nothing to a queue of nobody.
            presence = players[queue].session.tables.presence
            lane.wait_until(lambda: presence._known is not None and presence._known[2] > 0)
            for _ in range(count):
                random = np.random.default_rng(players[queue].sent)
                pixels = random.integers(0, 256, (64, 96, 3), np.uint8)
                picture = players[queue].play(pixels)
                assert picture.state is FrameState.COMPLETE
                apart = picture.pixels.astype(np.int16) - shown(OPS.resolve(SIZE), pixels)
                assert np.abs(apart).max() <= levels

        yield frames


def told(registry: Registry) -> Enrolment:
    """Return what the worker has told; a busy one is swept by sessions, and tells it anew."""
    deadline = monotonic() + PATIENCE
    while (found := registry.enrolments([W]).get(W)) is None:
        assert monotonic() < deadline, "it has told nothing"
    return found


def wait_for_queues(lane: Lane, registry: Registry, *queues: str) -> None:
    lane.wait_until(lambda: told(registry).queues == queues)


def done_by_card(lane: Lane) -> int:
    count: Any = lane.client.get(DONE)
    return int(count or 0)


@pytest.mark.parametrize(
    ("fault", "chunks"), [("memory", 1), ("CUDA error: an illegal memory access", 1), ("odd", 3)]
)
def test_a_lost_card_leaves_its_queue_and_comes_back(
    lane: Lane,
    registry: Registry,
    peer: MakePeer,
    play: Play,
    fault: str,
    chunks: int,
) -> None:
    running = peer("-Q", "gpu", "-c", "1")
    wait_for_queues(lane, registry, "gpu")
    # The probe uses the card too; from now on only chunks do.
    lane.wait_until(lambda: told(registry).capabilities.speeds)
    before = told(registry)
    assert before.capabilities.queues == ("cpu", "gpu")
    assert before.capabilities.gpus == (CARD,)
    play("gpu", 2)
    assert done_by_card(lane) >= 2

    lane.client.set(FAULT, fault)
    for _ in range(chunks):
        # Sooner where the session had one run twice: then nobody serves the queue any more.
        if GIVEN_UP not in running.log():
            play("gpu", 1)  # It is answered, and rightly.
    wait_for_queues(lane, registry, "cpu")
    after = told(registry)
    assert after.instance == before.instance
    assert after.capabilities.queues == ("cpu",)
    assert after.capabilities.gpus == (CARD,), "the card is still there"
    # There is no beat while a busy machine is late with one.
    lane.wait_until(lambda: (beat := registry.beats([W])[W].beat) and beat.state is PeerState.READY)
    counted = done_by_card(lane)
    play("cpu", 2)
    assert done_by_card(lane) == counted
    assert running.log().count(GIVEN_UP) == 1

    # A session whose breaker closes again asks it back to the queue.
    lane.app.control.broadcast(
        "add_consumer", arguments={"queue": "gpu"}, reply=True, limit=1, timeout=PATIENCE
    )
    lane.wait_until(lambda: running.log().count("Canceling queue gpu") == 2)
    wait_for_queues(lane, registry, "cpu")

    lane.client.delete(FAULT)
    wait_for_queues(lane, registry, "gpu")
    assert told(registry).instance == before.instance
    assert told(registry).capabilities.queues == ("cpu", "gpu")
    counted = done_by_card(lane)
    play("gpu", 2)
    assert done_by_card(lane) >= counted + 2
    assert "Traceback" not in running.log()


def test_a_session_goes_on_while_the_card_breaks(
    lane: Lane, registry: Registry, peer: MakePeer, broker: EmbeddedBroker
) -> None:
    peer("-Q", "gpu,cpu", "-c", "2")
    wait_for_queues(lane, registry, "gpu", "cpu")
    with Gamer(broker.url, queue="cpu") as gamer:  # It compares every pixel.
        gamer.play_complete()
        assert done_by_card(lane) > 0
        lane.client.set(FAULT, "CUDA error: unspecified launch failure")
        wait_for_queues(lane, registry, "cpu")
        gamer.play_complete()
        lane.client.delete(FAULT)
        wait_for_queues(lane, registry, "cpu", "gpu")
        gamer.play_complete()
        (served,) = gamer.session.tally.summary()["peers"]
        assert served["failed"] == 0


@pytest.fixture
def refused(
    lane: Lane, broker: EmbeddedBroker, environment: dict[str, str], tmp_path: Path
) -> Callable[..., str]:
    """Start a worker that ends by itself with 2; return its last line."""

    def start(*options: str, **more: str) -> str:
        made = Worker(
            lane.app, broker.url, tmp_path / "refused.log", *options,
            application=APPLICATION, environment=environment | more,
        )  # fmt: skip
        made.launch()
        try:
            assert made.wait(PATIENCE) == 2, made.log()
        finally:
            made.kill()
        assert "Traceback" not in made.log()
        return made.log().splitlines()[-1]

    return start


def test_a_card_that_fails_the_trial_is_no_capability(
    lane: Lane,
    registry: Registry,
    worker: MakeWorker,
    environment: dict[str, str],
    refused: Callable[..., str],
) -> None:
    why = (
        "Test card (cuda): PyTorch does not open it (libtest.so: cannot open shared object file): "
        'pip install "p2c2g[cuda]"'
    )
    assert refused("-Q", "gpu", **{BAD: "1"}) == (
        f"Error: This machine cannot serve the queue gpu: {why}. Give --cpu-fallback or -Q cpu to "
        "serve the queue cpu."
    )
    running = worker(
        "-Q", "gpu", "--cpu-fallback",
        application=APPLICATION, environment=environment | {BAD: "1"},
    )  # fmt: skip
    wait_for_queues(lane, registry, "cpu")
    assert told(registry).capabilities.queues == ("cpu",)
    assert f"{why}: serving the queue cpu in place of gpu." in running.log()


@pytest.mark.skipif(gpu.MISSING, reason="needs PyTorch: pip install 'p2c2g[cuda]'")
def test_a_session_by_pytorchs_engine(
    lane: Lane,
    registry: Registry,
    worker: MakeWorker,
    environment: dict[str, str],
    play: Play,
) -> None:
    running = worker(
        "-Q",
        "gpu",
        "-c",
        "2",
        application=APPLICATION,
        environment=environment | {TORCH: "1"},
        imported=LEARNING,
    )
    wait_for_queues(lane, registry, "gpu")
    # The probe's work is not in the way of the frames then.
    lane.wait_until(lambda: told(registry).capabilities.speeds)
    play("gpu", 6, levels=1)
    assert "torch" in told(registry).capabilities.versions
    running.signal(signal.SIGTERM)
    assert running.wait(PATIENCE) == 0, running.log()
    assert "failed" not in running.log()


def test_a_card_that_is_not_there_is_named(refused: Callable[..., str]) -> None:
    assert refused("-Q", "gpu", P2C2G_WORKER_GPU="3") == (
        "Error: P2C2G_WORKER_GPU=3 names no card of this machine: it has 0 (Test card)."
    )


def test_processes_cannot_share_a_card(refused: Callable[..., str]) -> None:
    assert refused("-Q", "gpu", "-P", "processes") == (
        "Error: This machine cannot serve the queue gpu: a graphics card belongs to one process, "
        "so it needs -P threads. Give --cpu-fallback or -Q cpu to serve the queue cpu."
    )
