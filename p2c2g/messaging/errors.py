"""What redis-py, kombu and the sockets below them raise, and what it is called outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from p2c2g.errors import BrokerUnavailableError

#: What a broken connection to the broker raises, by redis-py or the socket below it.
CONNECTION_ERRORS = (RedisConnectionError, redis.TimeoutError, OSError)
#: What any command to the broker may raise: that, and what the broker refuses.
BROKER_ERRORS = (redis.RedisError, OSError)


@contextmanager
def translated(what: str = "The broker does not answer") -> Iterator[None]:
    """Let what the broker's libraries raise be raised as ours.

    Args:
        what: the beginning of the sentence, which ends with their reason.

    Raises:
        BrokerUnavailableError: the broker is away, or refused.
    """
    try:
        yield
    except (*BROKER_ERRORS, OperationalError) as error:
        raise BrokerUnavailableError(f"{what}: {str(error).rstrip('.')}.") from error
