"""The reader of the broker's replies, which stops at one that is too long, and counts bytes.

A reply begins with its length, and redis-py would keep whatever follows until all has come: 300 MB
where a stranger has put them into a queue, at a broker that takes them.  This one gives the
connection up, which is all that can be done in the middle of a reply; what it was is lost.
"""

from __future__ import annotations

from typing import Any

from redis._parsers import _HiredisParser
from redis.exceptions import ConnectionError as RedisConnectionError

from p2c2g.messaging.limits import MAX_BULK, MAX_REPLY
from p2c2g.messaging.metering import counted


class TooLongError(RedisConnectionError):
    """A reply is longer than any may be."""


class BoundedParser(_HiredisParser):
    """hiredis, up to :data:`~p2c2g.messaging.limits.MAX_REPLY` bytes a reply.

    Raises, when it reads:
        TooLongError: there is more.
    """

    _taken = 0

    def on_connect(self, connection: Any, **kwargs: Any) -> None:
        """Begin with a connection, whose bytes count from now on: each of ours comes by here."""
        connection._sock = counted(connection._sock)
        super().on_connect(connection, **kwargs)  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Return one reply."""
        self._taken = 0
        return super().read_response(*args, **kwargs)

    def read_from_socket(self, *args: Any, **kwargs: Any) -> bool:
        """Take what has come of a reply that is not complete."""
        if self._taken > MAX_REPLY:
            raise TooLongError(
                f"The broker's reply has more than {MAX_REPLY} bytes, which nothing of ours has: "
                f"set its proto-max-bulk-len to {MAX_BULK}"
            )
        reader = self._reader
        held = reader.len() if reader is not None else 0
        came: bool = super().read_from_socket(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._taken += reader.len() - held
        return came
