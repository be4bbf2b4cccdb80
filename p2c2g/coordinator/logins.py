"""Browsers that signed in with a key: each has a cookie, which ends with the key or before it.

The cookie is 256 random bits, of which the database has a digest.  What a form sends carries a
token besides, made of that cookie under a key of its own, so that a page of another site can send
no form in a signed-in browser's name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import delete

from p2c2g.coordinator import keys
from p2c2g.coordinator.accounts import Accounts, Identity, NotAdmittedError
from p2c2g.coordinator.audit import AuditLog
from p2c2g.coordinator.database import Database
from p2c2g.coordinator.models import LoginRow
from p2c2g.coordinator.server_secret import ServerSecret


@dataclass(frozen=True, slots=True)
class Visit:
    """One signed-in browser.  ``form_token`` has to come with whatever it sends."""

    identity: Identity
    form_token: str = field(repr=False)


class Logins:
    """Signs browsers in and out.

    Every method may raise :class:`~p2c2g.coordinator.database.DatabaseUnavailableError`.

    Args:
        database: where they are.
        accounts: knows the keys.
        audit: where signing in is written down.
        secret: the coordinator's.
        clock: seconds since 1970.
        seconds: that a login lasts.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        audit: AuditLog,
        secret: ServerSecret,
        clock: Callable[[], float],
        seconds: float,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._audit = audit
        self._cookies, self._forms = secret.key("logins of browsers"), secret.key("forms")
        self._clock = clock
        self._seconds = seconds

    def sign_in(self, identity: Identity, address: str) -> str:
        """Return a new cookie."""
        cookie, now = keys.new_token(), self._clock()
        with self._database.writing() as session:
            session.execute(delete(LoginRow).where(LoginRow.expires <= now))
            session.add(
                LoginRow(
                    digest=keys.digest(self._cookies, cookie),
                    key_id=identity.key_id,
                    created=now,
                    expires=now + self._seconds,
                )
            )
            self._audit.record(session, identity.actor(address), "login", identity.key_id)
        return cookie

    def sign_out(self, cookie: str) -> None:
        """End a login."""
        with self._database.writing() as session:
            kept = keys.digest(self._cookies, cookie)
            session.execute(delete(LoginRow).where(LoginRow.digest == kept))

    def visit(self, cookie: str) -> Visit:
        """Return who a cookie is.

        Raises:
            NotAdmittedError: it is none that counts.
        """
        with self._database.reading() as session:
            row = session.get(LoginRow, keys.digest(self._cookies, cookie))
            if row is None or row.expires <= self._clock():
                raise NotAdmittedError("Sign in with your key.")
            identity = self._accounts.of_key(session, row.key_id)
        return Visit(identity, keys.digest(self._forms, cookie).hex())
