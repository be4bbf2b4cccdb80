"""Celery's remote control as we use it: what sessions and operators ask of a worker.

Each raises :class:`~p2c2g.errors.BrokerUnavailableError` where the broker does not answer.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from celery import Celery

from p2c2g.messaging.client import SOCKET_TIMEOUT, open_connection
from p2c2g.messaging.errors import translated

#: Seconds in which the workers answer one ping.
PING = 0.5


def leave_queue(app: Celery, queue: str, peer: str) -> None:
    """Ask a peer to take nothing more from a queue.  Waits for no answer."""
    with translated(), open_connection(app, SOCKET_TIMEOUT) as connection:
        app.control.cancel_consumer(queue, destination=[peer], connection=connection)


def join_queue(app: Celery, queue: str, peer: str) -> None:
    """Ask a peer to take from a queue, again as a rule.  Waits for no answer."""
    with translated(), open_connection(app, SOCKET_TIMEOUT) as connection:
        app.control.add_consumer(queue, destination=[peer], connection=connection)


def ping(app: Celery, count: int, timeout: float, clock: Callable[[], float] = monotonic) -> int:
    """Ping until ``count`` workers answer, or for ``timeout`` seconds; return how many did last."""
    deadline = clock() + timeout
    found = 0
    with translated(), open_connection(app) as connection:
        while found < count and clock() <= deadline:
            answers = app.control.ping(timeout=PING, limit=count, connection=connection)
            found = len(answers or ())
    return found


def drain(app: Celery, peer: str, timeout: float, by: str = "") -> Any:
    """Ask a peer to finish what it has and leave.

    Args:
        app: the broker's.
        peer: its id.
        timeout: seconds.
        by: who asks: its lender is told.

    Returns:
        Its answer, ``{"ok": …}`` where it will; None where it gave none in ``timeout`` seconds.
    """
    with translated(), open_connection(app) as connection:
        answers = app.control.broadcast(
            "drain",
            arguments={"by": by},
            destination=[peer],
            reply=True,
            timeout=timeout,
            limit=1,
            connection=connection,
        )
    return next((each[peer] for each in answers or () if peer in each), None)
