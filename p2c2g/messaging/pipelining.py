"""Commands sent ahead: nobody waits a round trip for a reply that says only "done"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError


class CommandStream:
    """One connection on which commands leave at once and replies are taken later.

    At most ``max_unanswered`` commands are without a reply; a further send waits for the
    oldest of them, which bounds what a stalled broker can hold.  Not thread-safe: it
    belongs to one thread, or its owner locks.
    """

    def __init__(
        self, pool: Callable[[], redis.ConnectionPool], max_unanswered: int = 1024
    ) -> None:
        self._pool = pool
        self._max_unanswered = max_unanswered
        self._connection: Any = None
        self.unanswered = 0

    def send(self, commands: Sequence[tuple[Any, ...]]) -> None:
        """Send commands in order, without waiting for their replies.

        Raises:
            redis.exceptions.RedisError: the connection failed, now or since the last
                call, or the broker refused an earlier command.  What was unanswered then
                may or may not have been carried out.
            OSError: likewise.
        """
        try:
            self.collect(self._max_unanswered - len(commands))
            if self._connection is None:
                self._connection = self._pool().get_connection()
            connection = self._connection
            connection.send_packed_command(connection.pack_commands(commands))
            self.unanswered += len(commands)
        except ResponseError:
            raise
        except (OSError, redis.RedisError):
            self.close()
            raise

    def collect(self, leave: int | None = None, timeout: float = 0.0) -> int:
        """Take the replies that are there, or wait until at most ``leave`` are missing.

        Args:
            leave: how many may stay unanswered; None takes only what has arrived.
            timeout: with ``leave=None``, seconds to wait for the first reply.

        Returns:
            The number of replies taken.

        Raises:
            redis.exceptions.RedisError: as for :meth:`send`.
            OSError: likewise.
        """
        taken = 0
        connection = self._connection
        if connection is None:
            return 0
        try:
            while self.unanswered:
                must_wait = leave is not None and self.unanswered > max(leave, 0)
                if not must_wait and not connection.can_read(timeout if not taken else 0):
                    break
                self.unanswered -= 1
                taken += 1
                connection.read_response()
        except ResponseError:
            raise
        except (OSError, redis.RedisError):
            self.close()
            raise
        return taken

    def close(self) -> None:
        """Drop the connection; what is unanswered stays uncertain."""
        connection, self._connection = self._connection, None
        self.unanswered = 0
        if connection is not None:
            connection.disconnect()
            self._pool().release(connection)


#: What a broken broker connection raises, by redis-py or the socket below it.
CONNECTION_ERRORS = (RedisConnectionError, redis.TimeoutError, OSError)
