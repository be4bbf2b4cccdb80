"""Python programs without their start: forked off a process that has imported everything once.

Most of what a worker or a command of ours takes to start is the import of the same modules.
:func:`python` takes what ``python`` takes on its command line and gives a process of its own:
its environment, folder, output, signals and exit status are a started program's.  It ends with
this process, however that ends.  What the interpreter itself reads when it starts (its options,
``PYTHON…`` variables) is the first process's.

The acceptance tests start the real commands.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from p2c2g.system import processes

ROOT = Path(__file__).resolve().parents[1]
#: What workers and commands import, and what changes nobody by being imported: no tasks, which
#: the lane's workers do not have, and neither PyTorch nor a net's runtime, which start threads.
IMPORTED = (
    "celery.bin.celery", "celery.apps.worker", "celery.concurrency.thread",
    "p2c2g.messaging.transport", "p2c2g.messaging.results",
    "p2c2g_workers.consumer", "p2c2g_workers.enrolment", "p2c2g_workers.guest",
    "p2c2g_training.cli", "p2c2g_capture.cli", "p2c2g_capture.run", "p2c2g.commands.main",
    "p2c2g.commands.roster_table", "p2c2g.nets.store",
)  # fmt: skip
#: What a training needs beside that, for programs that are going to train.
LEARNING = ("torch", "onnx", "p2c2g_training.command", "p2c2g_training.here")
#: Bytes of an order: arguments and an environment.
_MOST = 1 << 20
_NUMBER = struct.Struct("i")
#: prctl's PR_SET_PDEATHSIG.
_DEATH_SIGNAL = 1


class Fork:
    """A forked program: the part of :class:`subprocess.Popen` that tests use."""

    def __init__(self, arguments: Sequence[str], status: int) -> None:
        self.args = list(arguments)
        self.returncode: int | None = None
        self._status = status
        told = os.read(status, _NUMBER.size)
        if not told:
            raise RuntimeError("The process that forks has ended: its last words are above.")
        self.pid: int = _NUMBER.unpack(told)[0]

    def poll(self) -> int | None:
        """Return its exit status, negative for a signal, or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; return its exit status.

        Raises:
            subprocess.TimeoutExpired: it has not ended after so many seconds.
        """
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            told = os.read(self._status, _NUMBER.size)
            os.close(self._status)
            # Who forks them is gone, and took them along.
            status = _NUMBER.unpack(told)[0] if told else signal.SIGKILL
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            # It may end, and be buried, in between.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it and its own processes at once, and wait until it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.wait()


def python(
    arguments: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | Path = ROOT,
    stdout: IO[Any],
    stderr: IO[Any],
    imported: tuple[str, ...] = (),
) -> Fork:
    """Run what ``python *arguments`` runs: ``-m MODULE …``, ``-c CODE …`` or ``FILE …``.

    Args:
        arguments: of ``python``.
        env: its environment; this process's where None.
        cwd: its folder.
        stdout: takes its output.
        stderr: takes its errors.
        imported: modules beside :data:`IMPORTED` that may have been imported.
    """
    words = [str(word) for word in arguments]
    if words[0].startswith("-") and words[0] not in {"-m", "-c"}:
        raise ValueError(f"{words[0]} is an option of the interpreter, which runs already")
    order = {"arguments": words, "env": dict(os.environ if env is None else env), "cwd": str(cwd)}
    theirs, ours = os.pipe()
    try:
        line = _server(imported)
        socket.send_fds(
            line, [json.dumps(order).encode()], [stdout.fileno(), stderr.fileno(), ours]
        )
    finally:
        os.close(ours)
    return Fork(words, theirs)


@dataclass(frozen=True)
class Finished:
    """A program that has ended."""

    code: int
    output: str
    errors: str


def finish(
    arguments: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | Path = ROOT,
    timeout: float = 60.0,
    imported: tuple[str, ...] = (),
) -> Finished:
    """Run what ``python *arguments`` runs to its end.

    Raises:
        subprocess.TimeoutExpired: it has not ended after so many seconds, and was killed.
    """
    with TemporaryFile() as output, TemporaryFile() as errors:
        fork = python(arguments, env=env, cwd=cwd, stdout=output, stderr=errors, imported=imported)
        try:
            code = fork.wait(timeout)
        finally:
            fork.kill()
        output.seek(0)
        errors.seek(0)
        return Finished(code, output.read().decode(), errors.read().decode())


@functools.cache
def _server(imported: tuple[str, ...]) -> socket.socket:
    """Start the process that forks, on first use; return the line to it."""
    folders = [str(ROOT / name) for name in (".", "workers", "capture", "training")]
    path = filter(None, [*folders, os.environ.get("PYTHONPATH")])
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = processes.start(
            [sys.executable, "-m", "tests.forks", str(theirs.fileno()), *imported],
            # PyTorch counts its threads when it is imported.
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path)},
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
        )  # fmt: skip
    # It ends when nobody can give it an order any more.
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


# -- in the process that forks -----------------------------------------------------------------


def _serve(line: socket.socket) -> dict[str, Any]:
    """Fork for each order until nobody can send one; returns in each fork, with its order."""
    woken, waker = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker)
    # Where each fork's end is told.
    told: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([line.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _bury(told)
        if line.fileno() in ready:
            message, passed, _, _ = socket.recv_fds(line, _MOST, 3)
            if not message:
                sys.exit()
            *outputs, status = passed
            fork = os.fork()
            if fork == 0:
                os.setpgid(0, 0)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for each in (line.detach(), woken, waker, status, *told.values()):
                    os.close(each)
                return {**json.loads(message), "outputs": outputs}
            # Both do it, so that it is so before either goes on; one that is another program by now
            # has done it, and may not be told.
            with suppress(PermissionError):
                os.setpgid(fork, fork)
            told[fork] = status
            os.write(status, _NUMBER.pack(fork))
            for each in outputs:
                os.close(each)


def _bury(told: dict[int, int]) -> None:
    """Tell the ends of those that have ended."""
    while told:
        fork, status = os.waitpid(-1, os.WNOHANG)
        if fork == 0:
            return
        with suppress(BrokenPipeError):
            os.write(told[fork], _NUMBER.pack(status))
        os.close(told.pop(fork))


def _become(order: dict[str, Any]) -> None:
    """Take the order's output, folder and environment."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, int(signal.SIGKILL))
    for number, output in enumerate(order["outputs"], start=1):
        os.dup2(output, number)
        os.close(output)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    buffering = 1 if os.environ.get("PYTHONUNBUFFERED") else -1
    sys.stdout = open(1, "w", buffering, "utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115


def _run(arguments: list[str]) -> None:
    """Run what ``python *arguments`` would."""
    first, *rest = arguments
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = arguments
        sys.path[0] = str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


def _main() -> None:
    for name in (*IMPORTED, *sys.argv[2:]):
        importlib.import_module(name)
    gc.freeze()
    order = _serve(socket.socket(fileno=int(sys.argv[1])))
    _become(order)
    _run(order["arguments"])


if __name__ == "__main__":
    _main()
