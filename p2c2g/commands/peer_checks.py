"""Whether a machine can be lent: what was found of it, judged in sentences for its owner."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

#: The oldest Python that runs it.
PYTHON: Final = (3, 11)
#: Bytes of the disk and of memory: without the first it cannot be lent, with the second it is well.
DISK: Final = (200 << 20, 2 << 30)
MEMORY: Final = (512 << 20, 1 << 30)


class Worth(Enum):
    """What a check says."""

    WELL = "well"
    DOUBT = "doubt"  # it works, and not as well as it might
    BAD = "bad"  # it cannot be lent so


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Args:
        what: was looked at.
        found: is there.
        worth: of that.
        advice: what would be right, where it is not well.
    """

    what: str
    found: str
    worth: Worth = Worth.WELL
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of a machine.

    Args:
        python: its version.
        disk: bytes that are free where the peer's home is.
        memory: bytes that a process may use.
        cores: that it may use.
        cpu: the processor's name.
        cards: names of graphics cards.
        nets: whether what runs trained nets is installed.
    """

    python: tuple[int, int, int]
    disk: int
    memory: int
    cores: int
    cpu: str
    cards: Sequence[str]
    nets: bool


def judged(found: Found, folder: Path) -> list[Check]:
    """Return what each finding is worth.

    Args:
        found: of the machine.
        folder: of the peer's home, for the advice.
    """
    python = ".".join(map(str, found.python))
    checks = [
        Check("Python", python)
        if found.python >= PYTHON
        else Check("Python", python, Worth.BAD, "install Python 3.11 or a newer one")
    ]
    checks.append(
        _amount("Disk", found.disk, DISK, f"{folder} needs 2 GiB, for nets, logs and updates")
    )
    checks.append(_amount("Memory", found.memory, MEMORY, "a peer needs 1 GiB"))
    plural = "" if found.cores == 1 else "s"
    checks.append(Check("Processor", f"{found.cpu}, {found.cores} core{plural}"))
    checks.append(Check("Graphics card", ", ".join(found.cards) or "none found: works on the CPU"))
    if not found.nets:
        checks.append(
            Check(
                "Nets", "not installed: scales without trained nets", Worth.DOUBT,
                'pip install "p2c2g[ml]" brings them',
            )
        )  # fmt: skip
    return checks


def free_space(folder: Path) -> int:
    """Return the bytes that are free where a folder is, or is to be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def python_version() -> tuple[int, int, int]:
    """Return the version of this Python."""
    return sys.version_info[:3]


def _amount(what: str, bytes_: int, bounds: tuple[int, int], advice: str) -> Check:
    least, enough = bounds
    worth = Worth.WELL if bytes_ >= enough else Worth.DOUBT if bytes_ >= least else Worth.BAD
    return Check(what, _size(bytes_), worth, "" if worth is Worth.WELL else advice)


def _size(bytes_: int) -> str:
    return f"{bytes_ / 2**30:.1f} GiB" if bytes_ >= 2**30 else f"{bytes_ / 2**20:.0f} MiB"
