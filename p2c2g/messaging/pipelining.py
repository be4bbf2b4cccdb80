"""Commands sent ahead: nobody waits a round trip for a reply that says only "done"."""

from __future__ import annotations

import selectors
import socket
import ssl
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError

from p2c2g.messaging.errors import BROKER_ERRORS

#: Seconds that a send which must not wait waits for the kernel to take it.
SEND_PATIENCE = 0.01
#: Seconds without the broker's answer after which a connection that must not wait is dead.
DEAD_AFTER = 2.0

_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class BusyError(redis.RedisError):
    """The connection takes no more now; nothing of this call has left."""


class CommandStream:
    """One connection on which commands leave at once and replies are taken later.

    At most ``max_unanswered`` commands are without a reply; a further send waits for the
    oldest of them, for at most ``patience`` seconds, which bounds what a stalled broker can
    hold.  Not thread-safe: it belongs to one thread, or its owner locks.

    With ``busy_after`` (seconds) a send never waits for the broker: where it has not answered
    for so long, or the kernel's buffer is full, :class:`BusyError` is raised and the
    connection stays; what part of a send had left already is completed by later calls.

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
        busy_after: float | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._pool = pool
        self._max_unanswered = max_unanswered
        self._patience = patience
        self._owner: redis.ConnectionPool | None = None
        self._connection: Any = None
        self._busy_after = busy_after
        self._clock = clock
        self._answered_at = 0.0
        self._rest = memoryview(b"")
        self.unanswered = 0

    def connect(self) -> None:
        """Connect, where there is no connection; :meth:`send` does so too, but then waits."""
        if self._connection is None:
            self._owner = self._pool()
            self._connection = self._owner.get_connection()

    def room(self) -> int:
        """Return how many bytes a send may have so that the kernel takes them at once.

        None where a reply is missing: what was sent then may still fill its buffer.
        """
        sock = getattr(self._connection, "_sock", None)
        if sock is None or self.unanswered:
            return 0
        # Half of what the kernel counts is its own overhead.
        return int(sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)) // 2

    def send(self, commands: Sequence[tuple[Any, ...]]) -> None:
        """Send commands in order, in one write, without waiting for their replies."""
        if self._busy_after is None:
            self.collect(max(self._max_unanswered - len(commands), 0))
        self.collect()
        self._drop_if_closed()
        if self._busy_after is not None and self._connection is not None:
            self._check_busy(len(commands), self._busy_after)
        try:
            self.connect()
            connection = self._connection
            # One buffer is one write, and as few packets as can be.  No health check: its PING
            # would wait behind every unanswered command, and take one's reply for its own.
            data = b"".join(connection.pack_commands(commands))
            if not self.unanswered:
                self._answered_at = self._clock()
            if self._busy_after is None:
                connection.send_packed_command([data], check_health=False)
            else:
                self._rest = memoryview(data)
                self._push(SEND_PATIENCE)
        except BROKER_ERRORS:
            self.close()
            raise
        self.unanswered += len(commands)

    def _check_busy(self, more: int, busy_after: float) -> None:
        """Refuse a send for which the line is not clear; a dead line is closed."""
        silence = self._clock() - self._answered_at if self.unanswered else 0.0
        if silence > DEAD_AFTER:
            self.close()
            raise redis.TimeoutError(f"no reply for {silence:.1f} s")
        try:
            clear = self._push(SEND_PATIENCE)
        except BROKER_ERRORS:
            self.close()
            raise
        if not clear or silence > busy_after or self.unanswered + more > self._max_unanswered:
            raise BusyError(f"{self.unanswered} commands wait for the broker's reply")

    def _push(self, patience: float) -> bool:
        """Let the kernel take what is left of a send; tell whether it took all."""
        if not self._rest:
            return True
        sock = self._connection._sock
        if sock is None:
            raise RedisConnectionError("the connection was closed")
        deadline = self._clock() + patience
        with _Selector() as selector:
            selector.register(sock, selectors.EVENT_WRITE)
            while self._rest and selector.select(max(0.0, deadline - self._clock())):
                try:
                    self._rest = self._rest[sock.send(self._rest) :]
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    continue
        return not self._rest

    def collect(self, leave: int | None = None, patience: float | None = None) -> int:
        """Take the replies that are there, or wait until at most ``leave`` are missing.

        Args:
            leave: how many may stay unanswered; None takes only what has arrived.
            patience: seconds to wait for each, where other than the stream's own.

        Returns:
            The number of replies taken.
        """
        taken = 0
        patience = self._patience if patience is None else patience
        connection = self._connection
        if connection is None:
            return 0
        try:
            while self.unanswered > (leave or 0):
                if not connection.can_read(0 if leave is None else patience):
                    if leave is None:
                        break
                    raise redis.TimeoutError(f"no reply within {patience:g} s")
                self.unanswered -= 1
                taken += 1
                self._answered_at = self._clock()
                connection.read_response()
        except ReadOnlyError as error:
            # A failover: another server has the name by now, or will have.
            self.close()
            raise RedisConnectionError(f"it is a replica now: {error}") from error
        except ResponseError:
            raise
        except BROKER_ERRORS:
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
        except BROKER_ERRORS:
            idle = False
        if not idle:
            self.close()

    def close(self) -> None:
        """Drop the connection; what is unanswered stays uncertain."""
        connection, self._connection = self._connection, None
        owner, self._owner = self._owner, None
        self.unanswered = 0
        self._rest = memoryview(b"")
        if connection is not None and owner is not None:
            connection.disconnect()
            owner.release(connection)
