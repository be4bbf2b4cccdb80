"""A name of its own for each worker: where another of the machine has it, the next free one.

The name is claimed before anything is named after it, by a beat that says that the peer is
starting: so of two that start together each gets another.  A worker that was killed does not keep
its name: its beat does not change, and is gone after three intervals.

In an open pool it is called as its membership says, and nothing is claimed.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any
from uuid import uuid4

from celery import signals

from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging import bounded, names
from p2c2g.messaging.client import Client, redis_client
from p2c2g.messaging.errors import translated
from p2c2g.messaging.labels import is_name
from p2c2g.peers.messages import MAX_BEAT, Beat, PeerState
from p2c2g.peers.registry import MISSED, Registry
from p2c2g.settings import load
from p2c2g_workers.gamers import node_name

#: Milliseconds for which a claim holds: a worker enrols before.
CLAIM_MS = 20_000
#: Seconds between two looks at a beat that may be a killed worker's.
LOOK = 0.25
#: Workers of one name on one machine at most.
MOST = 100
#: Where a worker's controller keeps what was claimed for it.
_CLAIM = "p2c2g_claim"


def claim(client: Client, wanted: str, instance: str, interval: float) -> str:
    """Return the name that a worker gets: the wanted one, or the next free one.

    Args:
        client: the broker's.
        wanted: such as ``cpu@host``.
        instance: the worker's.
        interval: seconds between beats, of the worker and probably of its namesake.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    beat = Beat(instance=instance, state=PeerState.STARTING).model_dump_json().encode()
    for number in range(1, MOST):
        name = numbered(wanted, number)
        if _claim(client, names.beat(name), beat, interval):
            return name
    return wanted  # The registry tells it that it is taken.


def numbered(name: str, number: int) -> str:
    """Return the name of a machine's n-th worker of that name, such as ``cpu-2@host``."""
    node, at, host = name.partition("@")
    return name if number == 1 else f"{node}-{number}{at}{host}"


def _claim(client: Client, key: str, beat: bytes, interval: float) -> bool:
    deadline = monotonic() + (MISSED + 1) * interval
    first: bytes | None = None
    while True:
        with translated():
            if client.set(key, beat, nx=True, px=CLAIM_MS):
                return True
            held: Any = bounded.text(client, key, MAX_BEAT) or None
        first = first or held
        # A beat that changes is alive, and one that says nothing yet is starting.
        if held is not None and (held != first or _is_claim(held)):
            return False
        if monotonic() > deadline:
            return False
        threading.Event().wait(LOOK)


def _is_claim(held: bytes) -> bool:
    return f'"state":"{PeerState.STARTING.value}"'.encode() in held and b'"uptime":0.0' in held


class Claim:
    """What a worker was to be called, and the instance that claimed what it is called."""

    def __init__(self, wanted: str, instance: str) -> None:
        self.wanted = wanted
        self.instance = instance

    @classmethod
    def of(cls, controller: Any, name: str) -> Claim:
        """Return a controller's; a new one where it could claim nothing."""
        found = getattr(controller, _CLAIM, None)
        return found if isinstance(found, cls) else cls(name, uuid4().hex)

    def release(self, client: Client, name: str) -> None:
        """Give a name up again, for a worker that does not start; not where nobody answers."""
        try:
            Registry(client).leave(name, (), self.instance)
        except BrokerUnavailableError:
            return


@signals.celeryd_init.connect
def _choose_name(sender: str = "", instance: Any = None, **_: Any) -> None:
    """Give a worker its name, before Celery names queues after it."""
    if instance is None or not is_name(sender):
        return
    settings = load()
    if settings.membership is not None:
        # Its place is that of the membership; whether another has it is found when it enrols.
        instance.hostname = node_name(settings.membership.principal)
        return
    made = Claim(sender, uuid4().hex)
    client = redis_client(settings)
    try:
        instance.hostname = claim(client, sender, made.instance, settings.worker.beat_interval)
    except BrokerUnavailableError:
        return  # It is waited for later, and tells then that the name is taken.
    finally:
        client.close()
    setattr(instance, _CLAIM, made)
