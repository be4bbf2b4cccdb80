"""Accounts and their keys: made, looked at, revoked, and recognised.

The API and the commands on the coordinator's own machine both use this, so that neither can do what
the other would refuse or leave out of the audit log.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from p2c2g.coordinator import keys
from p2c2g.coordinator.audit import Actor, AuditLog
from p2c2g.coordinator.database import Database
from p2c2g.coordinator.keys import SCOPES, ApiKey, KeyRole, Scope
from p2c2g.coordinator.models import AccountRow, KeyRow, LoginRow, PrincipalRow
from p2c2g.errors import P2C2GError, UsageError

#: Principals that a row of the audit log names.
_MOST_NAMED = 100
#: Seconds for which a key's last use is not written down again.
_USE_COUNTS_FOR = 60.0


class NotFoundError(P2C2GError):
    """There is nothing of that name."""

    exit_code = 2


class NotAdmittedError(P2C2GError):
    """Who asks showed no key that counts."""


class ForbiddenError(P2C2GError):
    """The key that was shown is not for this."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, by the key that it showed or signed in with."""

    key_id: str
    account_id: str
    account: str
    role: KeyRole
    scopes: frozenset[Scope]
    expires: float | None = None

    def actor(self, address: str) -> Actor:
        """Return who it is in the audit log."""
        return Actor(f"key:{self.key_id}", self.account_id, address)


class Accounts:
    """What can be done with accounts and keys.

    Every method may raise :class:`~p2c2g.coordinator.database.DatabaseUnavailableError`.

    Args:
        database: where they are.
        pepper: what digests of keys are made with, 32 bytes.
        audit: where changes are written down.
        clock: seconds since 1970.
    """

    def __init__(
        self, database: Database, pepper: bytes, audit: AuditLog, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._audit = audit
        self._clock = clock

    # -- accounts ----------------------------------------------------------------------------

    def list_accounts(self, limit: int, after: str = "") -> Sequence[AccountRow]:
        """Return accounts by name; those after a name where one is given."""
        wanted = select(AccountRow).where(AccountRow.name > after).order_by(AccountRow.name)
        with self._database.reading() as session:
            return session.scalars(wanted.limit(limit)).all()

    def disable(self, account_id: str, disabled: bool, actor: Actor) -> list[str]:
        """Shut an account out, or let it in again; return the ids of its principals.

        Raises:
            NotFoundError: there is none of that id.
        """
        with self._database.writing() as session:
            account = session.get(AccountRow, account_id)
            if account is None:
                raise NotFoundError(f"There is no account {account_id[:40]!r}.")
            account.disabled = self._clock() if disabled else None
            action = "account.disable" if disabled else "account.enable"
            self._audit.record(session, actor, action, account.id, name=account.name)
            ours = select(KeyRow.id).where(KeyRow.account_id == account.id)
            if disabled:
                session.execute(delete(LoginRow).where(LoginRow.key_id.in_(ours)))
            held = select(PrincipalRow.id).where(PrincipalRow.account_id == account.id)
            return list(session.scalars(held))

    # -- keys --------------------------------------------------------------------------------

    def has_keys(self) -> bool:
        """Tell whether there was ever a key."""
        with self._database.reading() as session:
            return session.scalar(select(func.count()).select_from(KeyRow)) != 0

    def list_keys(
        self, account_id: str | None = None, limit: int | None = None
    ) -> Sequence[KeyRow]:
        """Return the keys of one account, or of all; the newest first."""
        wanted = select(KeyRow).order_by(KeyRow.created.desc(), KeyRow.id).limit(limit)
        if account_id is not None:
            wanted = wanted.where(KeyRow.account_id == account_id)
        with self._database.reading() as session:
            return session.scalars(wanted).all()

    def create_key(
        self,
        account: str,
        role: KeyRole,
        actor: Actor,
        *,
        scopes: Collection[Scope] | None = None,
        label: str = "",
        lifetime: float | None = None,
        uses: int | None = None,
    ) -> tuple[KeyRow, str]:
        """Make a key; return what is kept of it and the key, which nobody can read again.

        Args:
            account: its name; made where there is none.
            role: of its holder.
            actor: who makes it.
            scopes: what it lets its holder do, all of the role's where None.
            label: for people.
            lifetime: seconds; it does not expire where None.
            uses: how often it can let a machine in, any number where None.

        Raises:
            UsageError: a scope is not the role's.
        """
        wanted = SCOPES[role] if scopes is None else frozenset(scopes)
        if not wanted or not wanted <= SCOPES[role]:
            listed = ", ".join(sorted(scope.value for scope in SCOPES[role]))
            raise UsageError(f"A key of a {role.value} can have these scopes: {listed}.")
        made, now = ApiKey.new(), self._clock()
        with self._database.writing() as session:
            owner = self._account(session, account, actor)
            row = KeyRow(
                id=made.id,
                account_id=owner.id,
                role=role.value,
                scopes=" ".join(sorted(scope.value for scope in wanted)),
                label=label,
                digest=keys.digest(self._pepper, made.text),
                created=now,
                created_by=actor.name,
                expires=None if lifetime is None else now + lifetime,
                uses=uses,
                account=owner,
            )
            session.add(row)
            self._audit.record(
                session, actor, "key.create", row.id, account=owner.name, role=row.role,
                scopes=row.scopes, expires=row.expires, uses=uses, label=label,
            )  # fmt: skip
        return row, made.text

    def revoke(self, key_id: str, actor: Actor) -> list[str]:
        """End a key, all that signed in with it, and whom it let in; return these ids.

        A key that is revoked already stays so.

        Raises:
            NotFoundError: there is none of that id.
        """
        now = self._clock()
        with self._database.writing() as session:
            # Who comes in by it meanwhile is let in before this, or not at all.
            row = session.get(KeyRow, key_id, with_for_update=True)
            if row is None:
                raise NotFoundError(f"There is no key {key_id[:40]!r}.")
            session.execute(delete(LoginRow).where(LoginRow.key_id == key_id))
            let_in = list(session.scalars(
                update(PrincipalRow)
                .where(PrincipalRow.key_id == key_id, PrincipalRow.revoked.is_(None))
                .values(revoked=now)
                .returning(PrincipalRow.id)
            ))  # fmt: skip
            if row.revoked is None:
                row.revoked = now
                self._audit.record(
                    session, actor, "key.revoke", key_id, count=len(let_in),
                    principals=let_in[:_MOST_NAMED],
                )  # fmt: skip
            return let_in

    def hold(self, session: Session, key_id: str) -> None:
        """Keep a key and its account as they are until the block ends that lets somebody in by it.

        Since the key was shown it may have been revoked; and two that come at once are counted one
        after the other.

        Raises:
            NotAdmittedError: the key counts no more.
        """
        row = session.get(KeyRow, key_id, with_for_update=True)
        if row is None:
            raise NotAdmittedError("This coordinator does not know that key.")
        self._admitted(row)

    def spend(self, session: Session, key_id: str) -> bool:
        """Count one machine that a key lets in, in the block that does so; False where it is spent.

        A key that was not given a number of uses can do so any number of times.
        """
        left = session.scalar(
            update(KeyRow)
            .where(KeyRow.id == key_id, KeyRow.revoked.is_(None))
            .where(KeyRow.uses.is_(None) | (KeyRow.uses > 0))
            .values(uses=KeyRow.uses - 1)
            .returning(KeyRow.id)
        )
        return left is not None

    # -- who is it? --------------------------------------------------------------------------

    def identify(self, text: str) -> Identity:
        """Return whose key a text is, and write down that it is used, about once a minute.

        Raises:
            NotAdmittedError: it is none, or counts no more.
        """
        key = ApiKey.parse(text)
        if key is None:
            raise NotAdmittedError(
                "That is no key of this coordinator: a key is p2c2g_ and 61 letters and digits."
            )
        with self._database.reading() as session:
            row = session.get(KeyRow, key.id)
        kept = row.digest if row is not None else bytes(32)
        # Compared in any case, so that the time says nothing of which ids there are.
        if not keys.matches(self._pepper, text, kept) or row is None:
            raise NotAdmittedError("This coordinator does not know that key.")
        identity, now = self._admitted(row), self._clock()
        if row.last_used is None or row.last_used < now - _USE_COUNTS_FOR:
            with self._database.writing() as session:
                session.execute(update(KeyRow).where(KeyRow.id == key.id).values(last_used=now))
        return identity

    def of_key(self, session: Session, key_id: str) -> Identity:
        """Return who has a key, for a browser that signed in with it.

        Raises:
            NotAdmittedError: the key counts no more.
        """
        row = session.get(KeyRow, key_id)
        if row is None:
            raise NotAdmittedError("This coordinator does not know that key.")
        return self._admitted(row)

    def _admitted(self, row: KeyRow) -> Identity:
        if row.revoked is not None:
            raise NotAdmittedError("That key was revoked: ask the pool's operator for another.")
        if row.expires is not None and row.expires <= self._clock():
            raise NotAdmittedError("That key has expired: ask the pool's operator for another.")
        if row.account.disabled is not None:
            raise NotAdmittedError("The account of that key is shut out: ask the pool's operator.")
        return Identity(
            row.id,
            row.account_id,
            row.account.name,
            KeyRole(row.role),
            frozenset(Scope(scope) for scope in row.scopes.split()),
            row.expires,
        )

    def _account(self, session: Session, name: str, actor: Actor) -> AccountRow:
        found = session.scalars(select(AccountRow).where(AccountRow.name == name)).first()
        if found is None:
            found = AccountRow(id=new_id(), name=name, created=self._clock())
            session.add(found)
            session.flush()
            self._audit.record(session, actor, "account.create", found.id, name=name)
        return found


def new_id() -> str:
    """Return a new id of an account or a principal: a small letter, and 19 such and digits."""
    first = secrets.choice(string.ascii_lowercase)
    return first + "".join(
        secrets.choice(string.ascii_lowercase + string.digits) for _ in range(19)
    )
