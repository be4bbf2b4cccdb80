"""What all tests share: tests that need a program say so and are never skipped in CI."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from p2c2g.system.processes import find
from tests.effort import FULL, examples

# A property must not fail for a busy machine, nor today and not tomorrow.
settings.register_profile("house", deadline=None, derandomize=True, max_examples=examples(100))
settings.load_profile("house")

# OpenCV takes its device when it first needs one, for the whole process, and by itself only a
# GPU: here any will do, PoCL's on the processor too.
os.environ.setdefault("OPENCV_OPENCL_DEVICE", ":CPU:")

# Nor may it matter in which terminal, how wide and of which colours, the tests are run.
os.environ["TERM"] = "xterm"
for name in ("COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE", "PYTHON_COLORS"):
    os.environ.pop(name, None)

# Programs are started by the hundred: what they import is compiled once, as it is for users.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

#: Debian's package for a program, where it has another name.
PACKAGES = {
    "Xvfb": "xvfb",
    "xrandr": "x11-xserver-utils",
    "freedoom1": "freedoom",
    "redis-cli": "redis-tools",
    "nginx": "nginx libnginx-mod-stream",
    "nft": "nftables",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    **dict.fromkeys(("postgres", "initdb", "pg_ctl"), "postgresql"),
}
#: What Debian keeps beside the PATH.
BESIDE = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def missing_sentence(programs: tuple[str, ...]) -> str | None:
    """Say which of the programs are missing and what to install, or None if none is."""
    missing = [program for program in programs if find(program) is None]
    missing = [each for each in missing if not any((path / each).exists() for path in BESIDE)]
    if not missing:
        return None
    packages = " ".join(dict.fromkeys(PACKAGES.get(program, program) for program in missing))
    return f"needs {', '.join(missing)}: apt-get install {packages}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose programs are missing, or fail it where the environment has CI=true."""
    require(*(name for mark in item.iter_markers("needs") for name in mark.args))


def require(*programs: str) -> None:
    """Skip a test whose programs are missing, or fail it in CI: for fixtures."""
    sentence = missing_sentence(programs)
    if sentence is None:
        return
    if FULL:
        pytest.fail(f"In CI nothing may be skipped, and this test {sentence}", pytrace=False)
    pytest.skip(sentence)
