"""The audit log: who changed what, when and from where; it can only be added to.

Rows are chained: each has the HMAC-SHA256, under a key that is not in the database, of its own
content and of the hash of the row before.  So a row that was changed, taken out or put in shows,
also where somebody with the database's own rights got around the triggers that refuse it.  Rows cut
off at the end show only against a count and a hash that were noted elsewhere.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from p2c2g.coordinator.models import AuditRow
from p2c2g.errors import P2C2GError

#: What the first row has for the one before.
_BEGINNING = "0" * 64


class AuditError(P2C2GError):
    """The audit log was changed afterwards."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and from where.

    ``name`` is ``key:`` and a key's id, ``local:`` and a user of the coordinator's machine, or
    ``coordinator`` where it acts by itself.
    """

    name: str
    account_id: str = ""
    address: str = ""


#: What the coordinator does by itself.
ITSELF = Actor("coordinator")


@dataclass(frozen=True, slots=True)
class Head:
    """How far an audit log goes: the number of its rows, and the hash of the last."""

    rows: int
    hash: str


class AuditLog:
    """Writes the log, and checks it.

    Args:
        key: of the hashes, 32 bytes.
        clock: seconds since 1970.
    """

    def __init__(self, key: bytes, clock: Callable[[], float]) -> None:
        self._key = key
        self._clock = clock

    def record(
        self, session: Session, actor: Actor, action: str, subject: str, **details: Any
    ) -> None:
        """Add a row, in the block that makes the change itself.

        Args:
            session: a block that writes.
            actor: who does it.
            action: such as ``key.revoke``.
            subject: the id of what is changed.
            details: what JSON can say; no secrets.
        """
        if session.get_bind().dialect.name == "postgresql":
            # One after another: two must not follow the same row.
            session.execute(text("SELECT pg_advisory_xact_lock(7226043)"))
        last = session.scalars(select(AuditRow).order_by(AuditRow.n.desc()).limit(1)).first()
        row = AuditRow(
            n=1 if last is None else last.n + 1,
            at=self._clock(),
            actor=actor.name[:64],
            account_id=actor.account_id,
            address=actor.address[:64],
            action=action,
            subject=subject[:64],
            details=json.dumps(details, sort_keys=True),
            previous=_BEGINNING if last is None else last.hash,
        )
        row.hash = self._hash(row)
        session.add(row)
        session.flush()

    def newest(self, session: Session, limit: int, before: int | None = None) -> Sequence[AuditRow]:
        """Return rows, the newest first; those before a number where one is given."""
        wanted = select(AuditRow).order_by(AuditRow.n.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(AuditRow.n < before)
        return session.scalars(wanted).all()

    def verify(self, session: Session, noted: Head | None = None) -> Head:
        """Check the whole log.

        Args:
            session: a block that reads.
            noted: how far it once went, as was noted elsewhere.

        Raises:
            AuditError: it was changed; the sentence says where.
        """
        head = Head(0, _BEGINNING)
        ordered = select(AuditRow).order_by(AuditRow.n).execution_options(yield_per=500)
        with closing(session.scalars(ordered)) as rows:
            for row in rows:
                head = self._next(row, head, noted)
                session.expunge(row)
        if noted is not None and head.rows < noted.rows:
            raise AuditError(
                f"The audit log ends at row {head.rows}, and {noted.rows} were noted: its end was "
                "cut off."
            )
        return head

    def _next(self, row: AuditRow, head: Head, noted: Head | None) -> Head:
        if row.n != head.rows + 1:
            raise AuditError(f"The audit log lacks row {head.rows + 1}: it was taken out.")
        if row.previous != head.hash or not hmac.compare_digest(row.hash, self._hash(row)):
            raise AuditError(
                f"The audit log was changed at row {row.n}, or the coordinator's secret is "
                "another than when it was written."
            )
        if noted is not None and noted.rows == row.n and noted.hash != row.hash:
            raise AuditError(f"Row {row.n} of the audit log is not the one that was noted.")
        return Head(row.n, row.hash)

    def _hash(self, row: AuditRow) -> str:
        parts = [
            row.n, row.at, row.actor, row.account_id, row.address, row.action, row.subject,
            row.details, row.previous,
        ]  # fmt: skip
        return hmac.digest(self._key, json.dumps(parts).encode(), "sha256").hex()
