"""What a worker says while no broker answers: one sentence at once, and then ever more rarely."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from p2c2g.messaging.errors import advice
from p2c2g.timing.pauses import Pauses

#: Seconds from the first sentence to the second, and between two at most.
AGAIN, RARELY = 60.0, 600.0


class Absence:
    """One time without a broker, from the first try that failed.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._pauses = Pauses(AGAIN, RARELY)
        self._began: float | None = None

    def __bool__(self) -> bool:
        return self._began is not None

    def missed(self, where: str, error: BaseException) -> str:
        """Note a try that failed; return what is to be said of it, nothing most times.

        Args:
            where: the broker's URL, without its password.
            error: as a library raised it.
        """
        now = self._clock()
        if self._began is None:
            self._began = now
        if not self._pauses.over(now):
            return ""
        self._pauses.failed(now)
        minutes = round((now - self._began) / 60)
        waits = f"has waited {minutes} min for it" if minutes else "waits for it"
        return (
            f"No broker answers at {where} ({str(error).rstrip('.')}). This peer {waits}; another "
            f"is named by P2C2G_BROKER_URL.{advice(error)}"
        )
