"""A producer's batch: the messages of one frame leave in one write."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack
import redis
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from p2c2g.messaging import names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import BROKER_ERRORS
from p2c2g.messaging.scripts import script

if TYPE_CHECKING:
    from p2c2g.messaging.channel import Channel


#: Messages of which the bytes are kept for who may take one back, and those bytes in all.
MAX_KEPT = 512
MAX_KEPT_BYTES = 16 << 20


class Kept:
    """The bytes of what was sent of late, by queue and task; the oldest are forgotten.

    A producer adds from one thread, and who takes one back may be another.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._size = 0

    def add(self, queue: str, task: str, message: bytes) -> None:
        """Keep one message; in the place of an earlier one of the same task in that queue."""
        with self._lock:
            self._size += len(message) - len(self._messages.pop((queue, task), b""))
            self._messages[queue, task] = message
            while len(self._messages) > MAX_KEPT or self._size > MAX_KEPT_BYTES:
                self._size -= len(self._messages.popitem(last=False)[1])

    def take(self, queue: str, task: str) -> bytes | None:
        """Return a message and keep it no longer; None where it is forgotten."""
        with self._lock:
            message = self._messages.pop((queue, task), None)
            self._size -= len(message or b"")
            return message


class QueueBound(NamedTuple):
    """How many messages a queue keeps, the oldest dropped, and how long untouched (seconds)."""

    length: int
    lifetime: int


def anonymous_queue(name: str) -> Queue:
    """Return a queue as our tasks are sent to it: by the anonymous exchange.

    A message goes to the queue that its routing key names, and nobody has to ask the broker
    for bindings.
    """
    return Queue(name, Exchange("", type="direct"), routing_key=name)


def tune_producer(
    producer: Any,
    rule: Callable[[str], QueueBound],
    busy_after: float,
    kept: Kept | None = None,
) -> None:
    """Make a producer's batches bound their queues, and never wait for a broker that is slow.

    A queue that nobody reads is thus never long, and is gone some seconds after its last
    message: both commands are in the batch's own write.  On another transport than ours it
    does nothing.

    Args:
        producer: kombu's, before its first batch.
        rule: the bound of a queue, by its name.
        busy_after: seconds without the broker's answer after which a batch is refused.
        kept: keeps the bytes of what is sent, for who may take it back; None where nobody does.
    """
    if hasattr(producer.channel, "create_publish_batch"):
        producer.channel.queue_bound = rule
        producer.channel.busy_after = busy_after
        producer.channel.kept = kept


def move_messages(producer: Any, moves: Sequence[tuple[str, str, str]], lifetime: int) -> None:
    """Move messages that still wait in one short queue to the head of another.

    Each in one step at the broker, and only where it still waits: a message is never in two
    queues, nor in none.  Does not wait for the broker's replies.  On another transport than
    ours it does nothing.

    Args:
        producer: kombu's.
        moves: the queue that has it, the one that gets it, and the task's id.
        lifetime: seconds after which the other queue is gone where nobody reads it.

    Raises:
        OSError: the broker is away.
        redis.RedisError: the same, or it refused an earlier command.
    """
    channel = producer.channel
    if not hasattr(channel, "stream"):
        return
    prefix = channel.global_keyprefix
    channel.stream.send(
        [
            ("EVAL", script("move"), 2, prefix + source, prefix + to, msgpack.packb(task), lifetime)
            for source, to, task in moves
        ]
    )


def withdraw_messages(
    client: Client, kept: Kept, messages: Sequence[tuple[str, str]]
) -> list[bool]:
    """Take messages back that still wait, by their bytes; waits for the broker.

    Args:
        client: the broker's.
        kept: what was sent.
        messages: the queue that has it, and the task's id.

    Returns:
        Of each whether it was still there, and nobody has it now.

    Raises:
        OSError: the broker is away.
        redis.RedisError: the same, or it refuses.
    """
    found = [kept.take(queue, task) for queue, task in messages]
    with client.pipeline(transaction=False) as pipe:
        for (queue, _), message in zip(messages, found, strict=True):
            if message is not None:
                # From the end at which the newest are.
                pipe.lrem(names.queue_key(queue), 1, message)  # type: ignore[arg-type]
        removed = iter(pipe.execute())
    return [message is not None and bool(next(removed)) for message in found]


class Batch:
    """The messages of one ``producer.batch()``: one write, no wait for the replies.

    What the broker refuses, for instance because it is full, shows at the next flush, which
    then sends nothing and raises.

    Args:
        channel: the channel on whose stream they leave.
        max_size: commands kept at most; one more flushes them.
    """

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
        """Send what was kept.

        Raises:
            OperationalError: the broker is away or refused an earlier message; what is
                unanswered may or may not have arrived.
        """
        commands, self.commands = self.commands, []
        if not commands:
            return
        prefix = self.channel.global_keyprefix
        rule = self.channel.queue_bound
        queues = dict.fromkeys(command[1] for command in commands) if rule else {}
        commands = self.channel.prefixed(commands)
        for queue in queues:
            length, lifetime = rule(queue)  # type: ignore[misc]
            commands.append(("LTRIM", prefix + queue, 0, length - 1))
            commands.append(("EXPIRE", prefix + queue, lifetime))
        try:
            self.channel.stream.send(commands)
        except redis.ResponseError as error:
            raise OperationalError(f"The broker refused a message: {error}") from error
        except BROKER_ERRORS as error:
            raise OperationalError(f"The broker did not take the messages: {error}") from error

    def discard(self) -> None:
        """Forget what was kept."""
        self.commands.clear()

    close = discard
