"""What one gamer may take of a peer while others are there."""

from __future__ import annotations

import pytest

from p2c2g.errors import ProcessorError
from p2c2g_workers import tasks
from p2c2g_workers.shares import FREE, HERE, MANY, OWED, Shares
from tests.sealed import GAMER, Desk, Worker

#: What a chunk may take at most, see effort.py.
LONG = 10.0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shares(clock: Clock) -> Shares:
    return Shares(clock)


def test_who_takes_no_longer_than_a_frame_has_owes_nothing(shares: Shares) -> None:
    for _ in range(1000):
        for gamer in ("gmine01", "gother1"):
            shares.check(gamer)
            shares.took(gamer, FREE)


def test_who_holds_a_peer_up_comes_after_all_others(clock: Clock, shares: Shares) -> None:
    shares.check("gother1")
    shares.check("gheavy1")
    clock.now += LONG
    shares.took("gheavy1", LONG)
    owed = OWED * (LONG - FREE)
    while clock.now < 100.0 + LONG + owed - 1:
        shares.check("gother1")
        with pytest.raises(ProcessorError, match="others come first"):
            shares.check("gheavy1")
        clock.now += 1.0
    clock.now += 2.0
    shares.check("gheavy1")


def test_where_nobody_else_is_nobody_is_owed(clock: Clock, shares: Shares) -> None:
    shares.check("gother1")
    clock.now += HERE
    for _ in range(10):
        shares.check("gheavy1")
        clock.now += LONG
        shares.took("gheavy1", LONG)


def test_gamers_who_come_and_go_take_no_memory(clock: Clock, shares: Shares) -> None:
    for number in range(50 * MANY):
        shares.check(f"g{number:06}")
        shares.took(f"g{number:06}", 2 * FREE)
        clock.now += HERE / 2
    assert len(shares._seen) <= MANY
    assert len(shares._until) <= MANY


def test_a_worker_heeds_it(monkeypatch: pytest.MonkeyPatch, clock: Clock, shares: Shares) -> None:
    monkeypatch.setattr(tasks, "_shares", shares)
    worker = Worker()
    desk = Desk(monkeypatch, worker)
    try:
        shares.check("gother1")
        shares.took(GAMER, LONG)
        _, header, payload, _ = desk.submit()
        with pytest.raises(ProcessorError, match="others come first"):
            worker.enhance(header, payload)
        clock.now += LONG * OWED
        _, header, payload, _ = desk.submit()
        assert worker.enhance(header, payload).payload
    finally:
        desk.close()
