"""What a session's runs and results tell of its lines, and what it tells others."""

from __future__ import annotations

from typing import Any

import pytest

from p2c2g.lines import figures
from p2c2g.lines.line import UNKNOWN, Lines
from p2c2g.peers.book import MAX_TOLD
from p2c2g.peers.health_words import HealthEntry, Snapshot
from p2c2g.peers.line_words import MAX_LINES, DirectionWord, LineWord, together
from p2c2g.peers.shared_health import MAX_BYTES, packed, unpacked
from p2c2g.peers.trust import TrustSnapshot
from p2c2g.session.actions import Result
from p2c2g.session.measuring import LONGEST, MAX_RUNS, Measuring
from p2c2g.session.telling_lines import line_words

KEY = (7, 2)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def measuring(lines: Lines) -> Measuring:
    return Measuring(lines)


def result(peer: str = "a@x", attempt: int = 1, **changes: Any) -> Result:
    """Return one that was received at 100.01 of its peer's clock, and done 10 ms later."""
    fields: dict[str, Any] = {
        "key": KEY, "claimed": KEY, "attempt": attempt, "peer": peer, "ran": "", "payload": b"",
        "size": 500, "started": 100.012, "done": 100.02, "decode": 0.001, "process": 0.004,
        "waited": 0.002, "idle": 0.03,
    }  # fmt: skip
    return Result(**(fields | changes))


def test_a_result_that_came_too_late_for_its_frame_still_tells_of_the_line(
    measuring: Measuring, lines: Lines
) -> None:
    measuring.sent(KEY, 1, "a@x", 4000, 1.0)
    measuring.arrived(result(), 1.9)
    up = lines.up("a@x")
    # 0.9 s less the 10 ms that it was with the peer, half of it each way.
    assert up.least == pytest.approx(0.445)
    assert lines.compute("a@x") == pytest.approx(0.008 / 0.038)
    assert len(measuring) == 0


def test_any_peer_of_the_capability_queue_may_have_had_it(
    measuring: Measuring, lines: Lines
) -> None:
    measuring.sent(KEY, 1, "", 4000, 1.0)
    measuring.arrived(result("b@x"), 1.1)
    assert lines.up("b@x") != UNKNOWN


@pytest.mark.parametrize(
    "told",
    [
        result("b@x"),  # not its run
        result(attempt=2),  # never sent
        result(key=(8, 2)),
        result(done=100.0),  # before it was received
        result(done=100.5),  # after a longer time than it was away
        result(waited=200.0),
    ],
)
def test_what_cannot_be_tells_nothing(measuring: Measuring, lines: Lines, told: Result) -> None:
    measuring.sent(KEY, 1, "a@x", 4000, 1.0)
    measuring.arrived(told, 1.1)
    assert lines.peers() == []


def test_each_run_tells_once(measuring: Measuring, lines: Lines) -> None:
    measuring.sent(KEY, 1, "a@x", 4000, 1.0)
    for now in (1.1, 1.2, 1.3):
        measuring.arrived(result(), now)
    assert lines.up("a@x").goodput == 4000


def test_runs_that_are_remembered_are_bounded(measuring: Measuring) -> None:
    for number in range(MAX_RUNS + 10):
        measuring.sent((number, 0), 1, "a@x", 1, 1.0)
    assert len(measuring) == MAX_RUNS
    measuring.sent((0, 1), 1, "a@x", 1, 1.1 + LONGEST)
    assert len(measuring) == 1


def test_a_run_that_stays_silent_is_counted_for_its_peer(
    measuring: Measuring, lines: Lines
) -> None:
    measuring.sent(KEY, 1, "a@x", 4000, 1.0)
    measuring.arrived(result(), 1.1)
    measuring.sent(KEY, 2, "a@x", 4000, 2.0)
    measuring.lost(KEY, 2, 3.0)
    measuring.lost((9, 9), 1, 3.0)
    assert lines.silent("a@x") == 1
    measuring.gone("a@x")
    assert lines.peers() == []


# -- what is told


def filled(count: int) -> Lines:
    lines = Lines()
    for number in range(count):
        now = 1 + 0.001 * number
        lines.arrived(f"p{number}@x", 4000, 500, now - 0.05, 0.01, 0.0, 0.02, 0.01, 0.01, now)
    return lines


def test_a_session_tells_of_those_lines_that_it_heard_of_last() -> None:
    words = line_words(filled(MAX_LINES + 8))
    assert len(words) == MAX_LINES
    assert next(iter(words)) == f"p{MAX_LINES + 7}@x"
    assert words[f"p{MAX_LINES + 7}@x"].up.goodput == 4000


def test_whatever_strangers_claimed_can_be_told() -> None:
    lines = Lines()
    for number, lie in enumerate((0.0, 8e9, 0.0, -8e9)):
        now = 1.5 + number
        lines.arrived("p0@x", 4000, 500, now - 0.5, lie, 0.0, 0.02, 0.01, 0.4 - lie, now)
    lines.arrived("no name at all \n", 4000, 500, 8.9, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0)
    words = line_words(lines)
    assert list(words) == ["p0@x"]
    assert Snapshot.model_validate_json(Snapshot(lines=words).model_dump_json()).lines == words


def test_as_much_is_told_as_there_is_room_for() -> None:
    word = LineWord(
        up=DirectionWord(goodput=1.0 / 3, rise=1 / 7, state="overuse"),
        down=DirectionWord(goodput=1.0 / 3, rise=1 / 7, state="overuse"),
    )
    long = "x" * 190
    lines = {f"{number}{long}@x": word for number in range(MAX_LINES)}
    seen = {f"{number}{long}@x": HealthEntry(count=5) for number in range(MAX_TOLD)}
    for count in (1, MAX_TOLD):
        told = Snapshot(operations={"upscale:2": dict(list(seen.items())[:count])}, lines=lines)
        data = packed(told, TrustSnapshot())
        assert len(data) <= MAX_BYTES
        heard = unpacked("s", data)
        assert heard is not None
        assert heard.health.lines.items() <= lines.items()
        assert heard.health.lines


def test_several_sessions_words_are_put_together() -> None:
    assert together([DirectionWord()]) is None
    clear = DirectionWord(goodput=100, target=200, least=0.02, rise=0.001, state="normal")
    full = DirectionWord(goodput=50, target=40, least=0.03, rise=0.2, state="overuse")
    seen = together([clear, full, DirectionWord()])
    assert seen is not None
    assert (seen.sessions, seen.goodput, seen.target) == (2, 150, 240)
    assert (seen.least, seen.rise, seen.state) == (0.02, 0.001, "overuse")
    unlimited = together([clear, full.model_copy(update={"target": 0.0})])
    assert unlimited is not None
    assert unlimited.target == 0


def test_a_report_names_a_bounded_number_of_peers() -> None:
    lines = filled(figures.MAX_TOLD + 10)
    lines.pinged(0.012, 1.0)
    told = figures.report(lines)
    assert told["known"] == figures.MAX_TOLD + 10
    assert len(told["peers"]) == figures.MAX_TOLD
    assert next(iter(told["peers"])) == f"p{figures.MAX_TOLD + 9}@x"
    assert told["own"]["round_trip"] == {"least_ms": 12.0, "rise_ms": 0.0}
    assert told["own"]["up"]["state"] == "normal"
    assert told["own"]["up"]["target_mbps"] is None
