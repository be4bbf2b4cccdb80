"""Which graphics processors there are, by the interfaces through which work could reach them.

A missing library finds nothing; a broken one is a line in the log.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from typing import Any

import cv2

from p2c2g.peers.messages import Gpu
from p2c2g_workers.handlers import handlers_kept

logger = logging.getLogger(__name__)

#: OpenCL's types of devices are bits.
_GPU_BIT = 4
_MOST = 64


@handlers_kept()
def gpus() -> tuple[Gpu, ...]:
    """Return the GPUs of this machine, each once: CUDA before OpenCL before Metal."""
    found = list(_nvidia())
    found += [gpu for gpu in _opencl() if gpu.name not in {known.name for known in found}]
    found += _metal()
    return tuple(found[:_MOST])


def _nvidia() -> list[Gpu]:
    """Ask NVIDIA's management library, through the package nvidia-ml-py."""
    if importlib.util.find_spec("pynvml") is None:
        return []
    nvml: Any = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:  # Usually: no driver.
        logger.debug("NVML finds no GPU: %s", error)
        return []
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        return [
            Gpu(
                name=_text(nvml.nvmlDeviceGetName(handle)),
                kind="cuda",
                memory=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
            )
            for handle in handles
        ]
    except nvml.NVMLError as error:
        logger.warning("NVML does not list the GPUs: %s", error)
        return []
    finally:
        nvml.nvmlShutdown()


def _opencl() -> list[Gpu]:
    """Ask OpenCV for its OpenCL device: it reports only the default one."""
    try:
        if not cv2.ocl.haveOpenCL():
            return []
        device = cv2.ocl.Device.getDefault()
        if not device.available() or not device.type() & _GPU_BIT:
            return []
        return [Gpu(name=_text(device.name()), kind="opencl", memory=device.globalMemSize())]
    except (cv2.error, AttributeError, ValueError) as error:
        logger.warning("OpenCL does not name its device: %s", error)
        return []


def _metal() -> list[Gpu]:
    """Ask PyTorch, on a Mac that has it; elsewhere its import would take seconds for nothing."""
    if sys.platform != "darwin" or importlib.util.find_spec("torch") is None:
        return []
    try:
        torch: Any = importlib.import_module("torch")
        if torch.backends.mps.is_available():
            return [Gpu(name="Apple GPU", kind="metal")]
    except (ImportError, OSError, AttributeError) as error:
        logger.warning("PyTorch does not say whether there is Metal: %s", error)
    return []


def _text(name: str | bytes) -> str:
    text = name.decode(errors="replace") if isinstance(name, bytes) else name
    return text.strip()[:200]
