"""What a gamer is told: once a peer, in plain words; each case is for the log file."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from p2c2g.session.attempts import Decision
from p2c2g.session.event_log import MAX_TOLD, EventLog
from p2c2g.verify.examination import Examination
from tests.recipes import USUAL

NAME = "p2c2g.session.event_log"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, NAME):
        yield caplog


def told(log: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in log.records if each.levelno >= logging.WARNING]


def failed(events: EventLog, peer: str, error: str, number: int = 0) -> None:
    events.run_failed((number, 0), 1, peer, error, Decision.RETRY)


def examination(peer: str, by: str) -> Examination:
    return Examination((7, 1), 2, peer, b"", b"", by, 0.0, None, USUAL)


def test_a_peer_that_fails_again_and_again_is_told_once(log: pytest.LogCaptureFixture) -> None:
    events = EventLog("cpu")
    for number in range(100):
        failed(events, "ada", "CodecError: no picture", number)
    failed(events, "bob", "CodecError: no picture")
    assert told(log) == [
        "Peer ada sent no usable picture (CodecError: no picture).",
        "Peer bob sent no usable picture (CodecError: no picture).",
    ]
    assert sum(each.levelno == logging.INFO for each in log.records) == 101


def test_a_peer_that_is_shut_out_is_told_once_and_what_it_still_sends_never(
    log: pytest.LogCaptureFixture,
) -> None:
    events = EventLog("cpu")
    for seconds in (2.0, 0.0, 4.0, 0.0, 8.0):
        events.breaker_changed("ada", seconds)
        failed(events, "ada", "Untrusted: its breaker is open")
    assert told(log) == ["Peer ada gets less work for now: it was late or wrong."]


def test_a_peer_that_comes_and_goes_is_told_once(log: pytest.LogCaptureFixture) -> None:
    events = EventLog("cpu")
    for _ in range(9):
        events.peer_gone("ada")
    assert told(log) == ["Peer ada has left; others do its part."]


def test_an_examination_names_who_is_wrong_where_that_is_known(
    log: pytest.LogCaptureFixture,
) -> None:
    events = EventLog("cpu")
    events.examination_ended(examination("ada", ""), agreed=True)
    events.examination_ended(examination("ada", ""), agreed=False)
    events.examination_ended(examination("bob", "eve"), agreed=None)
    events.examination_ended(examination("zoe", "eve"), agreed=False)
    assert told(log) == [
        "Peer ada was tested and did not give the right picture.",
        "Peer bob was tested and did not give the right picture.",
        "Peer zoe and peer eve made different pictures of one.",
    ]


def test_names_that_strangers_make_up_end_in_silence(log: pytest.LogCaptureFixture) -> None:
    events = EventLog("cpu")
    for number in range(3 * MAX_TOLD):
        failed(events, f"peer {number}", "CodecError")
    assert len(told(log)) == MAX_TOLD


def test_what_is_said_of_the_session_is_in_the_log_file(log: pytest.LogCaptureFixture) -> None:
    events = EventLog("cpu")
    events.noticed("This machine is too busy", 1.0)
    events.noticed("", 2.0)
    assert [each.getMessage() for each in log.records] == ["This machine is too busy."]
    assert told(log) == []
