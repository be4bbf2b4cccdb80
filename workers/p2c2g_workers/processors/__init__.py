"""What a peer can do to pixels.

One function an operation and method, found through a registry.  Those of OpenCV and Pillow, on
the CPU, are always there; another (a graphics card, a network) registers beside them.
"""

from p2c2g_workers.processors import network as _network  # registers its own on import, too
from p2c2g_workers.processors import opencv as _opencv  # registers its own on import
from p2c2g_workers.processors.registry import Processor, known, processor, register, run

__all__ = ["Processor", "known", "processor", "register", "run"]

del _network, _opencv
