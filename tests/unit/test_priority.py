"""A low priority: of a process, and of a service's session."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from p2c2g.system.priority import AUTOGROUP

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there it is a class")

#: What comes of that: the tests themselves may have a lower one.
NICE = str(max(10, os.nice(0)))
LOWER = """
import os
from p2c2g.system import priority
priority.lower(10)
priority.lower(7)
print(os.nice(0), priority.is_service(), os.getsid(0) == os.getpid())
print(priority.AUTOGROUP.read_text() if priority.AUTOGROUP.exists() else "none")
"""
#: Whether a session's group can be lowered here at all.
CAN = """
from p2c2g.system import priority
while True:
    try:
        priority.AUTOGROUP.write_text("1")
        break
    except BlockingIOError:
        pass
if not priority.AUTOGROUP.read_text():
    raise SystemExit(1)
"""


def lowered(*, service: bool) -> list[str]:
    """Lower a process's priority, in a session of its own or in this one's; return what it says."""
    done = subprocess.run(
        # The one between them: this process may lead its session.
        ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", LOWER]
        if not service
        else [sys.executable, "-c", LOWER],
        capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
        start_new_session=service,
    )  # fmt: skip
    return done.stdout.split()


def test_a_services_session_has_it_too() -> None:
    nice, is_service, leads, *group = lowered(service=True)
    assert (nice, is_service, leads) == (NICE, "True", "True")
    can = subprocess.run(
        [sys.executable, "-c", CAN], check=False, capture_output=True, start_new_session=True
    )
    if can.returncode == 0:
        assert group[1:] == ["nice", NICE]


def test_a_session_of_others_is_left_alone() -> None:
    # A session that is as old as the machine has no group, and the kernel tells nothing of it.
    before = AUTOGROUP.read_text().split() if AUTOGROUP.exists() else ["none"]
    nice, is_service, leads, *group = lowered(service=False)
    assert (nice, is_service, leads) == (NICE, "False", "False")
    assert group == before
