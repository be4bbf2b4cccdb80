"""Whose chunks a worker takes in an open pool: a queue for each gamer that its operator names.

They come and go while it works.  The registry's answer to a beat says who they are, on the heart's
thread; the queues change on the loop's.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any, Final

from p2c2g import __version__
from p2c2g.errors import P2C2GError
from p2c2g.messaging import open_names
from p2c2g.messaging.publishing import anonymous_queue
from p2c2g.peers.noise import Noise
from p2c2g.peers.registry import BeatReply
from p2c2g.settings.principal import Principal

logger = logging.getLogger(__name__)

#: Which gamers send what is no chunk for this peer; one a process, as tasks are.
noise: Final = Noise(monotonic)


def node_name(principal: Principal) -> str:
    """Return the name of a peer's worker, which Celery wants to have an ``@``."""
    return f"{principal.id}@open"


def ended(principal: Principal, error: P2C2GError, why: str) -> str:
    """Return the sentence for a worker whose login the broker has refused.

    Args:
        principal: the peer.
        error: what the broker says.
        why: what the pool's coordinator says; "" where it was not to be asked.
    """
    return why or (
        f"The membership of {principal.id} is at its end: its pool's operator has banned or "
        "removed it, or it was not renewed. p2c2g peer run --join says which, and joins again with "
        f"a new token. The broker says: {str(error.__cause__ or error).rstrip('.')}."
    )


class Gamers:
    """The queues of one worker.

    Args:
        consumer: Celery's.
        principal: the peer.
    """

    def __init__(self, consumer: Any, principal: Principal) -> None:
        self._consumer = consumer
        self._queues = consumer.app.amqp.queues
        self._peer = principal.id
        self._wanted: frozenset[str] = frozenset()
        self._said = ""
        self._loud: frozenset[str] = frozenset()
        # A queue of all could be read by nobody here.
        self._queues.deselect(list(self._queues.consume_from))

    def hear(self, standing: BeatReply) -> None:
        """Take over what the operator says; from any thread."""
        if standing.gamers is None:
            return
        loud = noise.loud()
        for gamer in sorted(loud - self._loud):
            logger.warning("Gamer %s sends what is no chunk: not listened to for a while.", gamer)
        self._loud = loud
        wanted = frozenset(
            open_names.chunks_queue(self._peer, gamer)
            for gamer in standing.gamers
            if gamer not in loud
        )
        if wanted != self._wanted:
            self._wanted = wanted
            if self._consumer.hub is not None:
                self._consumer.hub.call_soon(self.follow)
        if standing.wanted not in ("", __version__, self._said):
            self._said = standing.wanted
            logger.warning(
                "This pool wants version %s of p2c2g, and this is %s: update it.",
                standing.wanted, __version__,
            )  # fmt: skip

    def follow(self) -> None:
        """Read the queues of the gamers of now, and no others'; on the loop's thread."""
        consumer = self._consumer
        if consumer.task_consumer is None:
            return  # While the broker is away: it is done after the reconnect.
        consumer.task_consumer.channel.on_refused = _refused
        wanted, served = self._wanted, set(self._queues.consume_from)
        for queue in sorted(served - wanted):
            consumer.cancel_task_queue(queue)
        for queue in sorted(wanted - served):
            # By the anonymous exchange, with nothing to declare or to bind.
            self._queues.add(anonymous_queue(queue))
            consumer.add_task_queue(queue)


def _refused(queue: str, size: int) -> None:
    gamer = open_names.sender_of(queue)
    if gamer:
        noise.heard(gamer, size)
