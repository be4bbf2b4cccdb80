"""The live line and the summary: what there is to say is said, and once in a file."""

from __future__ import annotations

import io
import threading
from typing import Any

from rich.console import Console

from p2c2g.session.tally import Tally
from p2c2g_capture import terminal
from p2c2g_capture.terminal import LiveLine, summary

PATIENCE = 20.0


class Said:
    """Figures whose notice changes from look to look, and the last look's event."""

    def __init__(self, *notices: str) -> None:
        self._notices = list(notices)
        self.over = threading.Event()

    def __call__(self) -> dict[str, Any]:
        figures = Tally().live(0.0, 0)
        # The last one stays: a terminal is drawn less often than is looked.
        is_last = len(self._notices) == 1
        figures["notice"] = self._notices[0] if is_last else self._notices.pop(0)
        if is_last:
            self.over.set()
        return figures


def played(monkeypatch: Any, figures: Said, **console: Any) -> str:
    monkeypatch.setattr(terminal, "_EVERY", 0.001)
    file = io.StringIO()
    with LiveLine(Console(file=file, width=100, **console), figures):
        assert figures.over.wait(PATIENCE)
    return file.getvalue()


def test_a_file_has_each_notice_once_when_it_begins(monkeypatch: Any) -> None:
    said = played(monkeypatch, Said("No peers", "No peers", "", "No [peers] 'gpu'", "No peers"))
    lines = [line for line in said.splitlines() if "FPS" not in line]
    assert lines == ["No peers.", "No [peers] 'gpu'.", "No peers."]


def test_a_terminal_has_it_below_the_figures(monkeypatch: Any) -> None:
    said = played(monkeypatch, Said("No peers", "No peers"), force_terminal=True)
    assert "No peers." in said
    assert "0 complete" in said


def test_the_summary_has_each_sentence_once() -> None:
    tally = Tally()
    for second in range(3):
        tally.noticed("This machine is too busy", float(second))
        tally.noticed("", second + 0.5)
    report = tally.summary()
    assert [each["said"] for each in report["notices"]] == ["This machine is too busy"] * 3
    file = io.StringIO()
    Console(file=file, width=100).print(summary(report))
    assert file.getvalue().count("This machine is too busy.") == 1
