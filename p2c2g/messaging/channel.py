"""The lane's kombu channel: the reading half, and batches that leave in one write."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from kombu.utils.json import dumps

from p2c2g.messaging import envelope, names
from p2c2g.messaging.errors import BROKER_ERRORS
from p2c2g.messaging.pipelining import CommandStream
from p2c2g.messaging.publishing import Batch, Kept, QueueBound
from p2c2g.messaging.reading import ReadingChannel

logger = logging.getLogger(__name__)

#: Seconds for which the broker keeps answers to remote control: who asked may have been killed.
REPLY_LIFETIME = 60

#: Seconds for which a channel that closes waits for the reply to its last batches.
CLOSE_PATIENCE = 2.0


class Channel(ReadingChannel):
    """A channel that reads ahead and writes in batches, bytes as they are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._stream: CommandStream | None = None
        #: How batches bound their queues, whether they wait, and what is kept of them:
        #: publishing.tune_producer.
        self.queue_bound: Callable[[str], QueueBound] | None = None
        self.busy_after: float | None = None
        self.kept: Kept | None = None
        super().__init__(*args, **kwargs)

    @property
    def stream(self) -> CommandStream:
        """Return the connection on which batches leave."""
        if self._stream is None:
            self._stream = CommandStream(lambda: self.pool, busy_after=self.busy_after)
        return self._stream

    @property
    def supports_batch_publish(self) -> bool:
        """Tell that there are batches: ours leave once, however often the pool's commands do."""
        return True

    def create_publish_batch(self, max_size: int) -> Batch:
        """Return the batch that ``producer.batch()`` fills."""
        return Batch(self, max_size)

    def encode_body(self, body: Any, encoding: str | None = None) -> tuple[Any, str | None]:
        """Leave bytes as they are; text is encoded as kombu does."""
        if isinstance(body, bytes):
            return body, None
        encoded: tuple[Any, str | None] = super().encode_body(body, encoding)
        return encoded

    def _inplace_augment_message(
        self, message: dict[str, Any], exchange: str, routing_key: str
    ) -> None:
        """Complete a message, and refuse what a reader would throw away; others say so in pack."""
        super()._inplace_augment_message(message, exchange, routing_key)
        if isinstance(message["body"], str) and self.typeof(exchange).type != "fanout":
            self._decode(dumps(message).encode())

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        if not isinstance(message["body"], bytes):
            super()._put(queue, message, **kwargs)
            if names.is_control_reply(queue):
                with self.conn_or_acquire() as client:
                    client.pexpire(queue, REPLY_LIFETIME * 1000)
            return
        data = envelope.pack(message)
        if self.kept is not None:
            self.kept.add(queue, str(message["headers"]["id"]), data)
        batch = kwargs.get("_publish_batch")
        if batch is not None:
            batch.add("LPUSH", queue, data)
            return
        with self.conn_or_acquire() as client:
            client.lpush(queue, data)

    def close(self) -> None:
        """Close, once the reads are called back and the last batches have arrived."""
        if not self.closed:
            self._finish_stream()
        super().close()

    def _finish_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            return
        try:
            stream.collect(leave=0, patience=CLOSE_PATIENCE)
        except BROKER_ERRORS as error:
            logger.warning("The last messages may not have left: %s", error)
        finally:
            stream.close()
