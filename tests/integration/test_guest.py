"""A guest on a real broker: what it does not take, what it uses, and that it loses nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from p2c2g.errors import UnavailableError
from p2c2g.messaging import names
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.peers.messages import Beat, PeerState
from p2c2g.peers.registry import Registry
from p2c2g.system.cpus import cores
from p2c2g.testing.delay_proxy import DelayProxy
from p2c2g.timing.held import SPAN
from tests import metered
from tests.guest_app import CLOCK
from tests.lane import PATIENCE, Lane, by_port
from tests.pool import MakeWorker, Worker
from tests.unit.test_held_rate import worst

OPEN, SHUT = "12:00", "20:00"
HOURS = ("--hours", "8-17")
#: What a limit may be missed by: the machine is busy, and a chunk is not cut in half.
GENEROUS = 1.6

MakeGuest = Callable[..., Worker]


@pytest.fixture
def guest(worker: MakeWorker) -> Iterator[MakeGuest]:
    def make(*options: str, **keywords: Any) -> Worker:
        return worker("-Q", "cpu", *options, application="tests.guest_app", **keywords)

    return make


@pytest.fixture
def proxy(broker: EmbeddedBroker) -> Iterator[DelayProxy]:
    with DelayProxy(HOST, broker.port) as opened:
        yield opened


def beat(lane: Lane) -> Beat | None:
    """Return the only peer's latest beat."""
    records = Registry(lane.client).records()
    return records[0].beat if records else None


def state(lane: Lane) -> PeerState | None:
    last = beat(lane)
    return last.state if last is not None else None


def reads(lane: Lane) -> int:
    """Return how many connections wait at the broker for a message of a queue."""
    rows: Any = lane.client.client_list()
    return sum(row["cmd"].startswith("brpop") and "b" in row["flags"] for row in rows)


def assert_each_once(lane: Lane, sent: list[str]) -> None:
    """Wait until all are done, and see that none was done twice."""
    lane.wait(len(sent))
    lane.look(1)
    assert sorted(lane.done()) == sorted(sent)


def test_outside_its_hours_a_guest_takes_nothing_and_says_why(lane: Lane, guest: MakeGuest) -> None:
    lane.client.set(CLOCK, SHUT)
    guest("-c", "2", *HOURS)
    paused: list[Beat] = []

    def is_paused() -> bool:
        # There is none while a busy machine is late with one.
        if (last := beat(lane)) is not None and last.state is PeerState.PAUSED:
            paused.append(last)
        return bool(paused)

    lane.wait_until(is_paused)
    assert "8 to 17" in paused[0].reason
    # No read is out, so nothing can come; and nothing has.
    lane.wait_until(lambda: reads(lane) == 0)
    sent = lane.send(5)
    lane.confirm()
    assert sorted(lane.queued()) == sorted(sent)
    lane.client.set(CLOCK, OPEN)
    assert_each_once(lane, sent)
    lane.wait_until(lambda: state(lane) is PeerState.READY)


@pytest.mark.parametrize("rtt_ms", [0.0, 40.0])
def test_a_pause_in_the_middle_loses_nothing(
    lane: Lane, guest: MakeGuest, broker: EmbeddedBroker, proxy: DelayProxy, rtt_ms: float
) -> None:
    proxy.rtt_ms = rtt_ms
    guest("-c", "2", *HOURS, url=by_port(broker.url, proxy.port))
    sent = lane.send(50, task="lane.hold")
    lane.wait_started()
    lane.wait_started()
    lane.client.set(CLOCK, SHUT)
    lane.wait_until(lambda: state(lane) is PeerState.PAUSED)
    lane.wait_until(lambda: reads(lane) == 0)
    queued = lane.queued()
    assert queued
    # What it has received goes on, and no more comes.
    lane.release_held(50)
    lane.wait(50 - len(queued))
    lane.look(1)
    assert sorted(lane.done() + lane.queued()) == sorted(sent)
    assert lane.queued() == queued
    lane.client.set(CLOCK, OPEN)
    assert_each_once(lane, sent)
    assert lane.client.keys(names.queue_key(names.recall("*"))) == []


def test_pauses_one_after_the_other_keep_the_order_of_what_goes_back(
    lane: Lane, guest: MakeGuest
) -> None:
    lane.client.set(CLOCK, SHUT)
    guest("-c", "1", "--prefetch-multiplier", "1", *HOURS)
    sent = lane.send(12, task="lane.hold")
    for turn in range(3):
        lane.client.set(CLOCK, OPEN)
        lane.wait_started()
        # Else what it says of the pause before may be taken for the next.
        lane.wait_until(lambda: state(lane) is PeerState.READY)
        lane.client.set(CLOCK, SHUT)
        lane.wait_until(lambda: state(lane) is PeerState.PAUSED)
        lane.wait_until(lambda: reads(lane) == 0)
        assert lane.queued() == sorted(lane.queued(), key=sent.index, reverse=True), turn
        lane.release_held(12)
        lane.wait(12 - len(lane.queued()))
        lane.client.delete("gate", "started")
    lane.release_held(12)
    lane.client.set(CLOCK, OPEN)
    assert_each_once(lane, sent)


def test_a_guest_that_is_paused_when_its_broker_is_lost_stays_so(
    lane: Lane, guest: MakeGuest, broker: EmbeddedBroker, proxy: DelayProxy
) -> None:
    lane.client.set(CLOCK, SHUT)
    running = guest("-c", "2", *HOURS, url=by_port(broker.url, proxy.port))
    lane.wait_until(lambda: state(lane) is PeerState.PAUSED)
    proxy.cut()
    running.wait_until_ready()
    sent = lane.send(5)
    lane.confirm()
    assert running.answers(PATIENCE)
    # There is no beat while a busy machine is late with one.
    lane.wait_until(lambda: state(lane) is PeerState.PAUSED)
    assert sorted(lane.queued()) == sorted(sent)
    lane.client.set(CLOCK, OPEN)
    assert_each_once(lane, sent)


def test_a_guest_uses_no_more_than_its_share_of_the_cpu(lane: Lane, guest: MakeGuest) -> None:
    # Less than the one core that threads under the interpreter's lock can use.
    share = 0.3 / cores()
    running = guest("-c", "2", f"--max-cpu={100 * share:.4f}%")
    lane.round_trip(task="lane.burn", seconds=0.02)
    assert running.process is not None
    process = psutil.Process(running.process.pid)
    assert process.nice() >= 10
    before, began = process.cpu_times(), time.monotonic()
    sent = lane.send(60, 0.02, task="lane.burn")
    lane.wait_for(sent)
    after, passed = process.cpu_times(), time.monotonic() - began
    used = after.user + after.system - before.user - before.system
    # They are 1.2 s of work at least, so there is something to limit.
    assert used > 1.0
    assert used / passed <= GENEROUS * share * cores()


@pytest.mark.parametrize(("size", "mbps"), [(12_000, "4"), (25_000, "1.5")])
def test_a_guests_line_carries_no_more_than_it_promised_in_any_two_seconds(
    lane: Lane, guest: MakeGuest, tmp_path: Path, size: int, mbps: str
) -> None:
    log = tmp_path / "metered"
    guest("-c", "2", "--max-mbps", mbps, environment={metered.VARIABLE: str(log)})
    limit = float(mbps) * 125_000
    # It stands ready for a while, and then has more to do than it may.
    lane.look(1)
    began = time.monotonic()
    sent = lane.send(int(5 * limit / size), payload=bytes(size))
    lane.wait_for(sent)
    passed = time.monotonic() - began
    carried = metered.read(log)
    for way, went in carried.items():
        assert sum(each for _, each in went) > 4 * limit, way
        assert worst(went) <= 1.05 * limit * SPAN, way
    assert passed >= 4
    lane.wait_until(lambda: state(lane) is PeerState.READY)


@pytest.mark.needs("Xvfb")
def test_a_guest_makes_room_for_its_owner(
    lane: Lane, guest: MakeGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from Xlib import X, display
    from Xlib.ext import xtest

    from p2c2g.media.frame import Size
    from p2c2g_capture.sources.xvfb import VirtualDisplay

    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("XDG_SESSION_TYPE", raising=False)
    with VirtualDisplay(Size(320, 240)) as screen:
        guest("-c", "2", "--only-idle", environment={"DISPLAY": screen.name})
        lane.wait_until(lambda: state(lane) is PeerState.READY)
        owner = display.Display(screen.name)
        try:
            said: list[str] = []

            def typed() -> bool:
                for kind in (X.KeyPress, X.KeyRelease):
                    xtest.fake_input(owner, kind, 38)
                owner.sync()
                last = beat(lane)
                if last is not None and last.state is PeerState.PAUSED:
                    said.append(last.reason)
                return bool(said)

            lane.wait_until(typed)
            assert "owner" in said[0]
        finally:
            owner.close()
        lane.wait_until(lambda: state(lane) is PeerState.READY)
        lane.round_trip()


def test_limits_that_cannot_be_are_one_sentence(lane: Lane, worker: MakeWorker) -> None:
    for options, words in [
        (("--hours", "7-7"), "22-7"),
        (("--max-cpu", "200%"), "50%"),
        (("--max-mbps", "a lot"), "megabits"),
    ]:
        with pytest.raises(UnavailableError) as ended:
            worker("-Q", "cpu", *options, application="tests.guest_app")
        log = str(ended.value)
        assert words in log
        assert "Traceback" not in log
