"""The README's programs, run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.pool import Pool, environment

README = Path(__file__).parents[2] / "README.md"


def programs() -> list[str]:
    """Return the README's blocks of Python."""
    return re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)


def test_the_session_in_the_readme_shows_every_frame(pool: Pool) -> None:
    [program] = programs()
    lines = [line for line in program.splitlines() if line.strip() and line[0] != "#"]
    assert len(lines) <= 20, "a session is a few lines"
    pool.worker("one")
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(pool.broker.url),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.splitlines()
    assert [int(line.split()[0]) for line in shown] == list(range(30))
    assert shown[-1].split(maxsplit=2)[1:] == ["complete", "(720, 1280, 3)"]
