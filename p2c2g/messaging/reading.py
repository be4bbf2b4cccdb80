"""The reading half of the lane's channel: reads sent ahead, and called back before it stops.

A message that the broker has popped for a closed socket is lost.  So every read names, before
the queues, a *recall list* that only this channel knows; as many tokens pushed there as reads
are outstanding answer each of them, in one round trip and with no administrator's right.

A channel belongs to the thread of its event loop.  From others come acknowledgements
(:meth:`QoS.ack` only marks) and :meth:`ReadingChannel.round_trip`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from queue import Empty
from time import monotonic
from typing import Any
from uuid import uuid4

import redis
from kombu.transport import redis as stock
from kombu.transport import virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads

from p2c2g.errors import WireError
from p2c2g.messaging import envelope
from p2c2g.messaging.pipelining import CONNECTION_ERRORS

logger = logging.getLogger(__name__)

#: Reads outstanding on one connection at most, whatever the credit.
MAX_READS = 256
#: Reads are topped up once a window's part by this number is missing.
TOP_UP = 4
#: Seconds that the broker is given to answer a recall.
RECALL_TIMEOUT = 2.0
#: Seconds after which an abandoned recall list disappears.
RECALL_EXPIRY = 60
#: Bytes that one read of the socket may bring: a whole chunk as a rule.
READ_SIZE = 1 << 17

#: Where a received message remembers the queue that it came from.
_SOURCE = "p2c2g.queue"
#: What a call to the broker may raise.
BROKER_ERRORS = (*CONNECTION_ERRORS, redis.RedisError)


class QoS(virtual.QoS):
    """Credit instead of a count: what is on its way counts as taken."""

    def can_consume(self) -> bool:
        """Tell whether a reply may be read, or a read be sent."""
        return bool(self.channel.reads or self.channel.credit > 0)

    def restore_unacked(self) -> list[Any]:
        """Return what was received and never started to its queues, in one write."""
        self._flush()
        messages = list(self._delivered.values())
        self._delivered.clear()
        self.channel.hand_back(map(_source, messages))
        return []


class ReadingChannel(stock.Channel):
    """A channel whose reads are sent ahead."""

    ack_emulation = False
    priority_steps = [0]  # noqa: RUF012 - kombu's own attribute, read only

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.reads = 0
        self.malformed = 0
        self._stopped = False
        # A signal handler may cancel a consumer while a reply is half read.
        self._busy = False
        self._redirect_later = False
        self.recall_key = f"p2c2g.recall.{uuid4().hex}"
        super().__init__(*args, **kwargs)
        self.QoS = QoS  # kombu puts its own here where acknowledgements are not emulated.

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        return parameters | {"socket_read_size": READ_SIZE}

    def round_trip(self) -> float:
        """Measure one round trip to the broker in seconds; any thread may ask.

        Raises:
            redis.exceptions.RedisError: the broker does not answer.
            OSError: likewise.
        """
        # One that is not in use is at hand after the first time.
        client = self._create_client()
        connection = client.connection_pool.get_connection()
        try:
            sent = monotonic()
            connection.send_command("PING", check_health=False)
            connection.read_response()
            return monotonic() - sent
        finally:
            client.connection_pool.release(connection)

    def prefixed(self, commands: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return commands with kombu's global prefix on their keys, where one is set."""
        if not self.global_keyprefix:
            return commands
        return [tuple(self.client._prefix_args(command)) for command in commands]

    @property
    def credit(self) -> int:
        """Return how many more messages may be asked for.

        With a prefetch count (a worker's task channel): that many, and the transport's
        read-ahead, less what waits here, what runs and what is already asked for.  With
        none (replies, other consumers): one at a time.
        """
        if self._stopped:
            return 0
        prefetch = self.qos.prefetch_count
        if not prefetch:
            return 1 - self.reads
        transport = self.connection
        waiting = len(self.qos._delivered) - len(self.qos._dirty)
        held = waiting + transport.running() + self.reads
        return int(min(prefetch + transport.read_ahead - held, MAX_READS - self.reads))

    def send_reads(self) -> None:
        """Send as many reads as there is credit for, each led by another queue."""
        if self._redirect_later:
            self._redirect_reads()
        count = self.credit
        queues = self.active_queues
        if count <= 0 or not queues:
            return
        if self.reads and count * TOP_UP < self.qos.prefetch_count + self.connection.read_ahead:
            return  # Few at a time would cost a write a chunk.
        connection = self.client.connection
        commands = []
        for _ in range(count):
            order = self._queue_cycle.consume(len(queues))
            self._queue_cycle.rotate(order[0])
            commands.append(("BRPOP", self.recall_key, *order, self.brpop_timeout))
        self._busy = True
        try:
            # No health check: its PING would wait behind the reads and take one's reply.
            connection.send_packed_command(
                connection.pack_commands(self.prefixed(commands)), check_health=False
            )
            self.reads += count
            self._in_poll = connection
            self._brpop_sent_at = monotonic()
        finally:
            self._busy = False

    def _brpop_start(self, timeout: float | None = None) -> None:
        self.send_reads()

    def _brpop_read(self, **options: Any) -> bool:
        connection = self.client.connection
        delivered = False
        self._busy = True
        try:
            while self.reads:
                reply = self._read_reply(**options)
                if reply is not None:
                    delivered |= self._deliver_item(*reply)
                # The next reply may already be in the parser, where no poll sees it.
                if not (self.reads and connection.can_read(timeout=0)):
                    break
        except self.connection_errors:
            self._lose_reads()
            raise
        finally:
            self._busy = False
        self._in_poll = connection if self.reads else None
        if not self.reads:
            self._flush_brpop_reauth()
        if self._redirect_later:
            self._redirect_reads()
        if not delivered:
            raise Empty
        return True

    def _read_reply(self, **options: Any) -> tuple[str, bytes] | None:
        reply = self.client.parse_response(self.client.connection, "BRPOP", **options)
        self.reads -= 1
        self._brpop_sent_at = monotonic()
        if not reply:
            return None
        queue = bytes_to_str(reply[0])
        return None if queue == self.recall_key else (queue, reply[1])

    def _deliver_item(self, queue: str, item: bytes) -> bool:
        """Hand one message to its consumer; what cannot be read or taken is logged."""
        payload: dict[str, Any] = {}
        try:
            payload = self._decode(item)
            payload[_SOURCE] = queue
            self.connection._deliver(payload, queue)
        except WireError as error:
            self._refuse(queue, str(error))
        except CONNECTION_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - see below
            # A foreign message can break Celery in many ways, from a missing header to a
            # body of another shape.  None of them may end the worker, nor pass for a lost
            # connection, which is what kombu takes a KeyError for.
            if payload:
                self.qos.ack(payload["properties"]["delivery_tag"])
            self._refuse(queue, f"it is no task: {type(error).__name__}: {error}.")
        else:
            return True
        return False

    def _refuse(self, queue: str, reason: str) -> None:
        self.malformed += 1
        logger.warning(
            "Threw away a message from queue %r (number %d here): %s",
            queue, self.malformed, reason,
        )  # fmt: skip

    @staticmethod
    def _decode(item: bytes) -> dict[str, Any]:
        if envelope.is_envelope(item):
            return envelope.unpack(item)
        try:
            payload = loads(bytes_to_str(item))
        except Exception as error:
            # kombu's JSON reader raises whatever a hook of its raises.
            raise WireError(f"a message of {len(item)} bytes cannot be read.") from error
        envelope.check(payload)
        checked: dict[str, Any] = payload
        return checked

    def _get(self, queue: str) -> dict[str, Any]:
        with self.conn_or_acquire() as client:
            item = client.rpop(queue)
        if item is None:
            raise Empty
        return self._decode(item)

    # -- changing and ending what is read -------------------------------------------------

    def basic_consume(self, queue: str, *args: Any, **kwargs: Any) -> Any:
        """Consume from one more queue, at once even where reads are outstanding."""
        result = super().basic_consume(queue, *args, **kwargs)
        self._redirect_reads()
        return result

    def _basic_cancel(self, consumer_tag: str) -> Any:
        result = super()._basic_cancel(consumer_tag)
        self._redirect_reads()
        return result

    def _redirect_reads(self) -> None:
        """Call the outstanding reads back; the next ones name the queues of now."""
        self._redirect_later = self._busy
        if self._busy:
            return
        items = self.recall_reads()
        active = set(self.active_queues)
        self.hand_back(item for item in items if item[0] not in active)
        for queue, item in items:
            if queue in active:
                self._deliver_item(queue, item)

    def stop_reading(self) -> int:
        """Take no more messages: call reads back and return to the queues what came.

        Returns:
            The number of messages handed back.
        """
        self._stopped = True
        items = self.recall_reads()
        self.hand_back(items)
        return len(items)

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
                pipe.expire(self.recall_key, RECALL_EXPIRY)
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
                pipe.execute()
        except BROKER_ERRORS as error:
            logger.warning("Could not hand %d messages back: %s", len(returned), error)

    def _restore(self, message: Any, leftmost: bool = False) -> None:
        """Return a message that was received but never started to its queue."""
        self.hand_back([_source(message)])

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

    def close(self) -> None:
        """Call the reads back, hand back what came, and close."""
        if not self.closed:
            self.stop_reading()
            self._lose_reads()
        super().close()


def _source(message: Any) -> tuple[str, bytes]:
    """Return the queue of a received message and the message as it came."""
    payload = dict(message._raw)
    # Rejected by a consumer that is gone: kombu made it without our reading it.
    queue = payload.pop(_SOURCE, None) or message.delivery_info["routing_key"]
    body = payload["body"]
    data = envelope.pack(payload) if isinstance(body, bytes) else dumps(payload).encode()
    return queue, data
