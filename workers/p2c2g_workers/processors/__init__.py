"""What a peer can do to pixels.

There is one function for each operation and method, found through a registry for each device.
Those of OpenCV and Pillow, on the CPU, are always there and are the functions of this module;
OpenCL's are in
:mod:`p2c2g_workers.processors.opencl`, a graphics card's by PyTorch in :mod:`p2c2g_workers.gpu`.
"""

from p2c2g_workers.processors import network as _network  # registers its own on import, too
from p2c2g_workers.processors import opencv as _opencv  # registers its own on import
from p2c2g_workers.processors.registry import CPU, Processor, Registry, known, processor, register
from p2c2g_workers.processors.registry import run as run

__all__ = ["CPU", "Processor", "Registry", "known", "processor", "register", "run"]

del _network, _opencv
