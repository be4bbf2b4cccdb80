"""Writes down when a process's connections carried how much, by its own clock."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic

from p2c2g.messaging.metering import Meter

#: Names the file, where anything is to be written.
VARIABLE = "TEST_METERED_FILE"

#: Seconds, bytes.
Went = list[tuple[float, float]]


class MeterLog:
    """Takes the place of the methods of a meter that count.

    Args:
        path: what is written.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._went, self._came = Meter.went, Meter.came

    @classmethod
    def begin(cls) -> None:
        """Begin, where the environment names a file."""
        if os.environ.get(VARIABLE):
            log = cls(Path(os.environ[VARIABLE]))

            def went(meter: Meter, size: int) -> None:
                log.write("up", size)
                log._went(meter, size)

            def came(meter: Meter, size: int) -> None:
                log.write("down", size)
                log._came(meter, size)

            Meter.went, Meter.came = went, came  # type: ignore[method-assign]

    def write(self, way: str, size: int) -> None:
        """Write down one."""
        self._file.write(f"{way} {monotonic()} {size}\n")


def read(path: Path) -> dict[str, Went]:
    """Return what went up and came down, in order."""
    found: dict[str, Went] = {"up": [], "down": []}
    for line in path.read_text().splitlines():
        way, at, size = line.split()
        found[way].append((float(at), float(size)))
    return {way: sorted(went) for way, went in found.items()}
