"""The README's programs, run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.lane import PATIENCE
from tests.pool import Pool, environment

README = Path(__file__).parents[2] / "README.md"
#: What a busy machine may take of the tenth of a second that a frame has else.
PATIENT = ("Grid(rows=2, cols=1))", "Grid(rows=2, cols=1), deadline=5.0)")
#: Said after it: what a busy machine passed over for a newer frame is not shown.
AFTER = "print(session.tally.passed_over)"


def programs() -> list[str]:
    """Return the README's blocks of Python."""
    return re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)


def test_the_session_in_the_readme_shows_every_frame(pool: Pool) -> None:
    [program] = programs()
    lines = [line for line in program.splitlines() if line.strip() and line[0] != "#"]
    assert len(lines) <= 20, "a session is a few lines"
    assert PATIENT[0] in program
    pool.worker("one")
    *shown, passed_over = subprocess.run(
        [sys.executable, "-c", f"{program.replace(*PATIENT)}\n{AFTER}"],
        env=environment(pool.broker.url),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=True,
    ).stdout.splitlines()
    numbers, states, shapes = zip(*(line.split(maxsplit=2) for line in shown), strict=True)
    assert len(shown) + int(passed_over) == 30
    assert [*map(int, numbers)] == sorted({*map(int, numbers)}), "one is shown twice, or late"
    assert int(numbers[-1]) == 29, "the newest is always shown"
    assert "complete" in states
    assert {*shapes} == {"(720, 1280, 3)"}
