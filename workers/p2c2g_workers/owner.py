"""Whether the owner of this machine uses it: their last input, and what else needs the CPU.

What can be known differs by system; where one source is missing, the next one is used.

================  =======================================================================
Windows           ``GetLastInputInfo``
macOS             ``HIDIdleTime`` of ``ioreg``
Linux, X11        the screen saver extension, by python-xlib
Linux, else       the last read of any terminal; Wayland tells other programs no more
================  =======================================================================
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic, time

import psutil

logger = logging.getLogger(__name__)

#: Seconds between two looks, and within which a command or an X server must answer.
INTERVAL = 2.0
_PATIENCE = 5.0

#: Returns the seconds since the last input; None where that is not known now.
IdleTime = Callable[[], float | None]


class OwnerWatch:
    """Looks at the machine repeatedly, on a thread of its own: an X server may answer slowly.

    ``idle`` is the seconds since the last input at the time of the last look, None where that is
    not known; ``others`` is the share of the machine's CPU that others used between the last two
    looks.

    Args:
        own_cpu: returns the CPU seconds of this peer, in user and in system mode.
    """

    def __init__(self, own_cpu: Callable[[], tuple[float, float]]) -> None:
        self.idle: float | None = None
        self.others = 0.0
        self._looked_at = monotonic()
        self._cpu = OthersCpu(own_cpu)
        self._idle_time = idle_time()
        self._ended = threading.Event()
        self.look()

    def start(self) -> None:
        """Begin to look."""
        self._ended = threading.Event()
        threading.Thread(
            target=self._run, args=(self._ended,), name="p2c2g-owner", daemon=True
        ).start()

    def stop(self) -> None:
        """Stop looking."""
        self._ended.set()

    def idle_now(self) -> float | None:
        """Return the seconds since the last input, assuming none since the last look."""
        idle = self.idle
        return None if idle is None else idle + monotonic() - self._looked_at

    def look(self) -> None:
        """Look once."""
        idle = self._idle_time()
        self.others = self._cpu.share()
        self.idle, self._looked_at = idle, monotonic()

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(INTERVAL):
            self.look()


class OthersCpu:
    """The share of the machine's CPU that others use.

    On Linux, work at a low priority (``nice``) is not counted: neither ours nor another guest's
    is the owner's.
    """

    def __init__(self, own_cpu: Callable[[], tuple[float, float]]) -> None:
        self._own = own_cpu
        self._last = self._read()
        self._share = 0.0

    def share(self) -> float:
        """Return the share since the last call, 0 to 1."""
        total, busy = self._read()
        passed = total - self._last[0]
        if passed > 0.1:  # The kernel's counters are too coarse for less.
            self._share = min(1.0, max(0.0, (busy - self._last[1]) / passed))
            self._last = (total, busy)
        return self._share

    def _read(self) -> tuple[float, float]:
        times = psutil.cpu_times()
        user, system = self._own()
        polite = sys.platform == "linux" and os.nice(0) > 0
        busy = times.user + times.system + getattr(times, "irq", 0.0)
        busy += getattr(times, "softirq", 0.0)
        spare = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "nice", 0.0)
        return busy + spare, busy - system - (0.0 if polite else user)


def own_cpu(pids: Iterable[int] = ()) -> tuple[float, float]:
    """Return this process's CPU seconds in user and in system mode, with those of ``pids``."""
    times = os.times()
    user = times.user + times.children_user
    system = times.system + times.children_system
    for pid in pids:
        try:
            child = psutil.Process(pid).cpu_times()
        except psutil.Error:
            continue  # It has ended, and is counted among the children from now on.
        user += child.user
        system += child.system
    return user, system


def idle_time() -> IdleTime:
    """Return the function that knows the last input on this machine."""
    if sys.platform == "win32":
        return _windows
    if sys.platform == "darwin":
        return _mac
    wayland = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("XDG_SESSION_TYPE") == "wayland"
    # Behind Xwayland an X client sees only what is typed into other X clients.
    if os.environ.get("DISPLAY") and not wayland:
        try:
            return _x11()
        except Exception as error:  # noqa: BLE001 - python-xlib's errors share no class
            logger.warning("Cannot ask the X server for the owner's input: %s", error)
    return _terminals


def _x11() -> IdleTime:
    from Xlib import display
    from Xlib.ext import screensaver

    # The name after the colon is the server's; a display that has gone is not opened again.
    server = display.Display()
    if not server.query_extension(screensaver.extname):
        server.close()
        raise OSError(f"it has no {screensaver.extname}")
    root = server.screen().root

    def ask() -> float | None:
        try:
            return float(root.screensaver_query_info().idle) / 1000
        except Exception as error:  # noqa: BLE001 - see above
            logger.debug("The X server does not tell the owner's input: %s", error)
            return None

    ask()
    return ask


def _terminals() -> float | None:
    read = []
    for terminal in (*Path("/dev/pts").glob("[0-9]*"), *Path("/dev").glob("tty[1-9]*")):
        try:
            read.append(terminal.stat().st_atime)
        except OSError:
            continue
    return max(0.0, time() - max(read)) if read else None


def _mac() -> float | None:
    try:
        said = subprocess.run(
            ["/usr/sbin/ioreg", "-c", "IOHIDSystem", "-d", "4"],
            capture_output=True, check=True, timeout=_PATIENCE,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        logger.debug("ioreg does not tell the owner's input: %s", error)
        return None
    match = re.search(rb'"HIDIdleTime" = (\d+)', said.stdout)
    return int(match[1]) / 1e9 if match else None


def _windows() -> float | None:
    if sys.platform != "win32":
        return None

    class LastInput(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint), ("ticks", ctypes.c_uint))

    last = LastInput(ctypes.sizeof(LastInput))
    if not ctypes.windll.user32.GetLastInputInfo(ctypes.byref(last)):
        return None
    # Milliseconds in 32 bits, which start again after 49 days.
    now: int = ctypes.windll.kernel32.GetTickCount()
    return ((now - last.ticks) & 0xFFFFFFFF) / 1000
