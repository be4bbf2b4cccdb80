"""The one table of what is in flight, and the one count of each chunk's runs.

Pure: it reads no clock and sends nothing.  Whatever ended a run - an exception, a peer that
died, a result that was no picture - the next one is granted here or nowhere, and never a
fourth (:data:`MAX_ATTEMPTS`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

#: Runs of one chunk at most.  Celery's ``max_retries=3`` would mean four.
MAX_ATTEMPTS = 3


class Verdict(Enum):
    """What a result is worth."""

    ACCEPTED = "accepted"  # the first good one: show it
    DUPLICATE = "duplicate"  # its chunk has one already
    LATE = "late"  # its frame has been shown


class Decision(Enum):
    """What follows a failed run."""

    RETRY = "retry"  # run it again, now
    GIVE_UP = "give up"  # it has had its runs: the base layer stands in
    IGNORE = "ignore"  # nobody waits for it, or it was told before


@dataclass(slots=True)
class _Flight:
    attempts: int = 1  # runs granted so far; the newest has this number
    failed: bool = False  # the newest run's failure has been told
    done: bool = False  # a good result has come


ChunkKey = tuple[int, int]


class Attempts:
    """The table.  A key is ``(frame number, chunk index)``.

    Every result and every failure that it is told of adds one to exactly one of
    ``accepted``, ``duplicate``, ``late`` and ``failed``.  It is as long as the chunks that
    are open: whoever opens one closes it.

    Args:
        max_attempts: runs of one chunk at most, 1 or more.

    Raises:
        ValueError: fewer than one run.
    """

    def __init__(self, max_attempts: int = MAX_ATTEMPTS) -> None:
        if max_attempts < 1:
            raise ValueError(f"max_attempts={max_attempts} cannot be: give 1 or more")
        self._max = max_attempts
        self._flights: dict[ChunkKey, _Flight] = {}
        #: Accepted chunks by the number of the run that brought them.
        self.accepted: Counter[int] = Counter()
        #: Told after the chunk was closed.
        self.late = 0
        #: Results of a chunk that has one, and failures told twice.
        self.duplicate = 0
        #: Runs that failed.
        self.failed = 0
        #: Chunks all of whose runs failed.
        self.exhausted = 0

    def __len__(self) -> int:
        return len(self._flights)

    def open(self, key: ChunkKey) -> int:
        """Note a chunk's first run; return its number, 1.

        Raises:
            KeyError: the chunk is in flight already.
        """
        if key in self._flights:
            raise KeyError(f"chunk {key} is in flight already")
        self._flights[key] = _Flight()
        return 1

    def succeed(self, key: ChunkKey, attempt: int) -> Verdict:
        """Judge a good result; the first one of any run of a chunk is accepted.

        A stranger told us the number of the run: one that was never granted counts as the
        newest.
        """
        flight = self._flights.get(key)
        if flight is None:
            self.late += 1
            return Verdict.LATE
        if flight.done:
            self.duplicate += 1
            return Verdict.DUPLICATE
        flight.done = True
        self.accepted[min(attempt, flight.attempts)] += 1
        return Verdict.ACCEPTED

    def fail(self, key: ChunkKey, attempt: int) -> Decision:
        """Judge a failed run; RETRY has counted the run that it grants."""
        flight = self._flights.get(key)
        if flight is None:
            self.late += 1
            return Decision.IGNORE
        # A run is replaced only once its failure was told, so an older one is told twice.
        if attempt < flight.attempts or (attempt == flight.attempts and flight.failed):
            self.duplicate += 1
            return Decision.IGNORE
        self.failed += 1
        if attempt > flight.attempts:
            return Decision.IGNORE  # A run that was never granted grants none.
        flight.failed = True
        if flight.done:
            return Decision.IGNORE
        if flight.attempts >= self._max:
            self.exhausted += 1
            return Decision.GIVE_UP
        flight.attempts += 1
        flight.failed = False
        return Decision.RETRY

    def attempt_of(self, key: ChunkKey) -> int | None:
        """Return the number of a chunk's newest run, or None where it is not in flight."""
        flight = self._flights.get(key)
        return None if flight is None else flight.attempts

    def is_done(self, key: ChunkKey) -> bool:
        """Tell whether nobody waits for a chunk: it has a result, or is not in flight."""
        flight = self._flights.get(key)
        return flight is None or flight.done

    def close(self, key: ChunkKey) -> None:
        """Forget a chunk: its frame has been shown or dropped."""
        self._flights.pop(key, None)
