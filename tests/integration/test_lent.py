"""A lent machine's worker on a real broker: it follows its owner's files while it runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from p2c2g.lending import peer_config
from p2c2g.lending.home import Home
from p2c2g.lending.peer_settings import PeerConfig
from p2c2g.lending.state import State, Word
from p2c2g.messaging import names
from p2c2g.peers.messages import PeerState
from p2c2g.peers.registry import Registry
from p2c2g_workers import wishes
from tests.integration.test_guest import assert_each_once, beat, reads, state
from tests.lane import Lane
from tests.pool import MakeWorker, Worker

MakeLent = Callable[[], Worker]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    peer_config.write(home.config, PeerConfig())
    return home


@pytest.fixture
def lent(worker: MakeWorker, home: Home) -> MakeLent:
    def make() -> Worker:
        more = {wishes.LENT_VARIABLE: str(home.root)}
        return worker("-Q", "cpu", "-c", "2", environment=more)

    return make


def word(home: Home) -> Word | None:
    said = State.read(home.state)
    return None if said is None else said.word


def test_a_pause_in_the_middle_is_a_drain_and_outlasts_a_restart(
    lane: Lane, lent: MakeLent, home: Home
) -> None:
    started = lent()
    lane.wait_until(lambda: word(home) is Word.READY)
    sent = lane.send(20, task="lane.hold")
    lane.wait_started()
    lane.wait_started()
    wishes.pause(home, "a film")
    told: list[str] = []

    def is_paused() -> bool:
        # There is no beat while a busy machine is late with one.
        if (last := beat(lane)) is not None and last.state is PeerState.PAUSED:
            told.append(last.reason)
        return bool(told)

    lane.wait_until(is_paused)
    assert told == ["a film"]
    lane.wait_until(lambda: reads(lane) == 0)
    queued = lane.queued()
    assert queued
    # What it has received is finished, and no more comes: nothing fails.
    lane.release_held(20)
    lane.wait(20 - len(queued))
    lane.wait_until(lambda: word(home) is Word.PAUSED)
    assert sorted(lane.done() + lane.queued()) == sorted(sent)

    started.signal(15)
    assert started.wait() == 0
    assert word(home) is Word.ENDED
    lent()
    lane.wait_until(lambda: state(lane) is PeerState.PAUSED)
    lane.wait_until(lambda: reads(lane) == 0)
    assert sorted(lane.done() + lane.queued()) == sorted(sent)
    wishes.resume(home)
    assert_each_once(lane, sent)
    assert lane.client.keys(names.queue_key(names.recall("*"))) == []


def test_limits_hold_as_they_are_written_and_a_slip_changes_none(
    lane: Lane, lent: MakeLent, home: Home
) -> None:
    started = lent()
    lane.wait_until(lambda: state(lane) is PeerState.READY)
    # Its line, which others are told of.
    peer_config.change(home.config, {"limits.max_mbps": 7})
    lane.wait_until(lambda: _told(lane) == 7e6)
    # An hour that is not now, whatever the time is.
    hour = (datetime.now().hour + 12) % 24
    peer_config.change(home.config, {"limits.hours": f"{hour}-{(hour + 1) % 24 or 24}"})
    lane.wait_until(lambda: state(lane) is PeerState.PAUSED)
    # It says so before its reads are called back.
    lane.wait_until(lambda: reads(lane) == 0)
    sent = lane.send(3)
    lane.confirm()
    assert sorted(lane.queued()) == sorted(sent)
    home.config.write_text(home.config.read_text().replace("max_mbps = 7", "max_mbps = -7"))
    lane.wait_until(lambda: "give megabits a second" in started.log())
    peer_config.write(home.config, PeerConfig())
    assert_each_once(lane, sent)
    lane.wait_until(lambda: state(lane) is PeerState.READY)


def _told(lane: Lane) -> float:
    records = Registry(lane.client).records()
    return records[0].enrolment.capabilities.up if records else 0.0
