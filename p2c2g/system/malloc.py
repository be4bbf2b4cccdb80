"""The memory of pictures: kept for the next picture instead of being given back to the kernel.

glibc takes a block of more than 128 KiB, as every picture is, from the kernel and gives it
back as soon as it is freed; every page of the next picture then costs a page fault.  That was
some 2,170 faults a frame in a worker, and half of its CPU time (``docs/performance.md``).
"""

from __future__ import annotations

import ctypes
import sys

#: glibc's names in <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
#: Bytes: blocks up to this size come from the heap (glibc allows no more), ...
_FROM_HEAP = 32 << 20
#: ... and this much freed memory at its top is kept.
_KEPT = 256 << 20


def keep_freed_memory() -> bool:
    """Make the allocator keep the memory that pictures free; return whether this system's can."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl, for one, has none.
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _FROM_HEAP) and mallopt(_M_TRIM_THRESHOLD, _KEPT))
