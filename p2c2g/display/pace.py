"""How many pictures may be on their way to somebody who answers for each; pure.

Two, so that one can be shown while the next one travels, and as many more as fit on the way: the
shortest time that an answer took, times the answers a second.  A long way is kept full so; a
narrow one, whose answers are few, gets no queue, and who does not answer is owed two.
"""

from __future__ import annotations

import math
from collections import deque

#: Pictures without an answer: those that anybody may be owed, and the most.
LEAST, MOST = 2, 16


class Pace:
    """One way, and what is on it."""

    def __init__(self) -> None:
        self._sent: deque[tuple[int, float]] = deque()
        self._answers: deque[float] = deque(maxlen=MOST)
        self._shortest = math.inf

    @property
    def window(self) -> int:
        """Return how many may be on their way."""
        answers = self._answers
        took = answers[-1] - answers[0] if answers else 0.0
        # Answers to what was never sent say nothing of the way.
        if took <= 0.0 or self._shortest == math.inf:
            return LEAST
        return min(MOST, LEAST + math.ceil(self._shortest * (len(answers) - 1) / took))

    @property
    def is_free(self) -> bool:
        """Tell whether another one may be sent."""
        return len(self._sent) < self.window

    @property
    def shortest(self) -> float | None:
        """Return the shortest time that an answer took, in seconds."""
        return None if self._shortest == math.inf else self._shortest

    def sent(self, number: int, now: float) -> None:
        """Note that one was sent; numbers do not fall."""
        self._sent.append((number, now))

    def answered(self, number: int, now: float) -> float | None:
        """Note an answer, which counts for all before it too.

        Returns:
            How long it took, in seconds; None where it answers nothing.
        """
        took = None
        while self._sent and self._sent[0][0] <= number:
            at, sent = self._sent.popleft()
            self._answers.append(now)
            if at == number:
                took = now - sent
                self._shortest = min(self._shortest, took)
        return took
