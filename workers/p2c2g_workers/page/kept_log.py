"""The last lines of this process's log, for its owner's page."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import Final

from p2c2g.text import plain

#: Lines that are kept; the oldest are dropped.
KEPT: Final = 100
#: Letters of one at most.
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One line: when (seconds since 1970), how grave, and what it says."""

    at: float
    level: str
    text: str


class KeptLog(logging.Handler):
    """Keeps the last lines; one of the outputs of :mod:`p2c2g.logs`, which hides secrets."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[Line] = deque(maxlen=KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        try:
            text = self.format(record).split("\n", 1)[0]
        except Exception:  # noqa: BLE001 - a record with wrong arguments must not end its thread
            text = str(record.msg)
        self._lines.append(Line(record.created, record.levelname, plain(text, _MOST)))

    def lines(self) -> list[Line]:
        """Return them, the newest first."""
        self.acquire()
        try:
            return list(self._lines)[::-1]
        finally:
            self.release()


#: This process's.
kept_log: Final = KeptLog()
