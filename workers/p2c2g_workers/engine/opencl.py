"""The engine for OpenCL devices: the codec on the CPU, some operations on the device.

:mod:`p2c2g_workers.processors.opencl` says which operations; the CPU's processors do the rest,
nets among them, so that it can do whatever the CPU can.
"""

from __future__ import annotations

import os

import cv2

from p2c2g.errors import UnavailableError
from p2c2g_workers.engine import Kind
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.processors.opencl import OPENCL

#: The variable from which OpenCV reads its device, when it first needs one.
VARIABLE = "OPENCV_OPENCL_DEVICE"


class OpenClEngine(CpuEngine):
    """OpenCV's device, of which a process has one.

    Args:
        device: as OpenCV writes it, ``PLATFORM:TYPE:NAME``, such as ``:CPU:`` for PoCL; None for
            what OpenCV chooses by itself, a GPU or nothing.

    Raises:
        UnavailableError: there is no such device, or OpenCV has chosen another already.
    """

    kind: Kind = "opencl"
    registry = OPENCL

    def __init__(self, device: str | None = None) -> None:
        if device is not None:
            os.environ[VARIABLE] = device
        if not cv2.ocl.haveOpenCL():
            raise UnavailableError(
                "OpenCV finds no OpenCL: install the driver of the graphics card."
            )
        taken = cv2.ocl.Device.getDefault()
        if not taken.available():
            wanted = "GPU" if device is None else f"device {device!r}"
            raise UnavailableError(f"OpenCV has taken no {wanted}: name one by {VARIABLE}.")
        cv2.ocl.setUseOpenCL(True)
        self.name = str(taken.name())

    def close(self) -> None:
        """Wait until the device is idle; OpenCV keeps it."""
        cv2.ocl.finish()
