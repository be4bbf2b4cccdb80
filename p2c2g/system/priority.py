"""Low priorities, also where Linux shares the processor out by sessions."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from time import sleep

import psutil

#: The group of a session's processes (``CONFIG_SCHED_AUTOGROUP``): ``nice`` only counts within one,
#: and each gets as much of the processor as any other, unless the group itself is nice.
AUTOGROUP = Path("/proc/self/autogroup")
#: Users may write there ten times a second, all of them together.
_TRIES, _PAUSE = 20, 0.1


def lower(nice: int) -> None:
    """Give this process, and who it starts from now on, a low priority.

    Its session's group gets it too, where the session is a service's: that of a terminal or of a
    desktop has others in it, who have asked for nothing.

    Args:
        nice: 0 is the usual, 19 the lowest; one that is lower already stays.

    Raises:
        OSError, psutil.Error: the system does not let it.
    """
    if sys.platform == "win32":
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        return
    os.nice(max(0, nice - os.nice(0)))
    if is_service():
        _lower_group(os.nice(0))


def lower_thread(nice: int) -> None:
    """Have this thread step back behind the process's others, where a thread can (Linux)."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            now = os.getpriority(os.PRIO_PROCESS, thread)
            os.setpriority(os.PRIO_PROCESS, thread, max(now, nice))


def _lower_group(nice: int) -> None:
    for _ in range(_TRIES):
        try:
            AUTOGROUP.write_text(str(nice))
        except BlockingIOError:
            sleep(_PAUSE)
        except OSError:
            return  # Not every kernel has it, and a container may not write there.
        else:
            return


def is_service() -> bool:
    """Tell whether this process's session is its own or its parent's, and of no terminal."""
    with suppress(OSError):
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
        return False
    return os.getsid(0) in {os.getpid(), os.getppid()}
