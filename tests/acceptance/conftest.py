"""The real commands, started as a user starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import forks
from tests.forks import Finished

from .browser import browser, page

__all__ = ["browser", "page"]

BIN = Path(sys.executable).parent
#: Where the commands begin.
ENTRIES = {"p2c2g": "p2c2g.commands.main", "p2c2g-capture": "p2c2g_capture.cli"}
#: Seconds after which a command counts as hung.
PATIENCE = 180
#: Of a frame, where some have to be complete on a machine that has little time for them.
AMPLE_DEADLINE = {"P2C2G_SESSION_DEADLINE_MS": "2000"}


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a user with no settings and no screen."""
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("P2C2G_", "COV", "FLOWER_")) and key != "DISPLAY"
    }
    return {**clean, "PATH": f"{BIN}{os.pathsep}{clean.get('PATH', '')}", **more}


def finish(*args: str, **env: str) -> Finished:
    """Run a command to its end."""
    done = subprocess.run(
        args, env=environment(**env), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def finish_quickly(
    command: str, *args: str, imported: tuple[str, ...] = (), **env: str
) -> Finished:
    """Run a command of ours to its end, without the start of Python."""
    words = ["-c", f"from {ENTRIES[command]} import main; main()", *args]
    return forks.finish(words, env=environment(**env), timeout=PATIENCE, imported=imported)


def run_demo(report: Path, *args: str) -> dict[str, Any]:
    """Run ``p2c2g demo`` without a viewer; return its report."""
    done = finish("p2c2g", "demo", "--headless", f"--report={report}", *args, **AMPLE_DEADLINE)
    assert done.code == 0, done
    figures: dict[str, Any] = json.loads(report.read_text())
    return figures


def words_of(process: psutil.Process) -> list[str]:
    """Return a process's command line; none where it has ended meanwhile."""
    with suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


class Command:
    """A command that runs beside the test."""

    def __init__(self, args: Sequence[str], **env: str) -> None:
        self.process = subprocess.Popen(
            args,
            env=environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []

    def line_with(self, text: str) -> str:
        """Read on until a line holds ``text``; return it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"it ended without saying {text!r}: {''.join(self.lines)}")

    def family(self) -> list[psutil.Process]:
        """Return every process that it has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: int = signal.SIGINT) -> Finished:
        """Send a signal, as Ctrl-C does, and wait for the end."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=PATIENCE)
        return Finished(self.process.returncode, "".join(self.lines) + output, "")

    def kill(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            for child in self.family():
                with suppress(psutil.NoSuchProcess):  # It has ended with the one before.
                    child.kill()
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def start() -> Iterator[Any]:
    """Start commands that are ended with the test."""
    started: list[Command] = []

    def begin(*args: str, **env: str) -> Command:
        command = Command(args, **env)
        started.append(command)
        return command

    yield begin
    for command in started:
        command.kill()
