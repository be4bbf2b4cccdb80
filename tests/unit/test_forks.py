"""A fork is a program like one that was started."""

from __future__ import annotations

import os
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from tests import forks
from tests.effort import FULL


def test_arguments_environment_folder_output_and_status_are_its_own(tmp_path: Path) -> None:
    code = "import os, sys; print(*sys.argv[1:], os.environ, os.getcwd(), os.getpgid(0), sep='\\n')"
    done = forks.finish(["-c", code, "a b", "--c"], env={"NAME": "value"}, cwd=tmp_path)
    assert (done.code, done.errors) == (0, "")
    *words, environment, folder, group = done.output.splitlines()
    assert words == ["a b", "--c"]
    assert environment == "environ({'NAME': 'value'})"
    assert folder == str(tmp_path)
    assert int(group) not in {os.getpgid(0), os.getpid()}


@pytest.mark.parametrize(
    ("code", "status", "errors"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('why')", 1, "why\n"),
        ("import os; os.kill(os.getpid(), 15)", -15, ""),
        ("import atexit, sys; atexit.register(sys.stderr.write, 'bye')", 0, "bye"),
    ],
)
def test_it_ends_as_a_program_does(code: str, status: int, errors: str) -> None:
    assert forks.finish(["-c", code]) == forks.Finished(status, "", errors)


def test_a_module_a_file_and_a_traceback(tmp_path: Path) -> None:
    assert forks.finish(["-m", "calendar", "2026", "2"]).output.startswith("   February 2026")
    file = tmp_path / "here.py"
    file.write_text("import beside; print(__name__, beside.WORD)")
    (tmp_path / "beside.py").write_text("WORD = 'beside'")
    assert forks.finish([file]).output == "__main__ beside\n"
    failed = forks.finish(["-c", "1 / 0"])
    assert failed.code == 1
    assert failed.errors.startswith("Traceback")
    assert failed.errors.endswith("ZeroDivisionError: division by zero\n")
    with pytest.raises(ValueError, match="-O is an option of the interpreter"):
        forks.finish(["-O", "here.py"])


def test_one_that_runs_can_be_waited_for_signalled_and_killed() -> None:
    code = "import signal; print(flush=True); signal.pause()"
    reading, writing = os.pipe()
    with os.fdopen(reading) as output, os.fdopen(writing, "w") as end, TemporaryFile() as errors:
        for number in (signal.SIGTERM, signal.SIGKILL):
            fork = forks.python(["-c", code], stdout=end, stderr=errors)
            assert output.readline() == "\n"
            assert fork.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                fork.wait(0.001)
            if number == signal.SIGTERM:
                fork.send_signal(number)
            else:
                fork.kill()
            assert fork.wait(30) == fork.poll() == -number
            fork.kill()


def test_no_task_and_nothing_that_starts_threads_is_there_before_it_is_asked_for() -> None:
    code = "import sys; print(*{name for name in sys.modules})"
    there = set(forks.finish(["-c", code]).output.split())
    assert {"celery.bin.worker", "p2c2g_workers.consumer", "cv2"} <= there
    tasks = {"p2c2g_workers.tasks", "p2c2g_workers.logs", "p2c2g_training.tasks"}
    assert not there & {*tasks, "torch", "onnxruntime"}
    if find_spec("torch") is None and not FULL:
        return  # Nobody learns here.
    learning = set(forks.finish(["-c", code], imported=forks.LEARNING).output.split())
    assert "torch" in learning
    assert not learning & tasks
