"""How much of the line a run uses, as it is asked to."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import finish_quickly, run_demo

RUN = ("p2c2g-capture", "run", "--source=pattern", "--size=320x180", "--headless", "--seconds=1")
#: Where no broker is.
NOWHERE = "--broker=redis://127.0.0.1:1/0"


def test_a_metered_line_is_left_alone_and_that_is_said(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    # It does not even ask whether the broker is there.
    done = finish_quickly(*RUN, NOWHERE, "--metered", f"--report={report}")
    assert done.code == 0, done
    assert "This line is metered" in done.output
    figures = json.loads(report.read_text())
    assert figures["frames"]["degraded"] > 0
    assert figures["frames"]["complete"] == 0
    assert figures["bytes"]["up"]["total"] == figures["bytes"]["down"]["total"] == 0
    assert "metered" in figures["notices"][0]["said"]


def test_a_metered_line_needs_both_limits() -> None:
    done = finish_quickly(*RUN, NOWHERE, "--max-down-mbps=20", P2C2G_SESSION_METERED="1")
    assert done.code == 2
    assert done.errors.strip().endswith("give --max-up-mbps, too.")


def test_what_is_allowed_is_in_the_report(tmp_path: Path) -> None:
    figures = run_demo(
        tmp_path / "report.json", "--source=pattern", "--size=320x180", "--peers=1",
        "--seconds=3", "--ops=upscale:2,sharpen:0.5", "--max-up-mbps=0.5", "--max-down-mbps=50",
    )  # fmt: skip
    assert figures["settings"]["max_up_mbps"] == 0.5
    up = figures["limits"]["up"]
    assert up["mbps"] == 0.5
    # Which of the two is more depends on when the session is given the processor.
    assert up["used"] > 0
    assert max(up["used"], up["fullest"]) <= 1.05
    assert figures["limits"]["down"]["refused"] == 0
