"""The live line and the summary: what there is to say is said, and once in a file."""

from __future__ import annotations

import io
import threading
from typing import Any

from rich.console import Console

from p2c2g.session.tally import Tally
from p2c2g_capture import terminal
from p2c2g_capture.terminal import LiveLine, summary

PATIENCE = 60.0


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
    # What holds beside another is said with it, and is no new sentence for that.
    tally.noticed("This machine is too busy. No peers", 4.0)
    report = tally.summary()
    file = io.StringIO()
    Console(file=file, width=100).print(summary(report))
    assert file.getvalue().count("This machine is too busy.") == 1
    assert file.getvalue().count("No peers.") == 1


def test_the_summary_says_what_peers_chose_most_first_and_in_short() -> None:
    report = Tally().summary()
    own = "778d74f88783abf36bd2e954d6fede80"
    report["ran"] = {"upscale:2:base": 3, f"upscale:2:ml-tiny@{own},sharpen:0.5": 40}
    file = io.StringIO()
    Console(file=file, width=100).print(summary(report))
    chose = next(line for line in file.getvalue().splitlines() if line.startswith("peers chose"))
    assert chose.split(None, 2)[2].strip() == (
        "40 by upscale:2:ml-tiny@778d74f8…,sharpen:0.5, 3 by upscale:2:base"
    )


def test_one_peer_is_one_peer() -> None:
    figures = Said("")()
    assert LiveLine._line(figures | {"peers": [{}]}).plain.endswith(" 1 peer")
    assert LiveLine._line(figures).plain.endswith(" 0 peers")
