"""The reading half of the lane's channel: reads sent ahead, paused, and ended before it stops.

How outstanding reads are called back is in :mod:`p2c2g.messaging.recalling`.

A channel belongs to the thread of its event loop.  From others come acknowledgements
(which are only marked: :class:`p2c2g.messaging.credit.QoS`), :meth:`ReadingChannel.pause` and
:meth:`~ReadingChannel.resume` (the same) and :meth:`ReadingChannel.round_trip`.
"""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from time import monotonic
from typing import Any

from kombu.utils.encoding import bytes_to_str, str_to_bytes
from kombu.utils.json import loads
from redis import ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from p2c2g.errors import WireError
from p2c2g.messaging import envelope
from p2c2g.messaging.credit import QoS
from p2c2g.messaging.limits import MAX_HELD, MAX_JSON
from p2c2g.messaging.parser import BoundedParser
from p2c2g.messaging.recalling import SOURCE, RecallingChannel

logger = logging.getLogger(__name__)

#: Reads outstanding on one connection at most, whatever the credit.
MAX_READS = 256
#: Weight of the newest message in the moving average of their sizes.
SMOOTHING = 0.1
#: Reads are topped up once a window's part by this number is missing.
TOP_UP = 4
#: Seconds without an answer after which the line counts as dead.
ROUND_TRIP_PATIENCE = 2.0
#: Bytes that one read of the socket may bring: a whole chunk as a rule.
READ_SIZE = 1 << 17


class ReadingChannel(RecallingChannel):
    """A channel whose reads are sent ahead."""

    ack_emulation = False
    priority_steps = [0]  # noqa: RUF012 - kombu's own attribute, read only

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.malformed = 0
        #: Hears of the queue and the bytes of what was thrown away, where anybody wants to.
        self.on_refused: Callable[[str, int], None] | None = None
        #: Bytes of a message of late, 0 before the first.
        self.usual = 0.0
        self._stopped = False
        self._paused = False
        self._recall_wanted = False
        self._redirect_later = False
        super().__init__(*args, **kwargs)
        self.QoS = QoS  # kombu puts its own here where acknowledgements are not emulated.

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        return parameters | {
            "socket_read_size": READ_SIZE,
            "parser_class": BoundedParser,
            "driver_info": None,
        }

    def round_trip(self) -> float:
        """Measure one round trip to the broker in seconds; any thread may ask.

        Raises:
            redis.exceptions.RedisError: the broker does not answer.
            OSError: the same.
        """
        if self.closed:
            raise RedisConnectionError("the channel is closed")
        # One that is not in use is at hand after the first time.
        client = self._create_client()
        connection = client.connection_pool.get_connection()
        try:
            sent = monotonic()
            connection.send_command("PING", check_health=False)
            if not connection.can_read(timeout=ROUND_TRIP_PATIENCE):
                connection.disconnect()
                raise TimeoutError(f"no reply for {ROUND_TRIP_PATIENCE:g} s")
            connection.read_response()
            return monotonic() - sent
        finally:
            client.connection_pool.release(connection)

    def hang_up(self) -> None:
        """Let the loop see a lost connection, where the line is dead and nobody told; any thread.

        What is outstanding is lost, as it is on a dead line.
        """
        connection = getattr(self.__dict__.get("client"), "connection", None)
        sock = getattr(connection, "_sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    @property
    def credit(self) -> int:
        """Return how many more messages may be asked for.

        With a prefetch count (a worker's task channel): that many, and the transport's
        read-ahead, less what waits here, what runs and what is already asked for.  With
        none (replies, other consumers): one at a time.
        """
        if self._stopped or self._paused or self.allowance <= 0:
            return 0
        prefetch = self.qos.prefetch_count
        if not prefetch:
            return 1 - self.reads
        transport = self.connection
        waiting = len(self.qos._delivered) - len(self.qos._dirty)
        held = waiting + transport.running() + self.reads
        count = int(min(prefetch + transport.read_ahead - held, MAX_READS - self.reads))
        if self.usual * MAX_READS > MAX_HELD and (waiting or self.reads):
            # Of large ones no more than there is room for.
            count = min(count, int((MAX_HELD - self._held()) / self.usual) - self.reads)
        if self.allowance < math.inf:
            count = min(count, int(self.allowance / max(self.usual, 1.0)) - self.reads)
        return count

    def _held(self) -> int:
        """Return the bytes of the messages that wait here to be begun."""
        waiting = [each for each in self.qos._delivered.items() if each[0] not in self.qos._dirty]
        return sum(len(message.body or b"") for _, message in waiting)

    def send_reads(self) -> None:
        """Send as many reads as there is credit for, each led by another queue."""
        if self._recall_wanted:
            self._recall_wanted = False
            self.hand_back(self.recall_reads())
        if self._redirect_later:
            self._redirect_reads()
        count = self.credit
        queues = self.active_queues
        if count <= 0 or not queues:
            return
        window = self.qos.prefetch_count + self.connection.read_ahead
        if self.reads and count * TOP_UP < window and self.allowance == math.inf:
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
        except (*self.connection_errors, ResponseError):
            # One that was refused is followed by the others.
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

    def _deliver_item(self, queue: str, item: bytes) -> bool:
        """Hand one message to its consumer; what cannot be read is logged."""
        try:
            payload = self._decode(item)
        except WireError as error:
            self.refuse(queue, str(error), len(item))
            return False
        self.usual += (SMOOTHING if self.usual else 1.0) * (len(item) - self.usual)
        # What is small is not counted: all of it together is no more than half as much.
        if 2 * len(item) * MAX_READS > MAX_HELD and self._held() + len(item) > MAX_HELD:
            self.refuse(queue, f"{MAX_HELD} bytes wait here already.", len(item))
            return False
        payload[SOURCE] = queue
        self.connection._deliver(payload, queue)
        return True

    def refuse(self, queue: str, reason: str, size: int = 0) -> None:
        """Log that a message was thrown away, of ``size`` bytes where that matters."""
        self.malformed += 1
        if self.on_refused is not None:
            self.on_refused(queue, size)
        logger.warning(
            "Threw away a message from queue %r (number %d here): %s",
            queue, self.malformed, reason,
        )  # fmt: skip

    @staticmethod
    def _decode(item: bytes) -> dict[str, Any]:
        if envelope.is_envelope(item):
            return envelope.unpack(item)
        if len(item) > MAX_JSON:
            raise WireError(
                f"a message in JSON has {len(item)} bytes, where at most {MAX_JSON} are allowed."
            )
        try:
            payload = loads(bytes_to_str(item))
        except Exception as error:
            # kombu's JSON reader raises whatever a hook of its raises.
            raise WireError(f"a message of {len(item)} bytes cannot be read.") from error
        envelope.check(payload)
        checked: dict[str, Any] = payload
        return checked

    def _receive_one(self, client: Any) -> bool:
        """Deliver what came by a subscription: remote control's messages, and monitors' events."""
        try:
            reply = client.parse_response()
        except self.connection_errors:
            self._in_listen = None
            raise
        if not isinstance(reply, list | tuple):
            return False
        told = self._handle_message(client, reply)
        if not bytes_to_str(told["type"]).endswith("message") or not told["data"]:
            return False
        topic = bytes_to_str(told["channel"])
        # As kombu takes them apart: /0.celery.pidbox, or with a routing key after a further slash.
        exchange = (topic.partition(".")[2] if topic[:1] == "/" else topic).partition("/")[0]
        try:
            payload = self._decode(str_to_bytes(told["data"]))
        except WireError as error:
            self.refuse(exchange, str(error))
            return False
        if exchange in self._fanout_to_queue:
            self._deliver_fanout_message(payload, exchange)
        return True

    def _get(self, queue: str) -> dict[str, Any]:
        with self.conn_or_acquire() as client:
            item = client.rpop(queue)
        if item is None:
            raise Empty
        return self._decode(item) | {SOURCE: queue}

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
        if not active:
            self._lose_reads()  # There are none: only the connection goes.
        self.hand_back(item for item in items if item[0] not in active)
        for queue, item in items:
            if queue in active:
                self._deliver_item(queue, item)

    def pause(self, *, recall: bool = True) -> None:
        """Ask for no more messages until :meth:`resume`; those received go on.

        Any thread may say so: it is done at the loop's next turn, for which who is not on its
        thread wakes it.

        Args:
            recall: call the outstanding reads back and return what came to its queue.  Without
                it they bring what they bring, which is cheaper for a short pause: a far peer
                would send a whole window back.
        """
        self._paused = True  # First: no read may follow the recall.
        self._recall_wanted = recall

    def resume(self) -> None:
        """Ask for messages again; any thread may say so, as for :meth:`pause`."""
        self._paused = self._recall_wanted = False

    def stop_reading(self) -> int:
        """Take no more messages: call reads back and return to the queues what came.

        Returns:
            The number of messages handed back.
        """
        self._stopped = True
        items = self.recall_reads()
        self.hand_back(items)
        return len(items)

    def close(self) -> None:
        """Call the reads back, hand back what came, and close."""
        if not self.closed:
            self.stop_reading()
            self._lose_reads()
        super().close()
