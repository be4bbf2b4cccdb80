"""What a result says of the time before its start: how long its chunk waited, and its slot did."""

from __future__ import annotations

import threading
from time import monotonic

from celery import signals

from p2c2g_workers import tasks


def test_a_span_before_a_moment_begins_no_earlier_than_the_clock() -> None:
    assert tasks._before(5_000_000_000, 2.5) == 2_500_000
    assert tasks._before(1_000_000, 5.0) == 1_000
    assert tasks._before(1_000_000, -0.1) == 0


def test_each_slot_remembers_when_its_own_last_task_ended() -> None:
    before = monotonic()
    signals.task_postrun.send(sender=None)
    here = tasks._slot.ended
    assert before <= here <= monotonic()
    there = []

    def work() -> None:
        there.append(tasks._slot.ended)  # A new one is idle from its first task on.
        signals.task_postrun.send(sender=None)
        there.append(tasks._slot.ended)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert here <= there[0] <= there[1]
    assert tasks._slot.ended == here
