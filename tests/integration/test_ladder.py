"""A pipeline that leaves the net to the peer, over a real broker and real workers."""

from __future__ import annotations

from p2c2g.media.methods import NETWORKS
from p2c2g.media.picture import FrameState
from p2c2g_workers import nets
from tests.gamer import Gamer
from tests.pool import Pool
from tests.sessions import PATIENCE

SLOW_NETS = "tests.slow_nets_app"
ALLOWED = [f"upscale:2:{each}" for each in (*filter(nets.is_shipped, NETWORKS), "base")]


def test_a_peer_with_time_runs_a_net_and_says_which(pool: Pool) -> None:
    pool.worker("one")
    # So much time that a peer has enough on any machine.
    with Gamer(
        pool.broker.url, ops="upscale:2:ml", allowed=ALLOWED, deadline=PATIENCE, paced=False
    ) as gamer:

        def by_nets() -> int:
            ran = gamer.session.tally.summary()["ran"]
            return sum(number for text, number in ran.items() if ":ml-" in text)

        # How many frames that takes is a matter of what else the machine does.
        gamer.until(lambda: by_nets() > 60, "it runs no nets")
        gamer.until(lambda: gamer.shown.count(FrameState.COMPLETE) >= 30, "too few complete frames")
        assert gamer.session.tally.summary()["ran"].keys() <= set(ALLOWED)


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
