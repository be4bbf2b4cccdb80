"""Programs that must not outlive us: a broker, a display, a game, a worker.

``start`` gives a child that the kernel ends when this process ends, however it ends, even by
``kill -9`` (Linux, ``PR_SET_PDEATHSIG``; elsewhere only the caller's ``stop`` ends it).  Two traps
of that call are dealt with here:

* The kernel watches the *thread* that forked, not the process.  All children are therefore
  forked by one thread, which lives as long as the process.
* It must be called in the child.  Python code between fork and exec may deadlock where there
  are threads, so a small launcher makes the call and then becomes the program, with the same
  process id.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO

from p2c2g.errors import UnavailableError

#: Where Debian keeps games; not on every PATH.
_GAMES = "/usr/games"

#: Arguments: signal, the parent's process id, the program's path, its argv.  The parent may
#: have ended before the call: then nobody would send the signal.
_LAUNCHER = """\
import ctypes, os, sys
if ctypes.CDLL(None).prctl(1, int(sys.argv[1])) or os.getppid() != int(sys.argv[2]):
    sys.exit(143)
os.execv(sys.argv[3], sys.argv[4:])
"""


def _new_forker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="p2c2g-forker")


_forker = _new_forker()


def _renew_forker() -> None:
    """Replace the executor in a forked child, where its thread does not exist."""
    global _forker
    _forker = _new_forker()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_forker)


def find(program: str) -> str | None:
    """Return the path of a program on the PATH or among Debian's games, or None."""
    return shutil.which(program) or shutil.which(program, path=_GAMES)


def start(
    args: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a program that ends with this process; its standard input is empty if none is given.

    The child leads a process group of its own: Ctrl-C in the terminal reaches only us, and
    ``stop`` reaches the child's children too.  ``death_signal`` is what the kernel sends it when
    this process ends.  The other arguments are ``subprocess.Popen``'s.

    Raises:
        UnavailableError: the program is not installed.
    """
    argv = [str(arg) for arg in args]
    path = find(argv[0])
    if path is None:
        raise UnavailableError(f"{argv[0]} cannot be started: no such program is installed.")
    command = [path, *argv[1:]]
    if sys.platform == "linux":
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER]
        command = [*launcher, str(int(death_signal)), str(os.getpid()), path, *argv]

    def fork() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - only the callers' own arguments, no shell
            command,
            env=env,
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            process_group=0,
        )

    return _forker.submit(fork).result()


def stop(process: subprocess.Popen[bytes], timeout: float = 5.0) -> int:
    """End a process of ``start`` and its group: SIGTERM, and SIGKILL after ``timeout`` seconds.

    Does nothing if it has ended already.  Returns its exit status, negative for a signal.
    """
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            # What a program did not read before its end is lost.
            with suppress(BrokenPipeError):
                pipe.close()
    return process.returncode


def last_line(log: Path) -> str:
    """Return the last line that a program wrote to its log; nothing where there is none."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # Not yet waited for, so the id cannot have passed to another process.
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        process.send_signal(number)
