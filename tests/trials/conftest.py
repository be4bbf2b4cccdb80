"""What each trial begins with."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .machines import require_machines


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    require_machines()
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def folder(stack: ExitStack) -> Path:
    """Return a folder that is gone before the next trial: machines are large."""
    path = Path(tempfile.mkdtemp(prefix="p2c2g-trial-"))
    path.chmod(0o755)
    stack.callback(shutil.rmtree, path, ignore_errors=True)
    return path
