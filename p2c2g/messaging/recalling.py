"""Calling back what was read ahead: the half of the channel that gives messages up again.

A message that the broker has popped for a closed socket is lost.  So every read names, before
the queues, a *recall list* that only this channel knows; as many tokens pushed there as reads
are outstanding answer each of them, in one round trip and with no administrator's right.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from time import monotonic
from typing import Any
from uuid import uuid4

from kombu.transport import redis as stock
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps

from p2c2g.messaging import envelope, names, pools
from p2c2g.messaging.client import command_options
from p2c2g.messaging.errors import BROKER_ERRORS

logger = logging.getLogger(__name__)

#: Seconds that the broker is given to answer a recall.
RECALL_TIMEOUT = 2.0
#: Seconds after which an abandoned recall list disappears.
RECALL_EXPIRY = 60
#: Where a received message remembers the queue that it came from.
SOURCE = "p2c2g.queue"
#: Where it is noted that a worker understood it: what fails then is the worker's own fault.
SOUND = "p2c2g.sound"


class RecallingChannel(stock.Channel):
    """A channel with reads outstanding, each of which it can call back.

    ``reads`` counts them; ``traffic`` counts the bytes of the messages that they brought and
    of those that went back.  Once ``allowance``, in bytes, is used up, no more is asked for.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.reads = 0
        self.traffic = 0
        self.allowance = math.inf
        # A signal handler may cancel a consumer while a reply is half read.
        self._busy = False
        self.recall_key = names.recall(uuid4().hex)
        # kombu tries the broker on the connection for reads, of which many channels have none.
        self.__dict__["client"] = _Trial(self)
        try:
            super().__init__(*args, **kwargs)
        finally:
            del self.__dict__["client"]

    def _get_pool(self, asynchronous: bool = False) -> Any:
        """Return the pool for reads and subscriptions, or the process's for all else."""
        if asynchronous:
            return super()._get_pool(asynchronous=True)
        parameters = self._connparams()
        self.keyprefix_fanout = self.keyprefix_fanout.format(db=parameters["db"])
        return pools.take(parameters | command_options())

    def _disconnect_pools(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pools.give(pool)
        super()._disconnect_pools()

    def prefixed(self, commands: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return commands with kombu's global prefix on their keys, where one is set."""
        if not self.global_keyprefix:
            return commands
        return [tuple(self.client._prefix_args(command)) for command in commands]

    def recall_reads(self) -> list[tuple[str, bytes]]:
        """End every outstanding read; return the messages that came instead of a token."""
        items: list[tuple[str, bytes]] = []
        if not self.reads:
            return items
        connection = self.client.connection
        deadline = monotonic() + RECALL_TIMEOUT
        self._busy = True
        try:
            with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
                pipe.rpush(self.recall_key, *([b""] * self.reads))
                # kombu puts its prefix before the keys of this one, and not of EXPIRE.
                pipe.pexpire(self.recall_key, RECALL_EXPIRY * 1000)
                pipe.execute()
                while self.reads:
                    if not connection.can_read(timeout=max(0.0, deadline - monotonic())):
                        raise TimeoutError("the broker did not answer the recall of reads")
                    reply = self._read_reply()
                    if reply is not None:
                        items.append(reply)
                client.delete(self.recall_key)
        except BROKER_ERRORS as error:
            logger.warning("Lost %d reads sent ahead: %s", self.reads, error)
            self._lose_reads()
        finally:
            self._busy = False
        self._in_poll = None
        return items

    def hand_back(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Return messages, oldest first, to where they are read next.  Logs what cannot be."""
        returned = list(items)
        if not returned:
            return
        try:
            with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
                for queue, item in reversed(returned):
                    pipe.rpush(queue, item)
                    self.traffic += len(item)
                pipe.execute()
        except BROKER_ERRORS as error:
            logger.warning("Could not hand %d messages back: %s", len(returned), error)

    def _restore(self, message: Any, leftmost: bool = False) -> None:
        """Return a message that was received but never started to its queue."""
        self.hand_back([source_of(message)])

    def _read_reply(self, **options: Any) -> tuple[str, bytes] | None:
        reply = self.client.parse_response(self.client.connection, "BRPOP", **options)
        self.reads -= 1
        self._brpop_sent_at = monotonic()
        if not reply:
            return None
        queue = bytes_to_str(reply[0])
        if queue == self.recall_key:
            return None
        self.traffic += len(reply[1])
        self.allowance -= len(reply[1])
        return queue, reply[1]

    def _lose_reads(self) -> None:
        self.reads = 0
        self._in_poll = None
        connection = getattr(self.__dict__.get("client"), "connection", None)
        if connection is not None:
            connection.disconnect()

    def _on_connection_disconnect(self, connection: Any) -> None:
        if self._in_poll is connection:
            self.reads = 0
        super()._on_connection_disconnect(connection)


class _Trial:
    """Stands in for a channel's client for reads while the channel is made."""

    def __init__(self, channel: RecallingChannel) -> None:
        self._channel = channel

    def ping(self) -> None:
        """Try the broker, on a connection for commands."""
        with self._channel.conn_or_acquire() as client:
            client.ping()


def source_of(message: Any) -> tuple[str, bytes]:
    """Return the queue of a received message and the message as it came."""
    payload = dict(message._raw)
    payload.pop(SOUND, None)
    # Rejected by a consumer that is gone: kombu made it without our reading it.
    queue = payload.pop(SOURCE, None) or message.delivery_info["routing_key"]
    body = payload["body"]
    data = envelope.pack(payload) if isinstance(body, bytes) else dumps(payload).encode()
    return queue, data
