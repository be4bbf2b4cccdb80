"""Children that end with their parent."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import psutil
import pytest

from p2c2g.errors import UnavailableError
from p2c2g.system import processes

#: Says that it runs, then waits for a signal; TERM is ignored where asked.
WAITER = (
    "import signal, sys\n"
    "if 'stubborn' in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('ready', flush=True)\n"
    "while True: signal.pause()\n"
)


def start_waiter(*args: str) -> subprocess.Popen[bytes]:
    process = processes.start([sys.executable, "-c", WAITER, *args], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_stop_ends_a_child_by_term() -> None:
    process = start_waiter()
    assert processes.stop(process) == -signal.SIGTERM


def test_stop_kills_a_child_that_ignores_term() -> None:
    process = start_waiter("stubborn")
    assert processes.stop(process, timeout=0.05) == -signal.SIGKILL


def test_stop_of_an_ended_child_returns_its_status() -> None:
    process = processes.start([sys.executable, "-c", "raise SystemExit(3)"])
    process.wait()
    assert processes.stop(process) == 3
    assert processes.stop(process) == 3


def test_stop_reaches_grandchildren() -> None:
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {WAITER!r}])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    process = processes.start([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    pids = [int(line) for line in [process.stdout.readline()]]
    assert process.stdout.readline() == b"ready\n"
    grandchild = psutil.Process(pids[0])
    processes.stop(process)
    psutil.wait_procs([grandchild], timeout=30)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_a_missing_program_is_named() -> None:
    with pytest.raises(UnavailableError, match="no-such-program-here"):
        processes.start(["no-such-program-here"])


def test_environment_and_arguments_arrive() -> None:
    code = "import os, sys; print(os.environ['WORD'], sys.argv[1:])"
    process = processes.start(
        [sys.executable, "-c", code, "a b", "-c"],
        env={**os.environ, "WORD": "hello"},
        stdout=subprocess.PIPE,
    )
    out, _ = process.communicate(timeout=60)
    assert out.decode().split(maxsplit=1) == ["hello", "['a b', '-c']\n"]


def test_a_child_outlives_the_thread_that_started_it() -> None:
    started: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: started.append(start_waiter()))
    thread.start()
    thread.join()
    try:
        # A round trip through the kernel: were the child dying, the wait would find it dead.
        with pytest.raises(subprocess.TimeoutExpired):
            started[0].wait(0.2)
    finally:
        processes.stop(started[0])


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_child_dies_with_a_parent_that_is_killed() -> None:
    code = textwrap.dedent(
        f"""
        import subprocess, sys
        from p2c2g.system import processes
        child = processes.start(
            [sys.executable, "-c", {WAITER!r}, "stubborn"], stdout=subprocess.PIPE
        )
        assert child.stdout.readline() == b"ready\\n"
        print(child.pid, flush=True)
        child.wait()
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, alive = psutil.wait_procs([child], timeout=30)
    assert gone or all(process.status() == psutil.STATUS_ZOMBIE for process in alive)
