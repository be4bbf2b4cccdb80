"""Temporary folders: gone at the end, and what a killed process left is gone with the next one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from p2c2g.system.scratch import Scratch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no lock of that kind")

HOLD = """
import sys, time
from p2c2g.system.scratch import Scratch
made = Scratch("game")
(made.path / "log").write_text("x")
print(made.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_it_is_gone_at_the_end(temp: Path) -> None:
    with Scratch("game") as made:
        assert made.path.parent == temp
        assert made.path.stat().st_mode & 0o777 == 0o700
        (made.path / "log").write_text("x")
    assert list(temp.iterdir()) == []
    made.cleanup()


def test_what_a_killed_process_left_is_removed_and_a_living_ones_is_not(temp: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        with Scratch("game"):
            assert (theirs / "log").read_text() == "x"
        other.kill()
        other.wait()
        assert theirs.is_dir()
        with Scratch("demo"):
            assert theirs.is_dir(), "it is for something else"
        with Scratch("game") as made:
            assert list(temp.iterdir()) == [made.path]


def test_what_is_not_ours_stays(temp: Path) -> None:
    precious = temp / "precious"
    precious.mkdir()
    (precious / "in-use.lock").touch()
    (temp / "p2c2g-game-link").symlink_to(precious)
    (temp / "p2c2g-game-bare").mkdir()
    (temp / "p2c2g-game-file").touch()
    before = set(temp.iterdir())
    with Scratch("game"):
        pass
    assert set(temp.iterdir()) == before
    assert (precious / "in-use.lock").exists()
