"""What other users of this machine see of a process: its arguments, as ``ps`` lists them."""

from __future__ import annotations

import ctypes
from pathlib import Path

#: Where Linux tells a process's own figures, and which of them say where its arguments lie.
_STAT = Path("/proc/self/stat")
_ARG_START, _ARG_END = 48, 49


def hide(secret: str) -> bool:
    """Write asterisks over a text in this process's own arguments.

    Until then everybody could read it, so it is a mitigation and no more.  Linux alone.

    Returns:
        Whether it was found, and is gone.
    """
    wanted = secret.encode(errors="surrogateescape")
    try:
        # A program's name may hold blanks and brackets; the figures follow the last of them.
        figures = _STAT.read_text(errors="replace").rpartition(")")[2].split()
        begin, end = (int(figures[each - 3]) for each in (_ARG_START, _ARG_END))
    except (OSError, IndexError, ValueError):
        return False
    if not wanted or not 0 < begin < end:
        return False
    arguments = ctypes.string_at(begin, end - begin)
    at = arguments.find(wanted)
    found = at >= 0
    while at >= 0:
        ctypes.memset(begin + at, ord("*"), len(wanted))
        at = arguments.find(wanted, at + len(wanted))
    return found
