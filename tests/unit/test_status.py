"""What a lender's terminal says, and that log lines and it do not run into each other."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from p2c2g.messaging.names import ENHANCE_TASK
from p2c2g.peers.messages import PeerState
from p2c2g_workers import status
from p2c2g_workers.status import Clearing, Doing, Line, is_worth_a_line


class Terminal(io.StringIO):
    """A terminal that shows its last line, as a person sees it."""

    def isatty(self) -> bool:
        return True

    @property
    def last(self) -> str:
        return self.getvalue().rpartition("\n")[2].rpartition("\r\x1b[2K")[2]


@pytest.mark.parametrize(
    ("state", "why", "words"),
    [
        (PeerState.STARTING, "", "a@x waits for the broker; 0 chunks so far"),
        (PeerState.READY, "", "a@x ready, nobody sends work now; 0 chunks so far"),
        (PeerState.PAUSED, "its owner plays", "a@x paused: its owner plays; 0 chunks so far"),
        (PeerState.DRAINING, "anna@desk", "a@x leaves, as anna@desk asks: 0 to finish; 0 chunks"),
        (PeerState.DRAINING, "", "a@x leaves: 0 to finish"),
    ],
)
def test_a_peer_says_what_it_does_and_why(state: PeerState, why: str, words: str) -> None:
    assert str(Doing("a@x", state, why, chunks=0, rate=0.0, busy=0)).startswith(words)


def test_a_peer_that_works_says_how_much() -> None:
    doing = Doing("a@x", PeerState.READY, "", chunks=12_345, rate=41.25, busy=2)
    assert str(doing) == "a@x works, 41.2 chunks a second; 12,345 chunks so far"
    assert "1 chunk so far" in str(Doing("a@x", PeerState.READY, "", chunks=1, rate=0.0, busy=1))


def test_the_line_is_one_line_that_obeys_no_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    line = Line(terminal)
    line.draw("paused: \n\x1b[2J" + "x" * 100)
    assert len(terminal.last) == 39
    assert "\n" not in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()
    line.clear()
    assert terminal.last == ""
    line.leave("gone")
    assert terminal.getvalue().endswith("gone\n")


def test_a_log_line_clears_it_first(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(status, "line", Line(terminal))
    status.line.draw("ready")
    Clearing().handle(logging.LogRecord("x", logging.INFO, "", 1, "Paused.", (), None))
    assert terminal.last == ""


def test_a_terminal_that_was_closed_is_no_error() -> None:
    terminal = Terminal()
    terminal.close()
    Line(terminal).draw("ready")


@pytest.fixture
def informed() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    yield
    root.setLevel(before)


@pytest.mark.usefixtures("informed")
def test_celerys_lines_about_each_chunk_are_not_for_the_console() -> None:
    def record(level: int, name: str | None) -> logging.LogRecord:
        made = logging.LogRecord("celery.app.trace", level, "", 1, "Task", (), None)
        if name is not None:
            made.data = {"name": name}
        return made

    assert not is_worth_a_line(record(logging.INFO, ENHANCE_TASK))
    assert is_worth_a_line(record(logging.INFO, "p2c2g.train"))
    assert is_worth_a_line(record(logging.INFO, None))
    assert is_worth_a_line(record(logging.WARNING, ENHANCE_TASK))
