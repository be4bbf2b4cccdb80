"""A session's results by a stream for each peer, with a gamer's login; and chunks taken back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from p2c2g.messaging import dispatcher as dispatching
from p2c2g.messaging import names, open_names
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.dispatcher import Dispatcher
from p2c2g.messaging.inbox import Arrival, Inbox
from p2c2g.messaging.places import Places, places
from p2c2g.settings.principal import Role
from tests.lane import PATIENCE
from tests.open_pool import SERVERS, OpenPool

ATTIC, CELLAR, SHED, ALICE = "pattic", "pcellar", "pshedd", "galice"


@pytest.fixture(
    params=[
        pytest.param(each, marks=[pytest.mark.needs(each)] if each == "redis-server" else [])
        for each in SERVERS
    ],
)
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenPool]:
    with OpenPool(request.param, tmp_path) as opened:
        for peer in (ATTIC, CELLAR, SHED):
            opened.join(Role.PEER, peer)
        yield opened
        assert opened.denials() == []


@pytest.fixture
def broker(pool: OpenPool) -> Iterator[Broker]:
    with Broker(pool.settings(pool.join(Role.GAMER, ALICE))) as opened:
        yield opened


@pytest.fixture
def here(pool: OpenPool) -> Places:
    return places("s1", gamer=ALICE)


@pytest.fixture
def inbox(broker: Broker, here: Places) -> Iterator[Inbox]:
    opened = Inbox(broker.client, here)
    opened.open()
    yield opened
    opened.close()


def answer(pool: OpenPool, by: str, task: str, **fields: str) -> None:
    key = open_names.results(by, ALICE, "s1")
    entry: Any = {"id": task, "state": "SUCCESS", **fields}
    pool.operator.xadd(key, entry, nomkstream=True)


def arrivals(inbox: Inbox, count: int) -> list[Arrival]:
    seen: list[Arrival] = []
    while len(seen) < count:
        assert inbox.wait(PATIENCE), f"{len(seen)} of {count} came"
        seen += inbox.read()
    return seen


def test_the_stream_says_who_sent_it(pool: OpenPool, inbox: Inbox) -> None:
    inbox.follow({ATTIC, CELLAR})
    answer(pool, ATTIC, "one", peer=CELLAR)
    answer(pool, CELLAR, "two", peer=ATTIC, state="FAILURE")
    found = {each.task_id: each.peer for each in arrivals(inbox, 2)}
    assert found == {"one": ATTIC, "two": CELLAR}


def test_peers_come_and_go_while_others_answer(pool: OpenPool, inbox: Inbox) -> None:
    """Whatever the reads were doing as the streams changed, each answer comes, and once."""
    inbox.follow({ATTIC})
    over = threading.Event()
    sent: list[str] = []

    def go_on() -> None:
        while not over.is_set():
            sent.append(str(len(sent)))
            answer(pool, ATTIC, sent[-1])

    def change() -> None:
        for turn in range(30):
            inbox.follow({ATTIC, CELLAR} if turn % 2 == 0 else {ATTIC, SHED})
        over.set()

    threads = [threading.Thread(target=each) for each in (go_on, change)]
    for each in threads:
        each.start()
    seen: list[str] = []
    while any(each.is_alive() for each in threads) or len(seen) < len(sent):
        inbox.wait(0.05)
        seen += [each.task_id for each in inbox.read()]
        assert len(seen) <= len(sent)
    assert seen == sent
    answer(pool, SHED, "last")
    assert [each.peer for each in arrivals(inbox, 1)] == [SHED]


def test_who_is_followed_no_more_has_no_stream(pool: OpenPool, inbox: Inbox) -> None:
    inbox.follow({ATTIC, CELLAR})
    inbox.follow({CELLAR})
    answer(pool, ATTIC, "late")
    answer(pool, CELLAR, "one")
    assert [each.task_id for each in arrivals(inbox, 1)] == ["one"]
    assert pool.keys("*:out:*") == {open_names.results(CELLAR, ALICE, "s1")}
    assert len(pool.keys("*:own:wake*")) == 1


def test_streams_that_vanished_are_there_again_and_others_lose_nothing(
    pool: OpenPool, inbox: Inbox
) -> None:
    """Who is banned loses all keys: that ends no read of what others answer."""
    inbox.follow({ATTIC, CELLAR})
    gone = open_names.results(ATTIC, ALICE, "s1")
    for turn in range(5):
        pool.operator.delete(gone)
        answer(pool, CELLAR, str(turn))
        assert [each.task_id for each in arrivals(inbox, 1)] == [str(turn)]
    while gone not in pool.keys("*:out:*"):
        assert inbox.wait(PATIENCE)
        assert list(inbox.read()) == []
    answer(pool, ATTIC, "one")
    assert [each.task_id for each in arrivals(inbox, 1)] == ["one"]


def test_it_leaves_nothing(pool: OpenPool, broker: Broker, here: Places) -> None:
    inbox = Inbox(broker.client, here)
    inbox.open()
    inbox.follow({ATTIC, CELLAR})
    assert all(0 < pool.operator.ttl(key) <= 30 for key in pool.keys("*:out:*"))
    inbox.close()
    assert pool.keys("*:out:*") | pool.keys("*:own:*") == set()


def test_a_chunk_is_taken_back_while_it_waits(
    pool: OpenPool, broker: Broker, here: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What nobody reads is gone in seconds, and a busy machine may look at it later.
    monkeypatch.setattr(dispatching, "DIRECT_LIFETIME", int(PATIENCE))
    with ExitStack() as stack:
        dispatcher = Dispatcher(broker.app, "s1", here)
        dispatcher.connect()
        stack.callback(dispatcher.close)
        dispatcher.send(7, [(0, b"header", b"zero", ATTIC), (1, b"header", b"one", ATTIC)])
        dispatcher.send(8, [(0, b"header", b"two", CELLAR)])
        key = names.queue_key(open_names.chunks_queue(ATTIC, ALICE))
        while pool.operator.llen(key) < 2:
            pass
        taken: Any = pool.operator.rpop(key)  # As its worker would.
        assert b"zero" in taken
        asked = [(7, 0, ATTIC), (7, 1, ATTIC), (8, 0, ATTIC), (7, 1, CELLAR)]
        assert dispatcher.withdraw(broker.client, asked) == [False, True, False, False]
        assert pool.operator.llen(key) == 0
        # And only once.
        assert dispatcher.withdraw(broker.client, [(7, 1, ATTIC)]) == [False]
        with pytest.raises(ValueError, match="name the peer"):
            dispatcher.send(9, [(0, b"header", b"nobody's", "")])
