"""A pipeline that leaves the net to the peer, over a real broker and real workers."""

from __future__ import annotations

import numpy as np

from p2c2g.media.chunker import Grid
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState
from p2c2g.session.config import SessionConfig
from p2c2g_workers import nets
from tests.gamer import SIZE, Gamer
from tests.honest import EXACT, shown
from tests.pool import LASTING, Pool
from tests.sessions import PATIENCE, Player

SLOW_NETS = "tests.slow_nets_app"
ALLOWED = [f"upscale:2:{each}" for each in (*filter(nets.is_shipped, NETWORKS), "base")]


def test_a_peer_with_time_runs_a_net_and_says_which(pool: Pool) -> None:
    pool.worker("one", more=LASTING)
    # A frame after another, each with so much time that a peer has enough on any machine.
    config = SessionConfig(
        size=SIZE, operations=Pipeline.parse("upscale:2:ml"), grid=Grid(2, 2), codec="raw",
        form=EXACT, deadline=PATIENCE, paced=False, reuse=False,
        steady=False,
    )  # fmt: skip
    blocks = np.random.default_rng(7).integers(0, 256, (9, 16, 3), np.uint8)
    pixels = blocks.repeat(10, 0).repeat(10, 1)
    honest = [shown(Pipeline.parse(text).resolve(SIZE), pixels) for text in ALLOWED]
    with Player(pool.settings(), config) as player:
        for _ in range(20):
            picture = player.play(pixels)
            assert picture.state is FrameState.COMPLETE
            for part in (chunk.target for chunk in config.chunks):
                ours = part.of(picture.pixels)
                assert any(np.array_equal(ours, part.of(each)) for each in honest)
        ran = player.ran()
    assert ran.keys() <= set(ALLOWED)
    assert sum(count for text, count in ran.items() if ":ml-" in text) >= 80


def test_a_peer_whose_nets_are_too_slow_adds_nothing_and_does_not_fall_behind(pool: Pool) -> None:
    pool.worker("slow", SLOW_NETS)
    with Gamer(pool.broker.url, ops="upscale:2:ml", allowed=ALLOWED) as gamer:
        gamer.play_complete(30)
        ran = gamer.session.tally.peers["slow@test"].ran
        assert ran["upscale:2:base"] >= 120
    with Gamer(pool.broker.url, ops="upscale:2:ml-tiny") as gamer:
        gamer.play_degraded(15)
        assert FrameState.COMPLETE not in gamer.shown


def test_two_peers_that_ran_different_nets_are_not_held_against_each_other(pool: Pool) -> None:
    pool.worker("quick")
    pool.worker("slow", SLOW_NETS)
    with Gamer(
        pool.broker.url, ops="upscale:2:ml", allowed=ALLOWED, policy="weighted", deadline=0.4
    ) as gamer:
        gamer.until(lambda: len(gamer.session.tally.peers) == 2, "one does nothing")
        gamer.until(
            lambda: gamer.session.routing()["examinations"]["incomparable"] > 0, "never compared"
        )
        gamer.play_complete(15)
        assert gamer.session.routing()["examinations"]["differed"] == 0
