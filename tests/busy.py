"""What a busy machine took of a moment: so much later may be what is promised within a second."""

from __future__ import annotations

from contextlib import suppress
from os import sysconf
from pathlib import Path
from time import monotonic


def starved(process: int | str = "self") -> float:
    """Return the seconds that a process's threads have waited for a processor, together.

    Threads that have ended take theirs along.
    """
    waited = 0
    for path in Path(f"/proc/{process}/task").glob("*/schedstat"):
        with suppress(OSError):  # It has ended.
            waited += int(path.read_text().split()[1])
    return waited / 1e9


def stolen() -> float:
    """Return the seconds in which this machine's processors were another machine's."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(fields[8]) / sysconf("SC_CLK_TCK")


def lost(*others: int) -> float:
    """Return the seconds for which the processors were others', of all threads together, so far.

    Args:
        others: processes by their id, which count beside this one.
    """
    return stolen() + starved() + sum(map(starved, others))


class Stopwatch:
    """It runs from when it is made, but for what others had the processors for.

    Args:
        others: processes by their id, which have to do with it beside this one.
    """

    def __init__(self, *others: int) -> None:
        self._others = others
        self._began = monotonic()
        self._before = lost(*others)

    @property
    def lost(self) -> float:
        """Return for how long of that the processors were others', of all threads together."""
        return max(0.0, lost(*self._others) - self._before)

    @property
    def seconds(self) -> float:
        """Return how long it has run."""
        return monotonic() - self._began - self.lost
