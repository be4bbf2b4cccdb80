"""The session's end of its results stream.

Reads are sent ahead here too: a consumer group needs no last identifier in its request, so
several ``XREADGROUP`` can be outstanding on one connection, and a result that arrives while
the last ones are on their way costs no round trip of its own.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging import names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import BROKER_ERRORS, CONNECTION_ERRORS, translated
from p2c2g.messaging.pipelining import CommandStream

_GROUP = "session"
_READS_AHEAD = 4
_BATCH = 64
#: Milliseconds after which the broker answers a read with nothing, as a sign of life.
_BLOCK_MS = 2000
#: Seconds without any answer after which the connection counts as dead.
SILENCE = 6.0
#: Seconds that a stream outlives a session that vanished.
_EXPIRY = 30
#: Seconds after which its life is prolonged.
REFRESH_INTERVAL = 10.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One entry of the stream: a task's end, as its peer tells it.

    ``error`` and ``peer`` are told of a failure, in place of the header.
    """

    task_id: str
    succeeded: bool
    header: bytes
    payload: bytes
    error: str
    peer: str


class Inbox:
    """The results of one session, as they come.

    The stream is made by :meth:`open` and vanishes with the session: peers add to it only
    while it exists.  All methods belong to one thread but :meth:`wake`.  ``key`` is the
    stream's: what its tasks name as their ``reply_to``.
    """

    def __init__(self, client: Client, session: str) -> None:
        self._client = client
        self.key = names.results(session)
        self._errands = CommandStream(lambda: client.connection_pool)
        self._connection: Any = None
        self._socket: socket.socket | None = None
        self._reads = 0
        self._answered_at = 0.0
        self._refreshed_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._waker, self._wakee = socket.socketpair()
        for end in (self._waker, self._wakee):
            end.setblocking(False)
        self._selector.register(self._wakee, selectors.EVENT_READ)

    def open(self) -> None:
        """Make the stream and send the first reads; again after an error.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        try:
            with translated():
                with self._client.pipeline(transaction=False) as pipe:
                    pipe.xgroup_create(self.key, _GROUP, id="$", mkstream=True)
                    pipe.expire(self.key, _EXPIRY)
                    created, _ = pipe.execute(raise_on_error=False)
                if isinstance(created, Exception) and "BUSYGROUP" not in str(created):
                    raise created
                self._drop()
                self._connection = self._client.connection_pool.get_connection()
                self._socket = self._connection._sock
                self._selector.register(self._socket, selectors.EVENT_READ)
        except BrokerUnavailableError:
            self._drop()
            raise
        self._answered_at = self._refreshed_at = monotonic()
        self._send_reads()

    def wait(self, timeout: float | None) -> bool:
        """Wait for results, for :meth:`wake`, or for ``timeout`` seconds.

        Returns:
            Whether there may be something to read.
        """
        try:
            if self._connection is not None and self._reads and self._connection.can_read(0):
                return True
        except CONNECTION_ERRORS:
            return True  # There is an error to read.
        readable = False
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._wakee:
                with suppress(BlockingIOError):
                    self._wakee.recv(4096)
            else:
                readable = True
        return readable

    def wake(self) -> None:
        """End a :meth:`wait` from another thread."""
        with suppress(BlockingIOError, OSError):
            self._waker.send(b"\0")

    def read(self) -> Iterator[Arrival]:
        """Give what has arrived, without waiting for more.

        Raises:
            BrokerUnavailableError: the connection failed; :meth:`open` makes another.
        """
        try:
            with translated("The broker went away"):
                while self._reads and self._connection.can_read(0):
                    reply = self._connection.read_response()
                    self._reads -= 1
                    self._answered_at = monotonic()
                    # Before anything else, so that the next ones are on their way; but what
                    # has come is given even where no more can be asked for.
                    failure = self._try_send_reads()
                    for _key, entries in _pairs(reply):
                        for _id, fields in entries:
                            yield _arrival(fields)
                    if failure is not None:
                        raise failure
                self._keep_alive()
        except BrokerUnavailableError:
            self._drop()
            raise

    def close(self) -> None:
        """Delete the stream and close."""
        with suppress(*BROKER_ERRORS):
            self._client.delete(self.key)
        self._drop()
        self._selector.close()
        self._waker.close()
        self._wakee.close()

    def _try_send_reads(self) -> Exception | None:
        try:
            self._send_reads()
        except CONNECTION_ERRORS as error:
            return error
        return None

    def _send_reads(self) -> None:
        missing = _READS_AHEAD - self._reads
        command = (
            "XREADGROUP", "GROUP", _GROUP, "session", "COUNT", _BATCH, "BLOCK", _BLOCK_MS,
            "NOACK", "STREAMS", self.key, ">",
        )  # fmt: skip
        connection = self._connection
        # No health check: its PING would wait behind the reads and take one's reply.
        connection.send_packed_command(
            connection.pack_commands([command] * missing), check_health=False
        )
        self._reads += missing

    def _keep_alive(self) -> None:
        now = monotonic()
        if now - self._answered_at > SILENCE:
            raise TimeoutError(f"no answer for {now - self._answered_at:.0f} s")
        if now - self._refreshed_at > REFRESH_INTERVAL:
            self._refreshed_at = now
            # Nobody waits a round trip for it, and no result waits behind it.
            self._errands.send([("EXPIRE", self.key, _EXPIRY)])

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._reads = 0
        self._errands.close()
        sock, self._socket = self._socket, None
        if sock is not None:
            with suppress(KeyError, ValueError):
                self._selector.unregister(sock)
        if connection is not None:
            connection.disconnect()
            self._client.connection_pool.release(connection)


def _pairs(reply: Any) -> Any:
    """Return ``(key, entries)`` pairs of a read's reply in either protocol version."""
    if not reply:
        return ()
    return reply.items() if isinstance(reply, dict) else reply


def _arrival(flat: list[bytes]) -> Arrival:
    fields = dict(zip(flat[::2], flat[1::2], strict=False))
    return Arrival(
        task_id=fields.get(b"id", b"").decode(errors="replace"),
        succeeded=fields.get(b"state") == b"SUCCESS",
        header=fields.get(b"header", b""),
        payload=fields.get(b"payload", b""),
        error=fields.get(b"error", b"").decode(errors="replace"),
        peer=fields.get(b"peer", b"").decode(errors="replace"),
    )
