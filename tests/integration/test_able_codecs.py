"""A real session whose line is narrow has residuals as WebP by a peer that is fast at that."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.session.config import SessionConfig
from p2c2g.session.limits import Limits
from p2c2g_workers import probe
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.probe import cache
from tests.lane import settings
from tests.pool import MakeWorker
from tests.sessions import PATIENCE, Player

SIZE = Size(320, 180)
FPS = 10.0
#: Residuals in a row that have to be written so, once everything is known.
RESIDUALS = 12


def remembered(folder: Path, webp: float) -> dict[str, str]:
    """Return the environment of a peer that remembers how fast it is: it does not measure it."""
    engine = CpuEngine()
    key = probe._key(probe._look(engine), engine)
    measured = {"speeds": {"upscale:base": 100.0}, "codecs": {"jpeg": 200.0, "webp": webp}}
    path = folder / "p2c2g" / cache.path().name
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"key": key, "measured": measured}))
    return {"XDG_CACHE_HOME": str(folder)}


@pytest.mark.parametrize(("webp", "written"), [(400.0, "webp"), (0.5, "jpeg")])
def test_a_narrow_line_gets_webp_from_a_fast_peer_alone(
    broker: EmbeddedBroker, worker: MakeWorker, tmp_path: Path, webp: float, written: str
) -> None:
    peer = worker(
        "-Q", "cpu", "-c", "2", application="p2c2g", environment=remembered(tmp_path, webp)
    ).name
    config = SessionConfig(
        SIZE, Pipeline.parse("upscale:2,sharpen:0.5"), Grid(2, 2), deadline=1.0, fps=FPS,
        paced=False, limits=Limits.of_mbps(None, 0.5),
    )  # fmt: skip
    noise = np.random.default_rng(1)
    with Player(settings(broker.url), config) as player:
        tables, seen = player.session.tables, list[str]()
        pause, began = threading.Event(), monotonic()

        def is_settled() -> bool:
            if seen[-RESIDUALS:] != RESIDUALS * [written]:
                return False
            # Which is what it asks for at that moment, and in the next may not be.
            told: str = player.session.figures()["steady"]["residuals"]
            return told.startswith(written)

        while not is_settled():
            assert monotonic() < began + 2 * PATIENCE, seen
            # As many frames a second as it says, so that the peer has time to spare.
            pause.wait(max(0.0, began + player.sent / FPS - monotonic()))
            pixels = noise.integers(0, 256, (SIZE.height, SIZE.width, 3), np.uint8)
            picture = player.play(pixels)
            candidate = tables.router.pool.get(peer)
            coarser = tables.steering.steady.levels.residual > 0
            if candidate and candidate.codecs.get("webp") == webp and coarser:
                seen += [each.form.codec for each in picture.tiles if each.residual is not None]
    assert written == "webp" or "webp" not in seen
