"""Peers of an open pool that attack a session: no picture is wrong, and they are soon out."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from p2c2g.messaging import names, open_names
from p2c2g.messaging.client import redis_client
from p2c2g.settings.principal import Principal, Role
from tests import attackers
from tests.attackers import Attacker
from tests.busy import Stopwatch
from tests.gamer import FPS, Gamer
from tests.open_pool import OpenPool, working

HONEST, EVIL, ALICE = ("pattic", "pcellar"), "pevill", "galice"
#: Seconds within which an attacker has to be out, beside those in which others had the processors.
SOON = 5.0


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenPool]:
    folder = tmp_path_factory.mktemp("attacked")
    with OpenPool("valkey", folder) as opened, working(opened, folder, *HONEST) as workers:
        opened.join(Role.GAMER, ALICE)
        yield opened
        assert all(each.is_running for each in workers.values())


@pytest.mark.parametrize(
    ("attack", "relentless"),
    [
        (attackers.squat, False),
        (attackers.flood, True),
        (attackers.fail_others, True),
        (attackers.forge, False),
        (attackers.babble, False),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_an_attacker_costs_a_session_little(
    pool: OpenPool,
    attack: Callable[[redis.Redis, str, str, str], None],
    relentless: bool,
    tmp_path: Path,
) -> None:
    alice = pool.memberships[Principal(Role.GAMER, ALICE)]
    with Gamer(pool.settings(alice), policy="predictive") as gamer:
        gamer.play_complete()
        evil = pool.join(Role.PEER, EVIL)
        with Attacker(pool, evil, attack, relentless=relentless) as attacker:
            gamer.until(lambda: attacker.attacks > 0, "it attacks")
            watch = Stopwatch(int(pool.operator.info("server")["process_id"]))
            gamer.until(
                lambda: EVIL not in gamer.session.routing()["pool"], "it is out of the pool"
            )
            assert watch.seconds <= SOON
            gamer.play_complete()
        pool.leave(Principal(Role.PEER, EVIL))
    assert pool.denials() == []


def test_a_gamer_that_floods_leaves_the_others_their_turns(pool: OpenPool) -> None:
    alice = pool.memberships[Principal(Role.GAMER, ALICE)]
    client = redis_client(pool.settings(pool.join(Role.GAMER, "gflood")), timeout=5.0)
    queues = [names.queue_key(open_names.chunks_queue(peer, "gflood")) for peer in HONEST]
    over = threading.Event()

    def flood() -> None:
        while not over.is_set():
            with client.pipeline(transaction=False) as pipe:
                for queue in queues:
                    pipe.lpush(queue, *(os.urandom(20_000) for _ in range(20)))
                    pipe.ltrim(queue, 0, 999)
                pipe.execute()

    with Gamer(pool.settings(alice), policy="predictive") as gamer:
        gamer.play_complete()
        thread = threading.Thread(target=flood, name="flood")
        thread.start()
        try:
            gamer.until(lambda: bool(pool.operator.llen(queues[0])), "chunks wait")
            gamer.play(int(FPS))
            gamer.play_complete()
        finally:
            over.set()
            thread.join()
            client.delete(*queues)
            client.close()
    pool.leave(Principal(Role.GAMER, "gflood"))
    assert pool.denials() == []
