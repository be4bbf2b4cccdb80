"""The engine for what speaks OpenCL: the codec on the CPU, some operations on the device.

Which operations is told in :mod:`p2c2g_workers.processors.opencl`; the rest, nets among it, is
done by the CPU's processors, so that it can do whatever the CPU can.
"""

from __future__ import annotations

import os

import cv2

from p2c2g.errors import UnavailableError
from p2c2g_workers.engine import Kind
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.processors.opencl import OPENCL

#: By which OpenCV is told its device, before it first needs one.
VARIABLE = "OPENCV_OPENCL_DEVICE"


class OpenClEngine(CpuEngine):
    """OpenCV's device, which is one a process.

    Args:
        device: as OpenCV writes it, ``PLATFORM:TYPE:NAME``, such as ``:CPU:`` for PoCL; None for
            what OpenCV takes by itself, a GPU or nothing.

    Raises:
        UnavailableError: there is no such device, or OpenCV has taken another already.
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
