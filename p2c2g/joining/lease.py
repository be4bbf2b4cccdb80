"""A gamer's login for one session: short-lived, and renewed while the session lasts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from p2c2g.errors import PoolRefusesError, PoolUnavailableError
from p2c2g.joining import messages
from p2c2g.joining.address import PoolAddress
from p2c2g.joining.client import PoolClient
from p2c2g.joining.peer import label_of, leave, renewed, taken
from p2c2g.settings.membership import Membership
from p2c2g.system.threads import ThreadInBlock
from p2c2g.timing.pauses import Pauses

logger = logging.getLogger(__name__)

#: Seconds of the first pause after a renewal that failed, and of the longest.
_FIRST, _LONGEST = 1.0, 30.0
#: Seconds that the end of a session waits: for a renewal that runs, and to give the login back.
_PATIENCE = 3.0


def play(address: PoolAddress, label: str, key: str) -> Membership:
    """Return a login for one session.

    Args:
        address: the pool's.
        label: what people call this machine.
        key: of an account.

    Raises:
        PoolRefusesError: the key counts no more, or is not for playing.
        PoolUnavailableError: the coordinator does not answer, or the pool is full.
    """
    said = messages.Play(label=label_of(label))
    with PoolClient(address) as client:
        return taken(address, client.post(messages.GAMERS, key, said, messages.Given))


class Pause(Protocol):
    """Waits so many seconds; returns True where it was ended before."""

    def __call__(self, seconds: float) -> bool:
        """Wait."""


class Lease(ThreadInBlock):
    """Keeps a login alive from a thread of its own, and gives it back where its block ends.

    The session does not notice: while the coordinator is away, its login stays as it is.

    Args:
        membership: with a lease.
        say: is told in a sentence where the login cannot be renewed, and where it can be again.
        renew: asks the coordinator.
        pause: waits between two renewals; where None, until the block ends.
    """

    def __init__(
        self,
        membership: Membership,
        say: Callable[[str], None],
        renew: Callable[[Membership, Callable[[str], None]], Membership] = renewed,
        pause: Pause | None = None,
    ) -> None:
        self.membership = membership
        self._say = say
        self._renew = renew
        super().__init__("p2c2g-lease", _PATIENCE)
        self._pause = pause or self.ending.wait

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        try:
            leave(self.membership, _PATIENCE)
        except PoolUnavailableError as reason:
            # It ends by itself.
            logger.debug("%s", reason)

    def run(self) -> None:
        """Renew at half time until the block ends, or the pool will have this gamer no more."""
        pauses = Pauses(_FIRST, _LONGEST)
        wait = self.membership.lease / 2
        told = False
        while not self._pause(wait):
            try:
                self.membership = self._renew(self.membership, self._say)
            except PoolRefusesError as error:
                self._say(f"{error} The session goes on without the pool.")
                return
            except PoolUnavailableError as error:
                if not told:
                    self._say(f"{error} The session goes on; renewing its login is tried again.")
                told, wait = True, pauses.failed(0.0)
            else:
                if told:
                    self._say("The pool's coordinator answers again.")
                    pauses = Pauses(_FIRST, _LONGEST)
                told, wait = False, self.membership.lease / 2
