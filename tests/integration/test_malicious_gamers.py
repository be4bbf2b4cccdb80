"""Malicious gamers against a real worker of an open pool: others are served all the while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event, Thread

import pytest
import redis

from p2c2g.messaging import envelope, names, open_names
from p2c2g.messaging.embedded import HOST
from p2c2g.settings.principal import Principal, Role
from tests.gamer import Gamer
from tests.open_pool import OpenPool, OpenWorker

ATTIC, ALICE = "pattic", "galice"

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OpenPool, OpenWorker]]:
    folder = tmp_path_factory.mktemp("gamers")
    with OpenPool("redis-server", folder) as opened, ExitStack() as stack:
        opened.join(Role.GAMER, ALICE)
        attic = opened.join(Role.PEER, ATTIC)
        worker = OpenWorker(opened, attic, folder / "attic.log", "-Q", "cpu", "-c", "1")
        stack.callback(worker.kill)
        worker.launch()
        worker.wait_until_ready()
        yield opened, worker


def head() -> bytes:
    """Return the beginning of an envelope whose body nobody can open."""
    return envelope.MAGIC + bytes([envelope.VERSION]) + b"\0\0\0\4"


FLOODS = {
    "small": b"x",
    "large": bytes(4 << 20),
    "envelope": head() + bytes(1000),
    "json": b'{"body": "' + b"A" * 100_000 + b'"}',
}


@pytest.mark.parametrize("what", FLOODS)
def test_who_floods_a_peer_is_not_listened_to_and_the_others_are(
    pool: tuple[OpenPool, OpenWorker], what: str
) -> None:
    opened, worker = pool
    eve, said = f"gev{what}", f"Gamer gev{what} sends what is no chunk"
    membership = opened.join(Role.GAMER, eve)
    client = redis.Redis(
        HOST, opened.broker.port, username=membership.user, driver_info=None,
        password=membership.password.get_secret_value(),
    )  # fmt: skip
    queue, over = names.queue_key(open_names.chunks_queue(ATTIC, eve)), Event()
    many = max(1, (1 << 20) // len(FLOODS[what]) // 256)

    def flood() -> None:
        while not over.is_set():
            with client.pipeline(transaction=False) as pipe:
                pipe.lpush(queue, *([FLOODS[what]] * many))
                pipe.ltrim(queue, 0, 4 * many)
                pipe.execute()

    flooding = Thread(target=flood, name="flood")
    alice = opened.memberships[Principal(Role.GAMER, ALICE)]
    with ExitStack() as stack:
        stack.callback(client.close)
        stack.callback(opened.leave, Principal(Role.GAMER, eve))
        stack.callback(flooding.join)
        stack.callback(over.set)
        gamer = stack.enter_context(
            Gamer(opened.settings(alice), policy="predictive", deadline=0.5)
        )
        gamer.play_complete()
        flooding.start()
        gamer.until(lambda: said in worker.log(), "it is listened to")
        gamer.play_complete()
    assert worker.is_running
