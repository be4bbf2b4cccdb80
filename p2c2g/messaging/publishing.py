"""A producer's batch: the messages of one frame leave in one write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack
import redis
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from p2c2g.messaging.errors import BROKER_ERRORS
from p2c2g.messaging.scripts import script

if TYPE_CHECKING:
    from p2c2g.messaging.channel import Channel


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


def tune_producer(producer: Any, rule: Callable[[str], QueueBound], busy_after: float) -> None:
    """Make a producer's batches bound their queues, and never wait for a broker that is slow.

    A queue that nobody reads is thus never long, and is gone some seconds after its last
    message: both commands are in the batch's own write.  On another transport than ours it
    does nothing.

    Args:
        producer: kombu's, before its first batch.
        rule: the bound of a queue, by its name.
        busy_after: seconds without the broker's answer after which a batch is refused.
    """
    if hasattr(producer.channel, "create_publish_batch"):
        producer.channel.queue_bound = rule
        producer.channel.busy_after = busy_after


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
