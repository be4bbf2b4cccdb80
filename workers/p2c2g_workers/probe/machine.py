"""How much of the machine this process may use: a container's share, where that is less."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def cores() -> int:
    """Return how many cores this process may use, at least 1."""
    if sys.platform == "linux":
        allowed = len(os.sched_getaffinity(0))
        quota = cpu_quota()
        return allowed if quota is None else max(1, min(allowed, int(quota)))
    return os.cpu_count() or 1


def memory() -> int:
    """Return the bytes of memory that this process may use."""
    total: int = psutil.virtual_memory().total
    limit = memory_limit() if sys.platform == "linux" else None
    return total if limit is None else min(total, limit)


def cpu_model() -> str:
    """Return the CPU's name, as its maker writes it where the system tells."""
    name = ""
    if sys.platform == "linux":
        name = _from_cpuinfo(_read(Path("/proc/cpuinfo")))
    elif sys.platform == "darwin":
        name = _from_sysctl()
    return name or platform.processor() or platform.machine() or "unknown"


def cpu_quota(root: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> float | None:
    """Return the cores' worth of time that the control group allows, None without a limit.

    Args:
        root: where the control groups are mounted.
        own: the file that names this process's groups.
    """
    found = []
    for folder in _groups(root, own, "cpu"):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if not quota:  # Version 1.
            quota = _read(folder / "cpu.cfs_quota_us")
            period = _read(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(period):
            found.append(int(quota) / int(period))
    return min(found, default=None)


def memory_limit(root: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> int | None:
    """Return the bytes that the control group allows, None without a limit.

    Args:
        root: where the control groups are mounted.
        own: the file that names this process's groups.
    """
    found = []
    for folder in _groups(root, own, "memory"):
        text = _read(folder / "memory.max") or _read(folder / "memory.limit_in_bytes")
        if text.isdecimal():
            found.append(int(text))
    return min(found, default=None)


def _groups(root: Path, own: Path, controller: str) -> list[Path]:
    """Return the folders of this process's control group and all above it, both versions."""
    folders = []
    for row in _read(own).splitlines():
        _, _, rest = row.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controller if controllers else root
        group = top / path.lstrip("/")
        # Up to the top: a container may see its path outside, but its own group is mounted there.
        folders += [each for each in (group, *group.parents) if each.is_relative_to(top)]
    return folders


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


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
