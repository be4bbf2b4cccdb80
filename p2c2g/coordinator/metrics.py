"""Figures of the pool for Prometheus, gathered when they are asked for.

They are the pool's and not this process's: several coordinators say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from p2c2g.coordinator.access import ServicesDep, require
from p2c2g.coordinator.accounts import Identity
from p2c2g.coordinator.keys import Scope
from p2c2g.coordinator.look import look
from p2c2g.coordinator.own_look import look_at
from p2c2g.coordinator.services import Services
from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging.errors import translated
from p2c2g.peers.messages import PeerState
from p2c2g.settings.principal import Role

router = APIRouter(tags=["metrics"])

#: What the broker says of itself, and what we call it.
_BROKER: Final = {
    "used_memory": ("p2c2g_broker_memory_bytes", "Memory that the broker uses."),
    "maxmemory": ("p2c2g_broker_memory_limit_bytes", "Memory that it may use; 0 for any."),
    "connected_clients": ("p2c2g_broker_connections", "Connections to the broker."),
    "maxclients": ("p2c2g_broker_connections_limit", "Connections that it accepts."),
}


class _Pool(Collector):
    """Looks at the pool; where the broker does not answer, that is all there is to say."""

    def __init__(self, services: Services, errors: int) -> None:
        self._services = services
        self._errors = errors

    def collect(self) -> Iterator[Metric]:
        """Return the figures."""
        yield GaugeMetricFamily(
            "p2c2g_coordinator_errors", "Lines of errors that the coordinator shows.", self._errors
        )
        try:
            found = [*self._peers(), *self._broker()]
        except BrokerUnavailableError:
            found = []
        answers = "Whether the pool's broker answers."
        yield GaugeMetricFamily("p2c2g_broker_up", answers, float(bool(found)))
        yield from found

    def _peers(self) -> Iterator[Metric]:
        client, pool = self._services.broker.client, self._services.pool
        states: Counter[str] = Counter({each.value: 0 for each in PeerState})
        if self._services.settings.coordinator.pool == "own":
            seen = look_at(client)
            states.update(peer.state for peer in seen.peers)
            rate, waiting = seen.rate, seen.waiting
        else:
            rows = pool.list_principals(Role.PEER), pool.list_principals(Role.GAMER)
            peers, gamers = ([row.id for row in each] for each in rows)
            living = look(client, peers, gamers)
            states.update(each.beat.state.value for each in living.values())
            rate = sum(each.rate for each in living.values())
            waiting = sum(each.waiting for each in living.values())
        of_states = GaugeMetricFamily("p2c2g_peers", "Peers that beat.", labels=["state"])
        for state, count in sorted(states.items()):
            of_states.add_metric([state], count)
        yield of_states
        yield GaugeMetricFamily("p2c2g_chunks_per_second", "Chunks that peers end.", rate)
        yield GaugeMetricFamily("p2c2g_chunks_waiting", "Chunks that nobody has begun.", waiting)

    def _broker(self) -> Iterator[Metric]:
        with translated():
            client = self._services.broker.client
            said = client.info("memory") | client.info("clients")
        for name, (metric, text) in _BROKER.items():
            if name in said:
                yield GaugeMetricFamily(metric, text, float(said[name]))


@router.get("/v1/metrics", response_class=Response)
def metrics(
    request: Request,
    services: ServicesDep,
    _: Annotated[Identity, Depends(require(Scope.POOL_READ))],
) -> Response:
    """Show the pool's figures, for Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Pool(services, len(request.app.state.recent.lines)))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
