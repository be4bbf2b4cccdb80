"""The line to the broker: its round trip, and how much goes up and down in a second."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from time import perf_counter
from uuid import uuid4

from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging import bounded, names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated

logger = logging.getLogger(__name__)

#: Bytes of the first and of the largest value that is sent, and by how much it grows.
FIRST, LARGEST, GROWTH = 16 << 10, 256 << 10, 4
#: Values of the largest size in one go.
TOGETHER = 4
#: Seconds for each direction, about.
BUDGET = 0.4
PINGS = 7
#: Seconds after which the broker forgets the value by itself.
_EXPIRY = 10


@dataclass(frozen=True, slots=True)
class Line:
    """Bits a second up to the broker and down from it, and a round trip in seconds."""

    up: float = 0.0
    down: float = 0.0
    rtt: float = 0.0


def measure(client: Client, key: str | None = None) -> Line:
    """Measure for about a second; what the broker does not answer is 0, with a line in the log.

    The values grow step by step while the next can be expected to end in time: a far peer's
    line could not carry the largest at all.

    Args:
        client: the broker's.
        key: what is sent to and fro; one of the pool's own where None.
    """
    up = down = rtt = 0.0
    key = key or names.measurement(uuid4().hex)
    try:
        with translated("Could not measure the line to the broker"):
            client.ping()  # Connects.
            rtt = min(_ping(client) for _ in range(PINGS))
            up = _grow(client, key, rtt, down=False)
            down = _grow(client, key, rtt, down=True)
            client.delete(key)
    except BrokerUnavailableError as error:
        logger.warning("%s", error)
    return Line(up, down, rtt)


def _ping(client: Client) -> float:
    start = perf_counter()
    client.ping()
    return perf_counter() - start


def _grow(client: Client, key: str, rtt: float, *, down: bool) -> float:
    """Return the bits a second of the largest transfer that fits into the budget."""
    size, together = FIRST, 1
    spent = rate = 0.0
    while True:
        seconds = _transfer(client, key, size, together, down=down)
        spent += seconds
        # A round trip of it is no transfer; a tenth stays, or on loopback nothing would be left.
        rate = 8 * size * together / max(seconds - rtt, seconds / 10)
        if together > 1 or spent + GROWTH * seconds > BUDGET:
            return rate
        if size < LARGEST:
            size *= GROWTH
        else:
            together = TOGETHER


def _transfer(client: Client, key: str, size: int, together: int, *, down: bool) -> float:
    value = os.urandom(size)  # Nothing in between can compress it.
    if down:
        client.set(key, value, ex=_EXPIRY)
    start = perf_counter()
    with client.pipeline(transaction=False) as pipe:
        for _ in range(together):
            if down:
                bounded.text(pipe, key, size)
            else:
                pipe.set(key, value, ex=_EXPIRY)
        pipe.execute()
    return perf_counter() - start
