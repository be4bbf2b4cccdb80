"""A kombu transport over kombu's Redis one, in which a chunk costs one round trip.

What differs from stock:

* a binary envelope (:mod:`p2c2g.messaging.envelope`) for bodies that are bytes; text bodies,
  such as ``celery inspect`` and its answers, keep kombu's own, so that any kombu
  application on the same broker still understands them;
* no ack emulation: a message is popped once and never written back, and the dispatcher's
  deadline takes the place of redelivery;
* one priority step, so that a read names each queue once;
* reads sent ahead: several ``BRPOP`` are outstanding on one connection, as many as there is
  credit for (:attr:`Channel.credit`), so that the next message is on its way while this one
  is worked on;
* a producer's batch leaves as one write and does not wait for the broker's "done".

Reads sent ahead must be called back before a worker stops or changes its queues: a message
that the broker has popped for a closed socket is lost.  So every read names, before the
queues, a *recall list* that only this channel knows; as many tokens pushed there as reads
are outstanding answer each of them, in one round trip and with no administrator's right.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from time import monotonic
from typing import Any
from uuid import uuid4

from kombu.transport import redis as stock
from kombu.transport import virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads

from p2c2g.errors import WireError
from p2c2g.messaging import envelope
from p2c2g.messaging.pipelining import CONNECTION_ERRORS, CommandStream

logger = logging.getLogger(__name__)

#: Reads outstanding on one connection at most, whatever the credit.
MAX_READS = 256
#: Seconds that the broker is given to answer a recall.
RECALL_TIMEOUT = 2.0
#: Seconds after which an abandoned recall list disappears.
RECALL_EXPIRY = 60


class QoS(virtual.QoS):
    """Credit instead of a count: what is on its way counts as taken."""

    def can_consume(self) -> bool:
        """Tell whether a reply may be read, or a read be sent."""
        return bool(self.channel.reads or self.channel.credit > 0)


class Poller(stock.MultiChannelPoller):
    """kombu's poller, which also keeps the reads topped up."""

    def on_poll_start(self) -> None:
        """Send what reads there is credit for; runs once a turn of the loop."""
        super().on_poll_start()
        for channel in self._channels:
            if channel.reads:
                channel.send_reads()


class Batch:
    """The messages of one ``producer.batch()``: one write, no wait for the replies."""

    def __init__(self, channel: Channel, max_size: int) -> None:
        self.channel = channel
        self.max_size = max_size
        self.commands: list[tuple[Any, ...]] = []

    def publish(self, message: dict[str, Any], **kwargs: Any) -> Any:
        """Route one prepared message and keep its commands."""
        result = self.channel.basic_publish(message, _publish_batch=self, **kwargs)
        if len(self.commands) >= self.max_size:
            self.flush()
        return result

    def add(self, name: str, *args: Any) -> None:
        """Keep one command; kombu's own routing calls this."""
        self.commands.append((name.upper(), *args))

    def flush(self) -> None:
        """Send what was kept."""
        commands, self.commands = self.commands, []
        if commands:
            self.channel.stream.send(commands)

    def discard(self) -> None:
        """Forget what was kept."""
        self.commands.clear()

    close = discard


class Channel(stock.Channel):
    """A channel whose reads are sent ahead."""

    QoS = QoS
    ack_emulation = True  # Keeps QoS ours: kombu swaps in its own where this is off.
    priority_steps = [0]  # noqa: RUF012 - kombu's own attribute, read only

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.reads = 0
        self.malformed = 0
        self._stopped = False
        self._stream: CommandStream | None = None
        self.recall_key = f"p2c2g.recall.{uuid4().hex}"
        super().__init__(*args, **kwargs)
        self.ack_emulation = False

    # -- publishing ---------------------------------------------------------------------

    @property
    def stream(self) -> CommandStream:
        """Return the connection on which batches leave."""
        if self._stream is None:
            self._stream = CommandStream(lambda: self.pool)
        return self._stream

    def create_publish_batch(self, max_size: int) -> Batch:
        """Return the batch that ``producer.batch()`` fills."""
        return Batch(self, max_size)

    def encode_body(self, body: Any, encoding: str | None = None) -> tuple[Any, str | None]:
        """Leave bytes as they are; text is encoded as kombu does."""
        if isinstance(body, bytes):
            return body, None
        encoded: tuple[Any, str | None] = super().encode_body(body, encoding)
        return encoded

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        if not isinstance(message["body"], bytes):
            super()._put(queue, message, **kwargs)
            return
        data = envelope.pack(message)
        batch = kwargs.get("_publish_batch")
        if batch is not None:
            batch.add("LPUSH", self.global_keyprefix + queue, data)
            return
        with self.conn_or_acquire() as client:
            client.lpush(queue, data)

    # -- reading ------------------------------------------------------------------------

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
        count = self.credit
        queues = self.active_queues
        if count <= 0 or not queues:
            return
        connection = self.client.connection
        commands = []
        for _ in range(count):
            order = self._queue_cycle.consume(len(queues))
            self._queue_cycle.rotate(order[0])
            command = ["BRPOP", self.recall_key, *order, self.brpop_timeout]
            if self.global_keyprefix:
                command = self.client._prefix_args(command)
            commands.append(command)
        connection.send_packed_command(connection.pack_commands(commands))
        self.reads += count
        self._in_poll = connection
        self._brpop_sent_at = monotonic()

    def _brpop_start(self, timeout: float | None = None) -> None:
        self.send_reads()

    def _brpop_read(self, **options: Any) -> bool:
        connection = self.client.connection
        delivered = False
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
        self._in_poll = connection if self.reads else None
        if not self.reads:
            self._flush_brpop_reauth()
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
        try:
            payload = self._decode(item)
        except WireError as error:
            self.malformed += 1
            logger.warning("Threw away a message from queue %r: %s", queue, error)
            return False
        self.connection._deliver(payload, queue)
        return True

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
        active = set(self.active_queues)
        items = self.recall_reads()
        self._hand_back([item for item in items if item[0] not in active])
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
        self._hand_back(items)
        return len(items)

    def recall_reads(self) -> list[tuple[str, bytes]]:
        """End every outstanding read; return the messages that came instead of a token."""
        items: list[tuple[str, bytes]] = []
        if not self.reads:
            return items
        connection = self.client.connection
        deadline = monotonic() + RECALL_TIMEOUT
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
        except (*CONNECTION_ERRORS, *self.connection_errors) as error:
            logger.warning("Lost %d reads sent ahead: %s", self.reads, error)
            self._lose_reads()
        self._in_poll = None
        return items

    def _hand_back(self, items: list[tuple[str, bytes]]) -> None:
        """Return messages to the head of their queues, oldest first to be read again."""
        if not items:
            return
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            for queue, item in reversed(items):
                pipe.rpush(queue, item)
            pipe.execute()

    def _restore(self, message: Any, leftmost: bool = False) -> None:
        """Return a message that was received but never started to its queue."""
        info = message.delivery_info
        payload = message._raw
        body = payload["body"]
        data = envelope.pack(payload) if isinstance(body, bytes) else dumps(payload)
        queues = self._lookup(info["exchange"], info["routing_key"])
        self._hand_back([(queue, data) for queue in queues])

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
            with suppress(*CONNECTION_ERRORS, *self.connection_errors):
                self.stop_reading()
            self._lose_reads()
            if self._stream is not None:
                self._finish_stream()
        super().close()

    def _finish_stream(self) -> None:
        assert self._stream is not None
        try:
            self._stream.collect(leave=0)
        except (*CONNECTION_ERRORS, *self.connection_errors) as error:
            logger.warning("The last messages may not have left: %s", error)
        finally:
            self._stream.close()
            self._stream = None


class Transport(stock.Transport):
    """The transport; ``broker_transport`` in Celery's configuration names it.

    ``read_ahead`` and ``running`` are set by the worker, which knows its pool: how many
    messages beyond the prefetch count to keep on their way, and how many tasks run now.
    """

    Channel = Channel

    read_ahead: int = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.running: Callable[[], int] = _none_running
        self.cycle = Poller()


def _none_running() -> int:
    return 0


class SentinelChannel(stock.SentinelChannel, Channel):
    """The channel behind Redis Sentinel."""

    from_transport_options = stock.SentinelChannel.from_transport_options


class SentinelTransport(Transport):
    """The transport behind Redis Sentinel, for ``sentinel://`` URLs."""

    Channel = SentinelChannel
    default_port = stock.SentinelTransport.default_port
