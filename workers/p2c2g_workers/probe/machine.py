"""How much of the machine this process may use: a container's share, where that is less."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import psutil

from p2c2g.system.cpus import CGROUPS, OWN_CGROUP, groups, read


def memory() -> int:
    """Return the bytes of memory that this process may use."""
    total: int = psutil.virtual_memory().total
    limit = memory_limit() if sys.platform == "linux" else None
    return total if limit is None else min(total, limit)


def cpu_model() -> str:
    """Return the CPU's name, as its maker writes it where the system tells."""
    name = ""
    if sys.platform == "linux":
        name = _from_cpuinfo(read(Path("/proc/cpuinfo")))
    elif sys.platform == "darwin":
        name = _from_sysctl()
    return name or platform.processor() or platform.machine() or "unknown"


def memory_limit(root: Path = CGROUPS, own: Path = OWN_CGROUP) -> int | None:
    """Return the bytes that the control group allows, None without a limit.

    Args:
        root: where the control groups are mounted.
        own: the file that names this process's groups.
    """
    found = []
    for folder in groups(root, own, "memory"):
        text = read(folder / "memory.max") or read(folder / "memory.limit_in_bytes")
        if text.isdecimal():
            found.append(int(text))
    return min(found, default=None)


def _from_cpuinfo(text: str) -> str:
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else ""


def _from_sysctl() -> str:
    try:
        said = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True, text=True, check=True, timeout=2,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()
