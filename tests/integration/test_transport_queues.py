"""Several queues: fair turns, and queues that are added and cancelled at run time."""

from __future__ import annotations

import time
from typing import Any

from p2c2g.messaging import names
from tests.lane import PATIENCE, Lane
from tests.pool import MakeWorker


def test_a_flooded_queue_leaves_the_other_its_turns(lane: Lane, worker: MakeWorker) -> None:
    lane.send(200, 0.002, queue="cpu")
    few = lane.send(10, 0.002, queue="spare")
    running = worker("-Q", "spare,cpu", "-c", "2")
    lane.wait(210)
    # In turns the tenth of the few is the twentieth of all, give or take what runs at once.  So
    # they are read: which thread is done first is the machine's.
    assert max(map(running.received().index, few)) < 30


def control(lane: Lane, command: str, queue: str) -> None:
    reply: Any = lane.app.control.broadcast(
        command, arguments={"queue": queue}, reply=True, limit=1, timeout=PATIENCE
    )
    assert "ok" in next(iter(reply[0].values()))


def test_an_added_queue_is_read_at_once_and_a_cancelled_one_is_left_alone(
    lane: Lane, worker: MakeWorker
) -> None:
    running = worker("-Q", "cpu", "-c", "2")
    lane.round_trip()

    control(lane, "add_consumer", "extra")
    started = time.monotonic()
    lane.round_trip("extra")
    # A read that was outstanding for the old queues alone would sit out its second.
    assert time.monotonic() - started < PATIENCE
    assert "extra" in str(lane.app.control.inspect(timeout=PATIENCE, limit=1).active_queues())

    control(lane, "cancel_consumer", "extra")
    kept = lane.send(5, queue="extra")
    # The other queue is still served, and both turns of the loop see no message of "extra".
    lane.round_trip("cpu")
    lane.round_trip("cpu")
    assert lane.queued("extra") == kept[::-1]
    assert not set(kept) & set(lane.done())
    assert running.log().count("Connected to") == 1


def test_a_queue_cancelled_under_load_keeps_what_is_not_received(
    lane: Lane, worker: MakeWorker
) -> None:
    worker("-Q", "cpu,spare", "-c", "4")
    sent = lane.send(1500, 0.01, queue="spare")
    lane.wait(40)
    control(lane, "cancel_consumer", "spare")
    # A result whose confirmation was late comes twice.
    lane.wait_until(
        lambda: len(set(lane.done())) + lane.client.llen(names.queue_key("spare")) == len(sent)
    )
    lane.round_trip("cpu")
    left = lane.queued("spare")
    assert left
    assert sorted([*left, *(set(lane.done()) & set(sent))]) == sorted(sent)
    control(lane, "add_consumer", "spare")
    lane.wait_for(sent)
