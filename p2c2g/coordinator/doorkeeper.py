"""What a running coordinator does beside answering: the broker follows, and nobody fills it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from p2c2g.coordinator.audit import ITSELF
from p2c2g.coordinator.broker_rights import BrokerRights
from p2c2g.coordinator.enrolment import Enrolment, Terms
from p2c2g.coordinator.janitor_thread import JanitorThread
from p2c2g.coordinator.releases import Releases
from p2c2g.coordinator.services import Services
from p2c2g.errors import BrokerRefusesError, BrokerUnavailableError
from p2c2g.messaging.rights import Rights
from p2c2g.sealing.identity import Identity

logger = logging.getLogger(__name__)


@contextmanager
def opened(services: Services) -> Iterator[Enrolment]:
    """Keep the door of a coordinator, whose gate this becomes, until the block ends.

    Raises:
        UsageError: as :func:`check`.
    """
    terms = Terms.of(services.settings)
    rights = Rights(services.broker.client)
    keeper = BrokerRights(
        services.database,
        rights,
        services.secret.key("logins"),
        Identity.from_bytes(services.secret.key("vouching")),
        terms.prefix,
        services.audit,
        services.clock,
    )
    services.gate = keeper

    def ban(principal: str, reason: str, evidence: str) -> None:
        services.pool.ban(principal, reason, evidence, ITSELF)
        keeper.settle([principal])

    with keeper, JanitorThread(rights, keeper, ban) as janitor:
        services.checks = (keeper.check, janitor.check)
        yield Enrolment(
            services.database,
            services.accounts,
            keeper,
            services.audit,
            terms,
            services.secret.key("tokens"),
            services.clock,
            Releases(services.database, services.audit, services.clock).public_key,
        )


def check(services: Services) -> None:
    """Refuse a broker that cannot be an open pool's, and warn of one that bounds too little.

    Raises:
        UsageError: its members would reach it without TLS, or with wrong certificates.
        BrokerRefusesError: it refuses, or is too old.
    """
    Terms.of(services.settings)
    try:
        wanting = Rights(services.broker.client).shortcomings()
    except BrokerRefusesError:
        raise
    except BrokerUnavailableError:
        return  # It is waited for.
    if wanting:
        logger.warning(
            "The broker does not bound what strangers may do (docs/pools.md has what would be "
            "right): %s",
            " ".join(wanting),
        )
