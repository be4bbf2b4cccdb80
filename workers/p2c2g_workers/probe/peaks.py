"""How much memory chunks take, by their size and by how many are worked on at once.

On a graphics card the engine itself reports it.  On the CPU it is the peak of the resident memory
of this whole process, with a thread a chunk, as a worker has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from p2c2g.errors import P2C2GError
from p2c2g.media.frame import Size
from p2c2g.media.methods import NETWORKS
from p2c2g_workers.engine import Engine
from p2c2g_workers.probe.speeds import chunk

#: An eighth of a frame of 720p, of 1080p and of 4K, and a whole one of 720p.
SIZES = (Size(640, 180), Size(960, 270), Size(1920, 540), Size(1280, 720))
BATCHES = (1, 2, 4, 8)
#: The pipeline that every machine can run.
_PLAIN = "upscale:2:bicubic"


@dataclass(frozen=True, slots=True)
class Peak:
    """Bytes that ``batch`` chunks of ``size`` took at most; None where memory did not suffice."""

    size: Size
    batch: int
    pipeline: str
    memory: int | None


def profile(engine: Engine) -> list[Peak]:
    """Return how much of an engine's memory chunks take; runs for about ten seconds."""
    tell = getattr(engine, "profile", None)
    if tell is None:
        return resident(engine)
    text = heaviest(engine)
    return [Peak(one.size, one.batch, text, one.peak) for one in tell(text, SIZES, BATCHES)]


def heaviest(engine: Engine) -> str:
    """Return the pipeline that takes most memory: that of the largest net here, else bicubic."""
    for method in reversed(NETWORKS):
        text = f"upscale:2:{method}"
        if all(map(engine.can, chunk(text, "raw").plan.steps)):
            return text
    return _PLAIN


def resident(
    engine: Engine,
    sizes: Sequence[Size] = SIZES,
    batches: Sequence[int] = BATCHES,
    begin: Callable[[], None] | None = None,
    peak: Callable[[], int] | None = None,
) -> list[Peak]:
    """Return the resident memory of this process while chunks are done side by side.

    Args:
        engine: the CPU's.
        sizes: of chunks.
        batches: how many at once.
        begin: resets the peak.
        peak: returns the peak, in bytes.
    """
    begin, peak = begin or _forget, peak or _highest
    text = heaviest(engine)
    found = []
    # The small ones first: where the system cannot reset its peak, each figure is still theirs.
    for size in sorted(sizes, key=lambda each: each.width * each.height):
        work = chunk(text, "jpeg", size)
        for batch in sorted(batches):
            with ThreadPoolExecutor(batch) as pool:
                begin()
                try:
                    for done in [pool.submit(engine.enhance, work) for _ in range(batch)]:
                        done.result()
                    memory: int | None = peak()
                except (MemoryError, P2C2GError):
                    memory = None
            found.append(Peak(size, batch, text, memory))
    return found


def _forget() -> None:
    """Reset the peak of this process's memory, on Linux; other systems cannot."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def _highest() -> int:
    """Return the peak of this process's resident memory."""
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
