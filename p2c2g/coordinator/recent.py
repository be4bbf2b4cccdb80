"""The warnings and errors of this process, the last of them, for an operator's page."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from p2c2g.logs import without_secrets

#: Lines that are kept, and letters of each.
_LINES, _LETTERS = 100, 500


@dataclass(frozen=True, slots=True)
class Line:
    """What was logged, and when."""

    at: float
    text: str


class Recent(logging.Handler):
    """Keeps the last lines of a level or above it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[Line] = deque(maxlen=_LINES)

    @property
    def lines(self) -> Sequence[Line]:
        """Return them, the newest first."""
        return tuple(self._lines)[::-1]

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        text = without_secrets(record.getMessage())[:_LETTERS]
        self._lines.append(Line(record.created, text))


@contextmanager
def kept() -> Iterator[Recent]:
    """Keep the lines of all of ours, inside a ``with`` block."""
    handler, logger = Recent(), logging.getLogger("p2c2g")
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
