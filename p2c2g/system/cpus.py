"""How many CPUs this process may use, which is less than the machine has in a container.

For all roles alike: workers, the demo, training.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

#: Where Linux mounts the control groups, and the file that names this process's.
CGROUPS: Final = Path("/sys/fs/cgroup")
OWN_CGROUP: Final = Path("/proc/self/cgroup")


def cores() -> int:
    """Return how many cores this process may use, at least 1."""
    if sys.platform == "linux":
        allowed = len(os.sched_getaffinity(0))
        quota = cpu_quota()
        return allowed if quota is None else max(1, min(allowed, int(quota)))
    return os.cpu_count() or 1


def cpu_quota(root: Path = CGROUPS, own: Path = OWN_CGROUP) -> float | None:
    """Return the cores' worth of time that the control group allows, None without a limit.

    Args:
        root: where the control groups are mounted.
        own: the file that names this process's groups.
    """
    found = []
    for folder in groups(root, own, "cpu"):
        quota, _, period = read(folder / "cpu.max").partition(" ")
        if not quota:  # Version 1.
            quota = read(folder / "cpu.cfs_quota_us")
            period = read(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(period):
            found.append(int(quota) / int(period))
    return min(found, default=None)


def groups(root: Path, own: Path, controller: str) -> list[Path]:
    """Return the folders of this process's control group and all above it, both versions."""
    folders = []
    for row in read(own).splitlines():
        _, _, rest = row.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controller if controllers else root
        group = top / path.lstrip("/")
        # Up to the top: a container may see its path outside, but its own group is mounted there.
        folders += [each for each in (group, *group.parents) if each.is_relative_to(top)]
    return folders


def read(path: Path) -> str:
    """Return what stands in a file of the system's, nothing where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
