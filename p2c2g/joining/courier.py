"""Brings what a session can show of peers to the pool's coordinator, as it is found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, Self

from pydantic import BaseModel

from p2c2g.errors import PoolRefusesError, PoolUnavailableError
from p2c2g.joining import messages
from p2c2g.joining.address import PoolAddress
from p2c2g.joining.client import PoolClient
from p2c2g.joining.lease import Pause
from p2c2g.settings.membership import Membership
from p2c2g.system.threads import ThreadInBlock

logger = logging.getLogger(__name__)

#: Seconds between two looks at what was found.
EVERY: Final = 5.0
#: Pieces of one session at most, and of one look: as many as a coordinator takes a minute.
MOST: Final = 64
_AT_ONCE: Final = 6
#: Seconds that the coordinator is waited for, and the end of a session for this.
_PATIENCE: Final = 3.0

#: Sends one piece, or raises PoolUnavailableError; PoolRefusesError where it never will be taken.
Send = Callable[[BaseModel], object]


class Courier(ThreadInBlock):
    """Takes evidence to the coordinator inside a ``with`` block.

    The session does not notice: what cannot be brought now is tried again, and what is refused is
    not.

    Args:
        found: returns what there is so far; what is there already is not brought again.
        send: sends one piece.
        pause: waits between two looks; where None, until the block ends.
    """

    def __init__(
        self, found: Callable[[], Sequence[BaseModel]], send: Send, pause: Pause | None = None
    ) -> None:
        self._found = found
        self._send = send
        super().__init__("p2c2g-courier", 2 * _PATIENCE)
        self._pause = pause or self.ending.wait
        self._brought: set[str] = set()

    @classmethod
    def of(cls, membership: Membership, found: Callable[[], Sequence[BaseModel]]) -> Self:
        """Return the courier of a gamer's session."""
        address, token = PoolAddress.parse(membership.pool), membership.token.get_secret_value()

        def send(piece: BaseModel) -> None:
            with PoolClient(address, membership.ca, _PATIENCE) as client:
                client.post(messages.EVIDENCE, token, piece, messages.Taken)

        return cls(found, send)

    def run(self) -> None:
        """Look until the block ends, and once more then."""
        is_over = False
        while not is_over:
            is_over = self._pause(EVERY)
            self.look()

    def look(self) -> None:
        """Bring what is new."""
        sent = 0
        for piece in self._found():
            name = sha256(piece.model_dump_json().encode()).hexdigest()
            if name in self._brought:
                continue
            if sent == _AT_ONCE or len(self._brought) == MOST:
                return
            sent += 1
            try:
                self._send(piece)
            except PoolRefusesError as error:
                logger.info("Evidence is not taken: %s", error)
            except PoolUnavailableError as error:
                logger.debug("Evidence is brought later: %s", error)
                return
            else:
                logger.info("The pool's operator was shown how a peer was caught.")
            self._brought.add(name)
