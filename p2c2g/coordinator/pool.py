"""What an operator says of peers and gamers: banned and why, drained, welcome again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from p2c2g.coordinator.accounts import NotFoundError
from p2c2g.coordinator.audit import Actor, AuditLog
from p2c2g.coordinator.database import Database
from p2c2g.coordinator.models import PrincipalRow
from p2c2g.errors import UsageError
from p2c2g.settings.principal import Role


class Pool:
    """The peers and gamers that a coordinator let in.

    A change is only written down here; :class:`~p2c2g.coordinator.services.Gate` has the broker
    follow it.  Every method may raise
    :class:`~p2c2g.coordinator.database.DatabaseUnavailableError`, and those of one principal
    :class:`~p2c2g.coordinator.accounts.NotFoundError`.

    Args:
        database: where they are.
        audit: where changes are written down.
        clock: seconds since 1970.
    """

    def __init__(self, database: Database, audit: AuditLog, clock: Callable[[], float]) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    def list_principals(
        self, role: Role | None = None, account_id: str | None = None, limit: int = 1_000
    ) -> Sequence[PrincipalRow]:
        """Return those who are here or banned, the newest first."""
        wanted = select(PrincipalRow).order_by(PrincipalRow.created.desc(), PrincipalRow.id)
        wanted = wanted.where(PrincipalRow.gone.is_(None) | PrincipalRow.banned.is_not(None))
        if role is not None:
            wanted = wanted.where(PrincipalRow.role == role.value)
        if account_id is not None:
            wanted = wanted.where(PrincipalRow.account_id == account_id)
        with self._database.reading() as session:
            return session.scalars(wanted.limit(limit)).all()

    def principal(self, id_: str) -> PrincipalRow:
        """Return one."""
        with self._database.reading() as session:
            return _found(session, id_)

    def ban(self, id_: str, reason: str, evidence: str, actor: Actor) -> PrincipalRow:
        """Shut one out.  One that is banned already gets the newer reason.

        Args:
            id_: its id.
            reason: a sentence; the banned one is told.
            evidence: for operators.
            actor: who does it.
        """
        with self._database.writing() as session:
            row = _found(session, id_)
            row.banned = self._clock()
            row.ban_reason, row.ban_evidence = reason, evidence
            self._audit.record(
                session, actor, f"{row.role}.ban", id_, reason=reason, evidence=evidence
            )
            return row

    def unban(self, id_: str, actor: Actor) -> PrincipalRow:
        """Let one in again."""
        with self._database.writing() as session:
            row = _found(session, id_)
            if row.banned is None:
                raise UsageError(f"{id_} is not banned.")
            self._audit.record(session, actor, f"{row.role}.unban", id_, reason=row.ban_reason)
            row.banned, row.ban_reason, row.ban_evidence = None, "", ""
            return row

    def drain(self, id_: str, draining: bool, actor: Actor) -> PrincipalRow:
        """Have a peer finish what it has and leave, or take that back."""
        with self._database.writing() as session:
            row = _found(session, id_)
            if row.role != Role.PEER.value:
                raise UsageError(f"{id_} is a gamer: only a peer can be drained.")
            row.draining = draining
            self._audit.record(session, actor, "peer.drain" if draining else "peer.resume", id_)
            return row


def _found(session: Session, id_: str) -> PrincipalRow:
    row = session.get(PrincipalRow, id_)
    if row is None:
        raise NotFoundError(f"There is no peer and no gamer {id_[:40]!r}.")
    return row
