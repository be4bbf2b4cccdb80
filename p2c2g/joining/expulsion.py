"""Why an open pool's broker refuses a login: the pool's coordinator says so, where it is asked.

A login that is refused may be of one who is banned, or whose broker was started again and knows
nobody yet.  The first is to end at once and to be told the reason; the second is to wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from p2c2g.errors import P2C2GError, PoolRefusesError
from p2c2g.settings.membership import Membership
from p2c2g.timing.pauses import Pauses

#: Seconds that the coordinator is waited for.
PATIENCE: Final = 3.0
#: Seconds before it is asked again whose answer ended nothing: the first, and the most.
_FIRST, _MOST = 1.0, 30.0


class Expulsion:
    """What the coordinator says of one peer or gamer.  Thread-safe: who asks meanwhile waits.

    Args:
        membership: its.
        ask: has the membership go on; raises
            :class:`~p2c2g.errors.PoolRefusesError` where it is one no more.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        membership: Membership,
        ask: Callable[[Membership], object] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._membership = membership
        self._ask = ask or _ask
        self._clock = clock
        self._lock = threading.Lock()
        self._pauses = Pauses(_FIRST, _MOST)
        self._sentence = ""

    def sentence(self) -> str:
        """Ask, and return why it is out; "" where it is not, or nobody answers."""
        with self._lock:
            if not self._sentence and self._pauses.over(self._clock()):
                try:
                    self._ask(self._membership)
                except PoolRefusesError as error:
                    self._sentence = str(error)
                except P2C2GError:
                    self._pauses.failed(self._clock())
                else:  # It is a member, and the broker is told so again.
                    self._pauses.failed(self._clock())
            return self._sentence


def _ask(membership: Membership) -> None:
    from p2c2g.joining.peer import renewed  # It takes a while, and is hardly ever needed.

    renewed(membership, lambda _: None, PATIENCE)
