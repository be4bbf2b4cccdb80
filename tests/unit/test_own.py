"""What this machine does by itself: when that is chosen, and what is shown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import numpy as np
import pytest

from p2c2g.errors import UsageError
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Frame, Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState, Picture
from p2c2g.media.residual import Residual
from p2c2g.session.config import SessionConfig
from p2c2g.session.own import OwnSession
from p2c2g_capture.allowance import Allowance
from p2c2g_capture.where import own, own_or_base
from p2c2g_workers.own import enhancer
from tests.honest import EXACT, shown

SIZE = Size(64, 36)
PATIENCE = 60.0


def config(ops: str = "upscale:2,sharpen:0.5", fps: float = 30.0) -> SessionConfig:
    return SessionConfig(SIZE, Pipeline.parse(ops), Grid(2, 1), form=EXACT, fps=fps)


def frame(number: int) -> Frame:
    pixels = np.random.default_rng(number).integers(0, 256, (36, 64, 4), np.uint8)
    now = monotonic()
    return Frame(number, pixels, now, now)


def ticking(seconds: float) -> Callable[[], float]:
    """A clock that goes on by so much each time it is read."""
    ticks = iter(range(10_000))
    return lambda: next(ticks) * seconds


class Shown:
    """A sink that can be waited for."""

    def __init__(self, session: Callable[..., OwnSession], count: int) -> None:
        self.pictures: list[Picture] = []
        self._all = threading.Event()
        self._count = count
        self.session = session(self._show)

    def _show(self, picture: Picture) -> None:
        self.pictures.append(picture)
        if len(self.pictures) == self._count:
            self._all.set()

    def wait(self) -> None:
        assert self._all.wait(PATIENCE)


def test_cheap_operations_are_done_here_and_nets_are_not() -> None:
    found = own(config(), "auto", ticking(0.001))
    assert found is not None
    assert found.seconds == pytest.approx(0.001)
    assert found.sentence(config()) == (
        "This machine does upscale:2:base,sharpen:0.5 by itself, in 1.0 ms a frame: nothing is "
        "sent. --where peers has the pool do it."
    )
    assert own(config("upscale:2:ml"), "auto") is None
    assert own(config("upscale:2:ml-tiny,sharpen:1"), "auto") is None
    assert own(config(), "peers") is None


def test_what_takes_too_long_is_the_pools() -> None:
    assert own(config(fps=30), "auto", ticking(0.017)) is None
    assert own(config(fps=30), "auto", ticking(0.016)) is not None
    assert own(config(fps=30), "here", ticking(0.5)) is not None


@pytest.mark.parametrize(
    ("ops", "where", "says"),
    [
        ("upscale:2", "there", "--where 'there' is no place: give auto, here, peers."),
        ("upscale:2:ml", "here", "cannot choose a net: name one, such as --ops upscale:2:ml-tiny."),
    ],
)
def test_what_cannot_be_is_a_sentence(ops: str, where: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        own(config(ops), where)
    assert says in str(refused.value)


def test_where_nothing_is_installed_the_pool_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2c2g_capture.where.entry_points", lambda **_: [])
    assert own(config(), "auto") is None
    with pytest.raises(UsageError, match=r"pip install .*worker"):
        own(config(), "here")


def test_it_shows_what_the_pool_would_show() -> None:
    asked = config()
    plan = asked.operations.resolve(SIZE)
    screen = Shown(lambda sink: OwnSession(asked, enhancer(plan, EXACT), sink), 1)
    screen.session.start()
    given = frame(0)
    screen.session.submit(given)
    screen.wait()
    screen.session.close(1)
    [picture] = screen.pictures
    assert picture.state is FrameState.COMPLETE
    np.testing.assert_array_equal(picture.pixels, shown(plan, given.pixels[:, :, :3].copy()))
    [tile] = picture.tiles
    assert tile.residual is not None
    assert EXACT.decode(tile.residual, plan.output).any()
    assert screen.session.live()["by"] == "here"
    figures = screen.session.figures()
    assert figures["frames"] == {"captured": 1, "complete": 1, "degraded": 0, "dropped": 0}
    assert figures["bytes"]["up"]["total"] == 0
    assert figures["latency_ms"]["p50"] > 0


def test_a_frame_that_waits_is_passed_over_for_a_newer_one() -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(pixels: Pixels) -> Residual:
        began.set()
        assert go_on.wait(PATIENCE)
        return np.zeros((72, 128, 1), np.int16)

    screen = Shown(lambda sink: OwnSession(config(), slow, sink), 2)
    screen.session.start()
    screen.session.submit(frame(0))
    assert began.wait(PATIENCE)
    for number in (1, 2, 3):
        screen.session.submit(frame(number))
    assert screen.session.frames_in_flight == 2
    go_on.set()
    screen.wait()
    screen.session.close(5)
    assert [picture.number for picture in screen.pictures] == [0, 3]
    frames: dict[str, Any] = screen.session.figures()["frames"]
    assert frames == {"captured": 5, "complete": 2, "degraded": 0, "dropped": 3}
    assert screen.session.figures()["passed_over"] == 2


def test_a_machine_that_is_too_slow_for_it_takes_fewer_frames_and_says_so() -> None:
    began, go_on = threading.Event(), threading.Event()

    def stuck(pixels: Pixels) -> Residual:
        began.set()
        assert go_on.wait(PATIENCE)
        return np.zeros((72, 128, 1), np.int16)

    now = [0.0]
    session = OwnSession(config(), stuck, lambda _: None, lambda: now[0])
    session.start()
    session.submit(frame(0))
    assert began.wait(PATIENCE)
    for number in range(1, 60):
        now[0] = number / 30
        session.submit(frame(number))
    assert session.frames_in_flight == 2, "what waits grows"
    assert session.every > 1
    assert "This machine is too busy" in session.live()["notice"]
    go_on.set()
    session.close(60)


def test_a_fault_is_told_at_the_next_frame() -> None:
    failed = threading.Event()

    def broken(_pixels: Pixels) -> Residual:
        failed.set()
        raise ValueError("broken")

    session = OwnSession(config(), broken, lambda _: None)
    session.start()
    session.submit(frame(0))
    assert failed.wait(PATIENCE)
    session._thread.join(PATIENCE)
    with pytest.raises(RuntimeError, match="p2c2g-own has died"):
        session.submit(frame(1))


def test_where_nothing_may_be_sent_the_base_is_shown_and_why_is_said() -> None:
    nothing = Allowance(is_nothing=True)
    # What this machine does by itself sends nothing anyhow.
    here = own_or_base(config(), "here", nothing)
    assert here is not None
    assert here.enhance is not None
    assert own_or_base(config("upscale:2:ml"), "auto", Allowance()) is None
    found = own_or_base(config("upscale:2:ml"), "peers", nothing)
    assert found is not None
    assert found.enhance is None
    assert "metered" in found.sentence(config())
    screen = Shown(lambda sink: OwnSession(config(), found.enhance, sink, notice=found.notice), 1)
    screen.session.start()
    screen.session.submit(frame(0))
    screen.wait()
    live, (picture,) = screen.session.live(), screen.pictures
    screen.session.close(1)
    assert live["notice"] == found.notice
    assert picture.state is FrameState.DEGRADED
    assert np.array_equal(picture.pixels, picture.base)
    figures = screen.session.figures()
    assert figures["frames"]["degraded"] == 1
    assert figures["bytes"]["up"]["total"] == 0
