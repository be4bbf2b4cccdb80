"""How far the pool's trainings are, at the broker: one hash for each order, ``p2c2g.training.ID``.

The gamer makes it and it lasts as long as the gamer renews it; a peer only writes into one that is
there, in one round trip that also tells it whether it is still wanted.  So nothing is left behind
by whoever vanishes, and of two peers with the same order only the later attempt counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import redis

from p2c2g.errors import BrokerUnavailableError
from p2c2g_training.order import Progress

PREFIX = "p2c2g.training."
#: Seconds that an order and its blobs outlast the last word of their gamer.
LIFETIME = 900.0

#: Whether a peer's work is wanted: superseded where another attempt has begun, gone where the
#: gamer has called it off or is no more.
Standing = Literal["wanted", "superseded", "gone"]
_STANDINGS: tuple[Standing, ...] = ("wanted", "superseded", "gone")

#: KEYS[1] the hash; ARGV the attempt, then fields and values.
_TELL = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] then return 'superseded' end
redis.call('HINCRBY', KEYS[1], 'beat', 1)
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 'wanted'
"""
#: The same for the gamer: the next attempt's number, or 0 where the order is gone.
_AGAIN = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'waiting', 'net', '', 'sentence', '')
return redis.call('HINCRBY', KEYS[1], 'attempt', 1)
"""


class Board:
    """Orders at one broker.

    Every method raises :class:`~p2c2g.errors.BrokerUnavailableError` where it does not answer.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._tell: Any = client.register_script(_TELL)
        self._again: Any = client.register_script(_AGAIN)

    def post(self, order: str) -> int:
        """Put an order up; returns the first attempt's number."""
        with _translated(), self._client.pipeline() as pipe:
            pipe.delete(PREFIX + order)
            pipe.hset(PREFIX + order, mapping={"state": "waiting", "attempt": 1, "beat": 0})
            pipe.pexpire(PREFIX + order, round(LIFETIME * 1000))
            pipe.execute()
        return 1

    def renew(self, order: str) -> bool:
        """Let an order last on; tells whether it is there."""
        with _translated():
            return bool(self._client.pexpire(PREFIX + order, round(LIFETIME * 1000)))

    def again(self, order: str) -> int:
        """Begin another attempt, which ends the last one; its number, 0 where it is gone."""
        with _translated():
            return int(self._again(keys=[PREFIX + order]))

    def look(self, order: str) -> Progress | None:
        """Return how far an order is; None where there is none."""
        with _translated():
            found: Any = self._client.hgetall(PREFIX + order)
        if not found:
            return None
        return Progress.read(
            {key.decode(errors="replace"): value.decode(errors="replace")
             for key, value in found.items()}
        )  # fmt: skip

    def drop(self, order: str) -> bool:
        """Take an order down, which calls it off; tells whether there was one."""
        with _translated():
            return bool(self._client.delete(PREFIX + order))

    def tell(self, order: str, attempt: int, **fields: str | float) -> Standing:
        """Tell as a peer how far it is; returns whether its work is wanted."""
        flat = [str(one) for pair in fields.items() for one in pair]
        with _translated():
            told = self._tell(keys=[PREFIX + order], args=[str(attempt), *flat])
        text = told.decode() if isinstance(told, bytes) else str(told)
        return next((one for one in _STANDINGS if one == text), "gone")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise BrokerUnavailableError(f"The broker does not answer: {error}.") from error
