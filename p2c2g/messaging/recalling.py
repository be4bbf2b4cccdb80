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

from p2c2g.messaging import bounded, envelope, names, open_names, pools
from p2c2g.messaging.errors import BROKER_ERRORS

logger = logging.getLogger(__name__)

#: Seconds that the broker is given to answer a recall.
RECALL_TIMEOUT = 2.0
#: And to take messages back.
HAND_BACK_TIMEOUT = 3.0
#: Seconds after which an abandoned recall list disappears.
RECALL_EXPIRY = 60
#: Where a received message remembers the queue that it came from.
SOURCE = "p2c2g.queue"
#: Where it is noted that a worker understood it: what fails then is the worker's own fault.
SOUND = "p2c2g.sound"
#: Where it is noted whose session waits for what it asks for, if any does.
SESSION = "p2c2g.session"
#: Bindings of one exchange that are heeded: of queues that take answers to remote control.
MAX_BINDINGS = 4096


class RecallingChannel(stock.Channel):
    """A channel with reads outstanding, each of which it can call back.

    ``reads`` counts them.  ``allowance`` has the bytes that they may bring: no more are sent than
    it has room for, and once it is used up none.
    """

    # kombu's own, of which it says no types.
    keyprefix_fanout: str
    _pool: Any

    from_transport_options = (*stock.Channel.from_transport_options, "recall_prefix")
    #: What a recall list's name begins with: an open pool's peer has its own.
    recall_prefix = names.recall("")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.reads = 0
        self.allowance = math.inf
        # A signal handler may cancel a consumer while a reply is half read.
        self._busy = False
        self.recall_key = ""
        # kombu tries the broker on the connection for reads, of which many channels have none.
        self.__dict__["client"] = _Trial(self)
        try:
            super().__init__(*args, **kwargs)
        finally:
            del self.__dict__["client"]
        self.recall_key = self.recall_prefix + uuid4().hex

    def _get_pool(self, asynchronous: bool = False) -> Any:
        """Return the pool for reads and subscriptions, or the process's for all else."""
        if asynchronous:
            return super()._get_pool(asynchronous=True)
        parameters = self._connparams()
        self.keyprefix_fanout = self.keyprefix_fanout.format(db=parameters["db"])
        return pools.take(parameters)

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        # Who waits for messages must see that a connection is lost: a retry would wait on another.
        return parameters if asynchronous else parameters | pools.command_options()

    def _disconnect_pools(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pools.give(pool)
        super()._disconnect_pools()

    def get_table(self, exchange: str) -> list[tuple[str, ...]]:
        """Return the bindings of an exchange: routing key, pattern and queue.

        No more of them than can be somebody's, and none of another shape, which kombu would
        stumble over at every answer.
        """
        key = self.global_keyprefix + self.keyprefix_queue % exchange
        with self.conn_or_acquire() as client:
            found = bounded.members(client, key, MAX_BINDINGS)
        bindings = (tuple(each.decode(errors="replace").split(self.sep)) for each in found)
        return [each for each in bindings if len(each) == 3]

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
            self._ask(
                [
                    ("RPUSH", self.recall_key, *([b""] * self.reads)),
                    # kombu puts its prefix before the keys of this one, and not of EXPIRE.
                    ("PEXPIRE", self.recall_key, RECALL_EXPIRY * 1000),
                ],
                deadline,
            )
            while self.reads:
                if not connection.can_read(timeout=max(0.0, deadline - monotonic())):
                    raise TimeoutError("the broker did not answer the recall of reads")
                reply = self._read_reply()
                if reply is not None:
                    items.append(reply)
            self._ask([("DEL", self.recall_key)], deadline)
        except BROKER_ERRORS as error:
            logger.warning("Lost %d reads sent ahead: %s", self.reads, error)
            self._lose_reads()
        finally:
            self._busy = False
        self._in_poll = None
        return items

    def hand_back(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Return messages, oldest first, to where they are read next.  Logs what cannot be.

        Chunks of an open pool are let go: nobody else reads that queue, and its session sends them
        elsewhere.  A peer that could write there could have a gamer taken for one who floods.
        """
        returned = [(queue, item) for queue, item in items if not open_names.sender_of(queue)]
        if not returned:
            return
        try:
            self._ask(
                [("RPUSH", queue, item) for queue, item in reversed(returned)],
                monotonic() + HAND_BACK_TIMEOUT,
            )
        except BROKER_ERRORS as error:
            logger.warning("Could not hand %d messages back: %s", len(returned), error)

    def _ask(self, commands: list[tuple[Any, ...]], deadline: float) -> None:
        """Send commands and take their replies, by a moment of the monotonic clock.

        Sockets are more patient; who closes must not wait as long for a silent broker.
        """
        with pools.borrowed(self.pool, deadline - monotonic()) as connection:
            connection.send_packed_command(
                connection.pack_commands(self.prefixed(commands)), check_health=False
            )
            for _ in commands:
                if not connection.can_read(timeout=max(0.0, deadline - monotonic())):
                    raise TimeoutError("the broker does not answer")
                connection.read_response()

    def _restore(self, message: Any, leftmost: bool = False) -> None:
        """Return a message that was received but never started to its queue."""
        self.hand_back(self.sources_of(message))

    def sources_of(self, message: Any) -> list[tuple[str, bytes]]:
        """Return the queue of a received message, and the message for the next one.

        None where nobody would read it: what went to all is not for the next.
        """
        payload = dict(message._raw)
        for note in (SOUND, SESSION):
            payload.pop(note, None)
        queue = payload.pop(SOURCE, None)
        if queue is None:
            return []
        properties = payload["properties"]
        told = {**properties["delivery_info"], "redelivered": True}
        payload["properties"] = {**properties, "delivery_info": told}
        payload["headers"] = {**payload["headers"], "redelivered": True}
        body = payload["body"]
        data = envelope.pack(payload) if isinstance(body, bytes) else dumps(payload).encode()
        return [(queue, data)]

    def _read_reply(self, **options: Any) -> tuple[str, bytes] | None:
        reply = self.client.parse_response(self.client.connection, "BRPOP", **options)
        self.reads -= 1
        self._brpop_sent_at = monotonic()
        if not reply:
            return None
        queue = bytes_to_str(reply[0])
        if queue == self.recall_key:
            return None
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
