"""What those who run a worker should be told of its broker, and of the sessions there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from p2c2g.messaging import names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.messaging.inspection import inspect
from p2c2g.messaging.scripts import script
from p2c2g.peers.versions import Versions, spoken

logger = logging.getLogger(__name__)

#: Beats between two looks.
EVERY = 10
#: Urgent messages of one key that a look takes at most.
URGENT = 64


class BrokerWatch:
    """Looks on the heart's thread, and warns of each thing once.

    Args:
        client: of the broker.
        queues: returns the names of those that the worker reads.
    """

    def __init__(self, client: Client, queues: Callable[[], Iterable[str]]) -> None:
        self._client = client
        self._queues = queues
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
        self._fetch_urgent()
        told = self._versions.of_a_session()
        if told not in ("", spoken()):
            self._warn(
                f"A session here is of another version and gives this peer no work: it speaks "
                f"{told}, this peer {spoken()}. Update the older of the two."
            )

    def _fetch_urgent(self) -> None:
        """Move what another application sent with a priority to where reads find it next.

        Reads name each queue once, and a task of those keys would lie there for ever.  The broker
        does it: moved from here, each message would come here as well.
        """
        keys = [(key, queue) for queue in self._queues() for key in names.priority_keys(queue)]
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for key, _ in keys:
                pipe.llen(key)
            # An error where a stranger has made it something else.
            waiting = pipe.execute(raise_on_error=False)
            for (key, queue), length in zip(keys, waiting, strict=True):
                if isinstance(length, int) and length:
                    pipe.eval(script("urgent"), 2, key, names.queue_key(queue), URGENT)
            pipe.execute()

    def _warn(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            logger.warning("%s", sentence)
