"""How far the pool's trainings are, at the broker: one hash for each order, ``p2c2g.training.ID``.

The gamer makes it and it lasts as long as the gamer renews it; a peer only writes into one that is
there, in one round trip that also tells it whether it is still wanted.  So nothing is left behind
by one that vanishes, and of two peers with the same order only the later attempt counts.
"""

from __future__ import annotations

from typing import Any, Literal

from p2c2g.messaging import bounded, names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.messaging.scripts import script
from p2c2g_training.order import FIELDS, MAX_FIELD, Progress

#: Seconds that an order and its blobs outlast the last word of their gamer.
LIFETIME = 900.0

#: Whether a peer's work is wanted: superseded where another attempt has begun, gone where the
#: gamer has called it off or is no more.
Standing = Literal["wanted", "superseded", "gone"]
_STANDINGS: tuple[Standing, ...] = ("wanted", "superseded", "gone")


class Board:
    """Orders at one broker.

    Every method raises :class:`~p2c2g.errors.BrokerUnavailableError` where it does not answer.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._tell: Any = client.register_script(script("training_tell"))
        self._again: Any = client.register_script(script("training_again"))

    def post(self, order: str) -> int:
        """Put an order up; returns the first attempt's number."""
        with translated(), self._client.pipeline() as pipe:
            pipe.delete(names.training(order))
            pipe.hset(names.training(order), mapping={"state": "waiting", "attempt": 1, "beat": 0})
            pipe.pexpire(names.training(order), round(LIFETIME * 1000))
            pipe.execute()
        return 1

    def renew(self, order: str) -> bool:
        """Let an order last on; tells whether it is there."""
        with translated():
            return bool(self._client.pexpire(names.training(order), round(LIFETIME * 1000)))

    def again(self, order: str) -> int:
        """Begin another attempt, which ends the last one; its number, 0 where it is gone."""
        with translated():
            return int(self._again(keys=[names.training(order)]))

    def look(self, order: str) -> Progress | None:
        """Return how far an order is; None where there is none."""
        with translated():
            found = bounded.values(self._client, names.training(order), FIELDS, MAX_FIELD)
        said = {
            name: value.decode(errors="replace")
            for name, value in found.items()
            if isinstance(value, bytes)
        }
        return Progress.read(said) if said else None

    def drop(self, order: str) -> bool:
        """Take an order down, which calls it off; tells whether there was one."""
        with translated():
            return bool(self._client.delete(names.training(order)))

    def tell(self, order: str, attempt: int, **fields: str | float) -> Standing:
        """Tell as a peer how far it is; returns whether its work is wanted."""
        flat = [str(one) for pair in fields.items() for one in pair]
        with translated():
            told = self._tell(keys=[names.training(order)], args=[str(attempt), *flat])
        text = told.decode() if isinstance(told, bytes) else str(told)
        return next((one for one in _STANDINGS if one == text), "gone")
