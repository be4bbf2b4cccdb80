"""What lies around a session: the broker's registry, and what sessions tell each other.

In a pool of one's own these are keys that all share; in an open pool each gamer's own, and what the
operator vouches for.
"""

from __future__ import annotations

from collections.abc import Callable

from p2c2g.joining.expulsion import Expulsion
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.dispatcher import Dispatcher
from p2c2g.messaging.inbox import Inbox
from p2c2g.peers.breaker import Change
from p2c2g.peers.open_registry import OpenRegistry
from p2c2g.peers.open_shared import OpenBreakers, OpenHealth, OtherGamers
from p2c2g.peers.registry import Registry
from p2c2g.peers.shared_breakers import SharedBreakers
from p2c2g.peers.shared_health import SharedHealth
from p2c2g.session.config import SessionConfig
from p2c2g.session.maintenance import Surroundings
from p2c2g.session.registry_follower import RegistryFollower
from p2c2g.session.seals import Seals
from p2c2g.settings.membership import Membership
from p2c2g.verify.examination import Comparer

_LOGIN_ENDED = (
    "This pool has ended your login: its key was revoked or has expired, or you are banned; ask "
    "its operator"
)


def surroundings(
    broker: Broker,
    session: str,
    config: SessionConfig,
    dispatcher: Dispatcher,
    inbox: Inbox,
    comparer: Comparer,
    seals: Seals,
    clock: Callable[[], float],
    muted: Callable[[], frozenset[str]] = frozenset,
) -> Surroundings:
    """Return what lies around one session.

    Args:
        broker: the pool's.
        session: the session's id.
        config: the session's.
        dispatcher: its sending side.
        inbox: where its results come.
        comparer: compares answers to examinations.
        seals: of its pictures: they learn whose keys are vouched for.
        clock: seconds, monotonic.
        muted: returns whose answers are not to be read.
    """
    client = broker.client
    if broker.gamer:
        others = OtherGamers(client, broker.gamer, clock)
        registry = OpenRegistry(client, broker.gamer, seals.admit)
        return Surroundings(
            reconnect=dispatcher.connect,
            breakers=OpenBreakers(client, broker.gamer, others, clock),
            ask=_nobody,
            registry=RegistryFollower(
                registry, config, clock, inbox.follow, registry.voucher, muted
            ),
            comparer=comparer,
            health=OpenHealth(client, broker.gamer, others),
            refusal=_refusal(broker.membership),
        )

    def ask(changes: list[Change]) -> None:
        """Ask peers to leave the capability queue, or to come back to it."""
        for change in changes:
            tell = broker.leave_queue if change.seconds else broker.join_queue
            tell(config.queue, change.peer)

    return Surroundings(
        reconnect=dispatcher.connect,
        breakers=SharedBreakers(client, clock, session),
        ask=ask,
        registry=RegistryFollower(Registry(client), config, clock),
        comparer=comparer,
        health=SharedHealth(client, session),
    )


def _refusal(membership: Membership | None) -> Callable[[], str]:
    """Return what says why an open pool's broker refuses a session: its coordinator knows."""
    if membership is None:
        return lambda: _LOGIN_ENDED
    expulsion = Expulsion(membership)
    return lambda: expulsion.sentence() or _LOGIN_ENDED


def _nobody(changes: list[Change]) -> None:
    """Ask nobody: there is no queue but those that are one peer's and one gamer's."""
