"""OpenCL for tests: any device will do, PoCL's on the CPU too.

OpenCV takes its device when it first needs one, for the whole process, and by itself only a
GPU; so this has to be imported before.
"""

from __future__ import annotations

import os

import cv2
import pytest

os.environ.setdefault("OPENCV_OPENCL_DEVICE", ":CPU:")

MISSING = "needs an OpenCL device: apt-get install pocl-opencl-icd"


def require() -> None:
    """Skip a test where there is no device, or fail it where the environment has CI=true."""
    if cv2.ocl.haveOpenCL() and cv2.ocl.Device.getDefault().available():
        return
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"In CI nothing may be skipped, and this test {MISSING}", pytrace=False)
    pytest.skip(MISSING)
