"""The janitor at work: looks at the broker's keys, shuts out who floods, and clears up after it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection
from time import monotonic
from typing import Final, Protocol

from p2c2g.coordinator.janitor import Crowd, Flood, Janitor, Limits
from p2c2g.errors import P2C2GError
from p2c2g.messaging.rights import Rights
from p2c2g.settings.principal import Role
from p2c2g.system.threads import ThreadInBlock

logger = logging.getLogger(__name__)

#: Seconds between two rounds.
EVERY: Final = 0.25
#: Keys of one look, and seconds of looks in one round: by and by, or where the broker fills up.
PART: Final = 500
CALM: Final = 0.02
HURRIED: Final = 0.2
#: Seconds between two looks at who is connected, and that a connection has to log in.
LISTED: Final = 1.0
LOGIN: Final = 10.0


class Registrar(Protocol):
    """Who is here (:class:`~p2c2g.coordinator.broker_rights.BrokerRights`)."""

    @property
    def is_ready(self) -> bool:
        """Tell whether that is known yet."""

    def here(self, role: Role) -> Collection[str]:
        """Return the ids of all who should have a login now."""


class JanitorThread(ThreadInBlock):
    """Sweeps over the broker inside a ``with`` block.

    Args:
        rights: at the broker.
        registrar: knows who is here.
        ban: shuts a principal out, by its id, a reason and evidence as JSON; raises errors of ours.
        limits: what one principal may have.
    """

    def __init__(
        self,
        rights: Rights,
        registrar: Registrar,
        ban: Callable[[str, str, str], None],
        limits: Limits | None = None,
    ) -> None:
        self._rights = rights
        self._registrar = registrar
        self._ban = ban
        self._janitor = Janitor(limits)
        self._cursor = 0
        self._is_clearing = False
        self._listed_at = float("-inf")
        super().__init__("p2c2g-janitor", 5.0)

    def round(self) -> None:
        """Look at some keys, at least once and until the sweep or the round's time is over.

        Raises:
            BrokerUnavailableError: the broker is away.
        """
        if not self._registrar.is_ready:
            return  # Everybody would seem gone, and what they have be removed.
        self._list()
        try:
            self._look()
        except P2C2GError:
            # Keys may be others by then, and who was named is to be named again.
            self._cursor = 0
            self._janitor.swept()
            raise

    def _look(self) -> None:
        hurries = self._janitor.hurries(self._rights.fill())
        until = monotonic() + (HURRIED if hurries or self._is_clearing else CALM)
        while True:
            look = self._rights.look(self._cursor, PART)
            self._cursor = look.cursor
            peers, gamers = self._registrar.here(Role.PEER), self._registrar.here(Role.GAMER)
            seen = self._janitor.saw(look.held, peers, gamers, monotonic())
            for flood in seen.floods:
                self._shut_out(flood)
            self._rights.remove(seen.left)
            self._is_clearing = bool(seen.left)
            if not self._cursor:
                self._janitor.swept()
                return
            if monotonic() >= until or self.ending.is_set():
                return

    def _list(self) -> None:
        """Look at who is connected, now and then: a broker has so many places and no more."""
        if monotonic() - self._listed_at < LISTED:
            return
        self._listed_at = monotonic()
        connections = self._rights.connections(LOGIN)
        self._rights.hang_up(connections.strangers)
        for crowd in self._janitor.crowds(connections.count):
            self._shut_out(crowd)

    def run(self) -> None:
        """Go round until the block ends, whatever the broker does."""
        failed = False
        while not self.ending.wait(EVERY):
            try:
                self.round()
            except P2C2GError as error:
                if not failed:
                    logger.warning("Nobody watches how full the broker is for now: %s", error)
                failed = True
            else:
                failed = False

    def _shut_out(self, flood: Flood | Crowd) -> None:
        principal = flood.principal
        if principal.id not in self._registrar.here(principal.role):
            return  # It is out; what it left is cleared.
        logger.warning("Shutting out %s: %s", principal.user, flood.reason)
        # It floods while this is written down.
        self._rights.revoke([principal])
        self._ban(principal.id, flood.reason, json.dumps(flood.evidence()))
        self._rights.remove(held.key for held in flood.largest)
