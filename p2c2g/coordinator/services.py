"""What one coordinator consists of, put together once and passed on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import time
from typing import Protocol

from p2c2g.coordinator import server_secret
from p2c2g.coordinator.accounts import Accounts
from p2c2g.coordinator.audit import ITSELF, AuditLog
from p2c2g.coordinator.database import Database
from p2c2g.coordinator.keys import KeyRole
from p2c2g.coordinator.limiter import Limiter
from p2c2g.coordinator.models import PrincipalRow
from p2c2g.coordinator.pool import Pool
from p2c2g.coordinator.server_secret import ServerSecret
from p2c2g.messaging.broker import Broker
from p2c2g.settings import Settings
from p2c2g.system.secrets import write_private

logger = logging.getLogger(__name__)

#: The file, in the folder of data, that the first operator's key is written to.
FIRST_KEY = "operator.key"


class Gate(Protocol):
    """Who holds the rights at the broker."""

    def settle(self, principals: Sequence[str]) -> None:
        """Make the broker agree with what the database says of these principals, at once.

        It is called when that has been written.  Doing it twice does no harm; what fails is logged
        and done again later, and is no error of who asked.
        """


class NoGate:
    """Changes nothing at a broker: for commands beside a running coordinator, and for tests."""

    def settle(self, principals: Sequence[str]) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Services:
    """One coordinator's parts.

    ``broker`` is the operator's own way to the pool's broker; each of ``checks`` raises
    RuntimeError where a thread of it has died.
    """

    settings: Settings
    secret: ServerSecret = field(repr=False)
    database: Database
    broker: Broker
    audit: AuditLog
    accounts: Accounts
    pool: Pool
    limiter: Limiter
    clock: Callable[[], float]
    gate: Gate = field(default_factory=NoGate)
    checks: tuple[Callable[[], None], ...] = ()

    def settled(self, row: PrincipalRow) -> PrincipalRow:
        """Have the broker follow a change of one principal, and return it."""
        self.gate.settle([row.id])
        return row


@contextmanager
def opened(settings: Settings, clock: Callable[[], float] = time) -> Iterator[Services]:
    """Open a coordinator's parts; SQLite's tables are made or brought up to date.

    Raises:
        UsageError: a setting is wrong, or a PostgreSQL's tables are not this version's.
        DatabaseUnavailableError: the database does not answer.
    """
    own = settings.coordinator
    secret = server_secret.read(own)
    database = Database.of(own)
    try:
        if database.is_sqlite:
            database.migrate()
        else:
            database.check()
        audit = AuditLog(secret.key("audit"), clock)
        accounts = Accounts(database, secret.key("keys"), audit, clock)
        with Broker(settings) as broker:
            pool = Pool(database, audit, clock)
            limiter = Limiter(lambda: broker.client)
            yield Services(
                settings, secret, database, broker, audit, accounts, pool, limiter, clock
            )
    finally:
        database.close()


def make_first_key(services: Services) -> None:
    """Where there was never a key, make an operator's, in a file that this user alone may read.

    It is not printed: what is printed often ends in a log.
    """
    if services.accounts.has_keys():
        return
    folder = services.settings.coordinator.data
    server_secret.private_folder(folder)
    file = folder / FIRST_KEY
    row, text = services.accounts.create_key(
        "operator", KeyRole.OPERATOR, ITSELF, label="the first"
    )
    write_private(file, text + "\n")
    logger.warning(
        "The first operator's key is in %s: take it out of there. Its id is %s.", file, row.id
    )
