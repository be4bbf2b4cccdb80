"""Waits for peers; a gamer of an open pool can ask them nothing, and looks for their beats."""

from __future__ import annotations

from threading import Event
from time import monotonic

from p2c2g.errors import UnavailableError
from p2c2g.messaging.broker import Broker
from p2c2g.peers.open_registry import OpenRegistry

#: Seconds that the peers have to answer.
PATIENCE = 30.0
#: Seconds between two looks.
_LOOK = 0.25


def wait_for_peers(broker: Broker, count: int) -> None:
    """Wait until so many peers answer, so that the first frames find them.

    Raises:
        UnavailableError: they do not.
        BrokerUnavailableError: the broker does not answer.
    """
    if broker.gamer:
        found, start = living(broker, count, PATIENCE), "p2c2g peer run --join"
    else:
        found, start = broker.ping(count, PATIENCE), "celery -A p2c2g worker"
    if found < count:
        raise UnavailableError(
            f"{found} of {count} peers answered within {PATIENCE:.0f} s: start more with "
            f"{start}, or ask for fewer."
        )


def living(broker: Broker, count: int, timeout: float) -> int:
    """Wait until ``count`` peers live, or for ``timeout`` seconds; return how many do.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    registry, pause = OpenRegistry(broker.client, broker.gamer), Event()
    deadline = monotonic() + timeout
    while True:
        pulses = registry.beats(sorted(registry.ids())).values()
        found = sum(pulse.beat is not None for pulse in pulses)
        if found >= count or monotonic() >= deadline:
            return found
        pause.wait(_LOOK)
