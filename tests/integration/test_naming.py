"""A second worker of a machine gets the next free name, and nobody's name is taken from them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from p2c2g.messaging import names
from p2c2g.peers.messages import Beat, PeerState
from p2c2g_workers.naming import Claim, claim, numbered
from tests.lane import PATIENCE, Lane

W = "w@test"
#: Seconds between beats here.
INTERVAL = 0.1


def beat(lane: Lane, uptime: float, *, name: str = W) -> None:
    told = Beat(instance="other", state=PeerState.READY, uptime=uptime)
    lane.client.set(names.beat(name), told.model_dump_json(), px=int(PATIENCE * 1000))


def test_a_name_that_nobody_has_is_had() -> None:
    assert numbered(W, 1) == W
    assert numbered(W, 2) == "w-2@test"
    assert numbered("w", 3) == "w-3"


def test_of_many_that_start_together_each_gets_a_name_of_its_own(lane: Lane) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda each: claim(lane.client, W, f"i{each}", INTERVAL), range(4))
        assert sorted(found) == ["w-2@test", "w-3@test", "w-4@test", W]


def test_a_living_worker_keeps_its_name(lane: Lane) -> None:
    ended = threading.Event()

    def live() -> None:
        uptime = 1.0
        while not ended.wait(INTERVAL):
            uptime += INTERVAL
            beat(lane, uptime)

    beat(lane, 1.0)
    living = threading.Thread(target=live)
    living.start()
    try:
        assert claim(lane.client, W, "mine", 5.0) == "w-2@test"
    finally:
        ended.set()
        living.join()


def test_a_killed_workers_name_is_had_once_its_beat_is_gone(lane: Lane) -> None:
    told = Beat(instance="killed", state=PeerState.READY, uptime=7.0)
    lane.client.set(names.beat(W), told.model_dump_json(), px=200)
    assert claim(lane.client, W, "mine", 5.0) == W


def test_a_claim_is_given_up_by_who_made_it_alone(lane: Lane) -> None:
    assert claim(lane.client, W, "mine", INTERVAL) == W
    Claim(W, "other").release(lane.client, W)
    assert lane.client.exists(names.beat(W))
    Claim(W, "mine").release(lane.client, W)
    assert not lane.client.exists(names.beat(W))
