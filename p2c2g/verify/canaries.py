"""Chunks whose answers are known, to be sent again to a peer that must not know it."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from p2c2g.media.recipe import Recipe


@dataclass(frozen=True, slots=True, repr=False)
class Canary:
    """A chunk whose answer is known: its index, as it was sent, and as peers agreed on it.

    ``recipe`` is that by which it was sent.  ``ran`` is the pipeline that both of them ran, and
    ``authors`` are they.
    """

    chunk: int
    payload: bytes
    answer: bytes
    recipe: Recipe
    ran: str = ""
    authors: tuple[str, ...] = ()


class Canaries:
    """Chunks with known answers, of one session.  Not thread-safe.

    They are sent again under another frame's name, by the recipe by which they were made.  The
    oldest is dropped for a new one, so that
    nobody learns them by heart: they are as young as the latest agreements.

    Args:
        capacity: canaries kept.
        most_bytes: of all payloads and answers together.
    """

    def __init__(self, capacity: int = 16, most_bytes: int = 4 << 20) -> None:
        self._capacity = capacity
        self._most_bytes = most_bytes
        self._held: OrderedDict[tuple[int, bytes, Recipe], Canary] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def learn(
        self, recipe: Recipe, chunk: int, payload: bytes, answer: bytes, ran: str = "",
        authors: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """Keep a chunk on whose result two peers have agreed.

        Args:
            recipe: by which both were made.
            chunk: its index.
            payload: the chunk as it was sent.
            answer: the result.  One for a payload that is known takes the place of the other.
            ran: the pipeline by which it was made, where the choice was the peers'.
            authors: the peers.
        """
        size = len(payload) + len(answer)
        if size > self._most_bytes:
            return
        self._drop(self._held.pop((chunk, payload, recipe), None))
        while self._held and (
            len(self._held) >= self._capacity or self._bytes + size > self._most_bytes
        ):
            self._drop(self._held.popitem(last=False)[1])
        self._held[chunk, payload, recipe] = Canary(chunk, payload, answer, recipe, ran, authors)
        self._bytes += size

    def pick(
        self, recipe: Recipe, rng: random.Random, chunk: int | None = None,
        may: Callable[[Canary], bool] = lambda _: True,
    ) -> Canary | None:  # fmt: skip
        """Return one at random, or None where there is none of this recipe.

        Args:
            recipe: of the frame with whose chunks it goes: another would tell it from work.
            rng: draws.
            chunk: where given, only those of this index are drawn from.
            may: tells which of them are drawn from.
        """
        fit = [
            each
            for each in self._held.values()
            if each.recipe == recipe and (chunk is None or each.chunk == chunk) and may(each)
        ]
        return rng.choice(fit) if fit else None

    def _drop(self, canary: Canary | None) -> None:
        if canary is not None:
            self._bytes -= len(canary.payload) + len(canary.answer)
