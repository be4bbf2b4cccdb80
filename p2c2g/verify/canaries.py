"""Chunks whose answers are known, to be sent again to a peer that must not know it."""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Canary:
    """A chunk whose answer is known: its index, as it was sent, and as peers agreed on it.

    ``ran`` is the pipeline that both of them ran.
    """

    chunk: int
    payload: bytes
    answer: bytes
    ran: str = ""


class Canaries:
    """Chunks with known answers, of one session's present settings.  Not thread-safe.

    They are sent again under another frame's name.  The oldest is dropped for a new one, so that
    nobody learns them by heart: they are as young as the latest agreements.

    Args:
        capacity: canaries kept.
        most_bytes: of all payloads and answers together.
    """

    def __init__(self, capacity: int = 16, most_bytes: int = 4 << 20) -> None:
        self._capacity = capacity
        self._most_bytes = most_bytes
        self._settings = ""
        self._held: OrderedDict[tuple[int, bytes], Canary] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def learn(
        self, settings: str, chunk: int, payload: bytes, answer: bytes, ran: str = ""
    ) -> None:
        """Keep a chunk on whose result two peers have agreed.

        Args:
            settings: whatever an answer depends on beside the payload, such as codec, quality,
                size, operations and grid.  Others than before: what was kept is dropped.
            chunk: its index.
            payload: the chunk as it was sent.
            answer: the result.  One for a payload that is known takes the place of the other.
            ran: the pipeline by which it was made, where the choice was the peers'.
        """
        if settings != self._settings:
            self.clear()
            self._settings = settings
        size = len(payload) + len(answer)
        if size > self._most_bytes:
            return
        self._drop(self._held.pop((chunk, payload), None))
        while self._held and (
            len(self._held) >= self._capacity or self._bytes + size > self._most_bytes
        ):
            self._drop(self._held.popitem(last=False)[1])
        self._held[chunk, payload] = Canary(chunk, payload, answer, ran)
        self._bytes += size

    def pick(self, settings: str, rng: random.Random, chunk: int | None = None) -> Canary | None:
        """Return one at random, or None where there is none of these settings.

        Args:
            settings: as for :meth:`learn`.
            rng: draws.
            chunk: where given, only those of this index are drawn from.
        """
        if settings != self._settings:
            return None
        fit = [each for each in self._held.values() if chunk is None or each.chunk == chunk]
        return rng.choice(fit) if fit else None

    def clear(self) -> None:
        """Drop all of them."""
        self._held.clear()
        self._bytes = 0

    def _drop(self, canary: Canary | None) -> None:
        if canary is not None:
            self._bytes -= len(canary.payload) + len(canary.answer)
