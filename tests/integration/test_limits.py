"""A session that may use so much of its line, on a real broker with a real worker."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any

import numpy as np
import pytest

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.messaging.metering import Meter
from p2c2g.session.config import SessionConfig
from p2c2g.session.limits import Limits
from p2c2g.session.session import Session
from p2c2g.timing.held import LEEWAY, SPAN
from tests.lane import settings
from tests.metered import Went
from tests.pool import MakeWorker
from tests.sessions import Screen, now_captured
from tests.unit.test_held_rate import worst

SIZE = Size(320, 180)
#: Of noise: many times what is allowed below.
FPS = 20.0
SECONDS = 5.0


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> dict[str, Went]:
    """Return what this process's connections carry from now on, by when it did."""
    found: dict[str, Went] = {"up": [], "down": []}
    went, came = Meter.went, Meter.came

    def log(way: str, count: Any) -> Any:
        def counting(meter: Meter, size: int) -> None:
            found[way].append((monotonic(), size))
            count(meter, size)

        return counting

    monkeypatch.setattr(Meter, "went", log("up", went))
    monkeypatch.setattr(Meter, "came", log("down", came))
    return found


@pytest.mark.parametrize(
    "limits", [Limits.of_mbps(1, None), Limits.of_mbps(None, 0.8), Limits.of_mbps(2, 1.5)]
)
def test_no_two_seconds_carry_more_than_the_gamer_allows(
    broker: EmbeddedBroker, worker: MakeWorker, carried: dict[str, Went], limits: Limits
) -> None:
    worker("-Q", "cpu", "-c", "2", application="p2c2g")
    config = SessionConfig(
        SIZE, Pipeline.parse("upscale:2,sharpen:0.5"), Grid(3, 3), quality=90, deadline=0.5,
        fps=FPS, limits=limits,
    )  # fmt: skip
    noise = np.random.default_rng(1)
    with Broker(settings(broker.url)) as link:
        session = Session(link, config, screen := Screen())
        session.start()
        pause, began = threading.Event(), monotonic()
        for number in range(int(FPS * SECONDS)):
            pixels = noise.integers(0, 256, (SIZE.height, SIZE.width, 3), np.uint8)
            session.submit(now_captured(number, pixels))
            pause.wait(max(0.0, began + (number + 1) / FPS - monotonic()))
        live = session.live()
        session.close(int(FPS * SECONDS))
        figures = session.figures()
    # The first, or a newer one where this machine stood still.
    assert screen.next().number <= session.tally.passed_over
    for way, limit in (("up", limits.up), ("down", limits.down)):
        assert (limit is not None) == (way in live["limits"])
        if limit is None:
            continue
        went = sorted(carried[way])
        assert worst(went) <= 1.05 * limit * SPAN, way
        told = figures["limits"][way]
        assert told["mbps"] == pytest.approx(8e-6 * limit)
        assert 0 < told["used"] <= told["fullest"] + 0.01
        assert told["fullest"] <= 1 + LEEWAY + 0.02
    assert sum(each["refused"] for each in figures["limits"].values()) > 0
    assert "you allow" in str(figures["notices"])
    assert sum(peer["chunks"] for peer in figures["peers"]) > 0
