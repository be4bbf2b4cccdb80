"""A driver's library does not take the worker's signals: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from p2c2g_workers.handlers import handlers_kept
from tests import opencl

#: OpenCV asks the driver, and the driver compiles; then the disk is full, and somebody says stop.
DRIVER = """
import os, signal, sys
import cv2, numpy as np
from p2c2g_workers.handlers import handlers_kept

def stop(*_):
    print("stopped in order", flush=True)
    sys.exit(0)

with handlers_kept():
    assert cv2.ocl.haveOpenCL()
    cv2.ocl.setUseOpenCL(True)
    cv2.medianBlur(cv2.UMat(np.zeros((64, 64, 3), np.uint8)), 3).get()
signal.signal(signal.SIGTERM, stop)
os.kill(os.getpid(), signal.SIGXFSZ)
os.kill(os.getpid(), signal.SIGTERM)
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="SIGXFSZ and PoCL are looked at on Linux")
def test_a_full_disk_does_not_make_a_worker_deaf(tmp_path: object) -> None:
    opencl.require()
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        env={**os.environ, "OPENCV_OPENCL_DEVICE": ":CPU:", "POCL_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "stopped in order\n"), done.stderr


def test_other_threads_may_use_it_too() -> None:
    entered = threading.Event()

    def enter() -> None:
        with handlers_kept():
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered.is_set()
