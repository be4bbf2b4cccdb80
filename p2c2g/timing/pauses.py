"""Pauses between tries, which grow while the tries fail (exponential back-off)."""

from __future__ import annotations

from collections import OrderedDict


class Pauses:
    """How long something that fails is left alone.

    Args:
        first: seconds of the first pause.
        longest: seconds that pauses grow to at most.
        growth: each is so many times as long as the one before.
        held: what works again has its failures forgotten once it did so for so many times the
            last pause; at once where 0.
    """

    def __init__(
        self, first: float, longest: float, *, growth: float = 2.0, held: float = 0.0
    ) -> None:
        if not (0 < first <= longest and growth >= 1 and held >= 0):
            raise ValueError(
                f"first={first}, longest={longest}, growth={growth}, held={held} cannot be: pauses "
                "begin above 0 and do not shrink"
            )
        self._first = first
        self._longest = longest
        self._growth = growth
        self._held = held
        self._last = 0.0
        self._until = float("-inf")
        self._well_since: float | None = None

    def failed(self, now: float) -> float:
        """Note a failure; return the seconds to wait until the next try."""
        since, self._well_since = self._well_since, None
        if since is not None and now - since >= self._held * self._last:
            self._last = 0.0
        self._last = min(self._last * self._growth, self._longest) if self._last else self._first
        self._until = now + self._last
        return self._last

    def well(self, now: float) -> None:
        """Note that it works."""
        self._well_since = now
        self._until = float("-inf")

    def over(self, now: float) -> bool:
        """Tell whether it may be tried now."""
        return now >= self._until


class NamedPauses:
    """The pauses of many things by their names; what works, or is too much, is forgotten.

    Args:
        first: seconds of each one's first pause.
        longest: seconds that pauses grow to at most.
        most: names that are remembered; the one that failed longest ago goes.
    """

    def __init__(self, first: float, longest: float, most: int) -> None:
        self._first = first
        self._longest = longest
        self._most = most
        self._pauses: OrderedDict[str, Pauses] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pauses)

    def failed(self, name: str, now: float) -> float:
        """Note that one failed; return for how many seconds it is left alone."""
        pauses = self._pauses.pop(name, None) or Pauses(self._first, self._longest)
        self._pauses[name] = pauses  # the latest last
        while len(self._pauses) > self._most:
            self._pauses.popitem(last=False)
        return pauses.failed(now)

    def well(self, name: str) -> None:
        """Note that one works."""
        self._pauses.pop(name, None)

    def over(self, name: str, now: float) -> bool:
        """Tell whether one may be tried now."""
        pauses = self._pauses.get(name)
        return pauses is None or pauses.over(now)
