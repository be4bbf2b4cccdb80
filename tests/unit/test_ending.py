"""A worker ends in time: what it waits for, and what it does not."""

from __future__ import annotations

import threading

from p2c2g_workers.ending import COLD, WARM, Ending
from tests.lane import PATIENCE


class Worker:
    """A worker whose time is told, and whose end is noted."""

    def __init__(self) -> None:
        self.now = 0.0
        self.works = False
        self.answers = False
        self.code: int | None = None
        self.ended = threading.Event()
        self.ending = Ending(lambda: self.works, lambda: self.answers, self.exit, lambda: self.now)

    def exit(self, code: int) -> None:
        self.code = code
        self.ended.set()

    def over_at(self, now: float) -> bool:
        self.now = now
        return self.ending.is_over()


def test_nothing_ends_what_was_not_told_to() -> None:
    assert not Worker().over_at(1e9)


def test_a_warm_end_has_its_time_and_waits_for_tasks() -> None:
    worker = Worker()
    worker.works = True
    worker.ending.begin()
    assert not worker.over_at(WARM - 0.01)
    assert not worker.over_at(1e6), "a training may last"
    worker.works = False
    worker.answers = True
    assert not worker.ending.is_over(), "it is not the broker that holds it up"
    worker.answers = False
    assert worker.ending.is_over()
    assert worker.ended.wait(PATIENCE)
    assert worker.code == 0


def test_a_cold_end_waits_for_no_task() -> None:
    worker = Worker()
    worker.works = True
    worker.ending.begin()
    worker.now = 100.0
    worker.ending.begin(cold=True, code=1)
    assert not worker.over_at(100.0 + COLD - 0.01)
    worker.ending.begin(cold=True)  # Asked again, it does not begin again.
    assert worker.over_at(100.0 + COLD)
    assert worker.ended.wait(PATIENCE)
    assert worker.code == 1


def test_both_fit_into_ten_seconds() -> None:
    assert max(WARM, COLD) < 10.0
