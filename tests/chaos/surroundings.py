"""What surrounds a run: its folder, its logs, its metronome, and a look-out for dying threads."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from p2c2g.logs import configure
from p2c2g.settings import LogSettings
from tests.lane import ROOT


@contextmanager
def run_folder(keep: Path | None, seed: int) -> Iterator[Path]:
    """Give a folder for a run's logs and records: one under ``keep``, or one that vanishes."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="p2c2g-chaos-") as folder:
            yield Path(folder)
    else:
        folder_kept = keep / f"seed-{seed}"
        folder_kept.mkdir(parents=True)
        yield folder_kept


@contextmanager
def logging_to(folder: Path) -> Iterator[None]:
    """Log as ``p2c2g-capture`` does, and afterwards as before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure(LogSettings(level="CRITICAL", dir=folder, megabytes=0.02), "chaos")
    try:
        yield
    finally:
        for handler in root.handlers[:]:
            root.removeHandler(handler)
            handler.close()
        for handler in handlers:
            root.addHandler(handler)
        root.setLevel(level)


@contextmanager
def deaths() -> Iterator[list[str]]:
    """Note each thread that ends by an exception."""
    dead: list[str] = []
    before = threading.excepthook

    def note(arguments: threading.ExceptHookArgs) -> None:
        name = arguments.thread.name if arguments.thread else "?"
        dead.append(f"the thread {name} died: {arguments.exc_type.__name__} {arguments.exc_value}")
        sys.__excepthook__(
            arguments.exc_type,
            arguments.exc_value or arguments.exc_type(),
            arguments.exc_traceback,
        )

    threading.excepthook = note
    try:
        yield dead
    finally:
        threading.excepthook = before


@contextmanager
def metronome() -> Iterator[subprocess.Popen[str]]:
    """Run :mod:`tests.chaos.metronome` beside the run."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.metronome"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None and process.stdin is not None:
                process.stdin.close()
                process.wait()
