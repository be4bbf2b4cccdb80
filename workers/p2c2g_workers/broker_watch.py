"""What whoever runs a worker should be told of its broker, and of the sessions there."""

from __future__ import annotations

import logging

from p2c2g.messaging.client import Client
from p2c2g.messaging.inspection import inspect
from p2c2g.peers.versions import Versions, spoken

logger = logging.getLogger(__name__)

#: Beats between two looks.
EVERY = 10


class BrokerWatch:
    """Looks on the heart's thread, and warns of each thing once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._versions = Versions(client)
        self._turn = 0
        self._said = {""}

    def look(self) -> None:
        """Look, where it is time to.

        Raises:
            BrokerRefusesError: the broker cannot be used at all.
            BrokerUnavailableError: it does not answer.
        """
        turn, self._turn = self._turn, self._turn + 1
        if turn % EVERY:
            return
        self._warn(inspect(self._client))
        told = self._versions.of_a_session()
        if told not in ("", spoken()):
            self._warn(
                f"A session here is of another version and gives this peer no work: it speaks "
                f"{told}, this peer {spoken()}. Update the older of the two."
            )

    def _warn(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            logger.warning("%s", sentence)
