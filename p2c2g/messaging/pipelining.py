"""Commands sent ahead: nobody waits a round trip for a reply that says only "done"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

#: What a broken broker connection raises, by redis-py or the socket below it.
CONNECTION_ERRORS = (RedisConnectionError, redis.TimeoutError, OSError)


class CommandStream:
    """One connection on which commands leave at once and replies are taken later.

    At most ``max_unanswered`` commands are without a reply; a further send waits for the
    oldest of them, for at most ``patience`` seconds, which bounds what a stalled broker can
    hold.  Not thread-safe: it belongs to one thread, or its owner locks.

    Every method raises alike: :class:`redis.exceptions.ResponseError` where the broker
    refused an earlier command, which has then been taken off the count (the connection
    stays, and commands of the very call have not left); another
    :class:`redis.exceptions.RedisError` or an :class:`OSError` where the connection failed
    (it is closed, and what was unanswered may or may not have been carried out).
    """

    def __init__(
        self,
        pool: Callable[[], redis.ConnectionPool],
        max_unanswered: int = 1024,
        patience: float = 5.0,
    ) -> None:
        self._pool = pool
        self._max_unanswered = max_unanswered
        self._patience = patience
        self._owner: redis.ConnectionPool | None = None
        self._connection: Any = None
        self.unanswered = 0

    def connect(self) -> None:
        """Connect, where there is no connection; :meth:`send` does so too, but then waits."""
        if self._connection is None:
            self._owner = self._pool()
            self._connection = self._owner.get_connection()

    def send(self, commands: Sequence[tuple[Any, ...]]) -> None:
        """Send commands in order, in one write, without waiting for their replies."""
        self.collect(max(self._max_unanswered - len(commands), 0))
        self.collect()
        self._drop_if_closed()
        try:
            self.connect()
            connection = self._connection
            # One buffer is one write, and as few packets as can be.  No health check: its PING
            # would wait behind every unanswered command, and take one's reply for its own.
            data = b"".join(connection.pack_commands(commands))
            connection.send_packed_command([data], check_health=False)
        except (OSError, redis.RedisError):
            self.close()
            raise
        self.unanswered += len(commands)

    def collect(self, leave: int | None = None) -> int:
        """Take the replies that are there, or wait until at most ``leave`` are missing.

        Args:
            leave: how many may stay unanswered; None takes only what has arrived.

        Returns:
            The number of replies taken.
        """
        taken = 0
        connection = self._connection
        if connection is None:
            return 0
        try:
            while self.unanswered > (leave or 0):
                if not connection.can_read(0 if leave is None else self._patience):
                    if leave is None:
                        break
                    raise redis.TimeoutError(f"no reply within {self._patience:g} s")
                self.unanswered -= 1
                taken += 1
                connection.read_response()
        except ResponseError:
            raise
        except (OSError, redis.RedisError):
            self.close()
            raise
        return taken

    def _drop_if_closed(self) -> None:
        """Notice a connection that the broker closed while it was idle: nothing was lost."""
        connection = self._connection
        if connection is None or self.unanswered:
            return
        try:
            idle = not connection.can_read(0)
        except (OSError, redis.RedisError):
            idle = False
        if not idle:
            self.close()

    def close(self) -> None:
        """Drop the connection; what is unanswered stays uncertain."""
        connection, self._connection = self._connection, None
        owner, self._owner = self._owner, None
        self.unanswered = 0
        if connection is not None and owner is not None:
            connection.disconnect()
            owner.release(connection)
