"""OpenCL for tests: any device will do, PoCL's on the CPU too; ``conftest`` has OpenCV told so."""

from __future__ import annotations

import os

import cv2
import pytest

MISSING = "needs an OpenCL device: apt-get install ocl-icd-libopencl1 pocl-opencl-icd"


def require() -> None:
    """Skip a test where there is no device, or fail it where the environment has CI=true."""
    if cv2.ocl.haveOpenCL() and cv2.ocl.Device.getDefault().available():
        return
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"In CI nothing may be skipped, and this test {MISSING}", pytrace=False)
    pytest.skip(MISSING)
