"""Releases that an operator has signed: who is offered them, and when one is stopped.

The coordinator signs nothing and is believed in nothing by peers: it hands on what was signed
elsewhere.  Wheels lie in the database, so that they are there wherever the coordinator is started.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from p2c2g.coordinator.accounts import ForbiddenError, NotFoundError
from p2c2g.coordinator.audit import ITSELF, Actor, AuditLog
from p2c2g.coordinator.broker_rights import why_out
from p2c2g.coordinator.database import Database
from p2c2g.coordinator.models import (
    PrincipalRow,
    ReleaseKeyRow,
    ReleaseReportRow,
    ReleaseRow,
    WheelRow,
)
from p2c2g.errors import UpdateError, UsageError, WireError
from p2c2g.sealing.identity import key_of
from p2c2g.settings.principal import Role
from p2c2g.updating.manifest import MAX_CHANGES, KeyChange, Manifest, Noted, Offer, Report, Result
from p2c2g.updating.signing import Said, opened, payload_of
from p2c2g.updating.staging import Reported, is_chosen, why_stop

#: Releases whose wheels are kept, and whose reports are.
WITH_WHEELS: Final = 3
WITH_REPORTS: Final = 32


@dataclass(frozen=True, slots=True)
class Told:
    """A release, and what peers have reported of it."""

    manifest: Manifest
    at: float
    stopped: float | None
    stop_reason: str
    good: int
    failed: int
    unable: int
    why: tuple[str, ...]


class Releases:
    """The releases of one pool.  Any thread may call it.

    Every method may raise :class:`~p2c2g.coordinator.database.DatabaseUnavailableError`.

    Args:
        database: where they are kept.
        audit: where it is said who published and stopped one.
        clock: seconds since 1970.
    """

    def __init__(self, database: Database, audit: AuditLog, clock: Callable[[], float]) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        # One copy for all who are being sent it.
        self.wheel = lru_cache(maxsize=2)(self._wheel)

    # -- for peers ----------------------------------------------------------------------------

    def public_key(self) -> str:
        """Return the public key that signs releases now; "" where there is none."""
        with self._database.reading() as session:
            row = _newest_key(session)
        return "" if row is None else row.public

    def check_peer(self, member: str) -> None:
        """Refuse who is no peer of this pool.

        Raises:
            ForbiddenError: it is none, or is one no more.
        """
        with self._database.reading() as session:
            _peer(session, member)

    def offer(self) -> Offer:
        """Return what peers are offered."""
        with self._database.reading() as session:
            changes = session.scalars(
                select(ReleaseKeyRow.text)
                .where(ReleaseKeyRow.n > 0)
                .order_by(ReleaseKeyRow.n.desc())
                .limit(MAX_CHANGES)
            ).all()
            row = _newest(session)
        is_offered = row is not None and row.stopped is None
        return Offer(
            changes=tuple(reversed(changes)), manifest=row.text if row and is_offered else None
        )

    def _wheel(self, digest: str) -> bytes:
        """Return a wheel by its SHA-256.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.reading() as session:
            row = session.get(WheelRow, digest)
        if row is None:
            raise NotFoundError("There is no such wheel.")
        return row.data

    def report(self, member: str, said: Report) -> Noted:
        """Take what a peer says became of a release; too many failures stop it.

        Raises:
            ForbiddenError: it is no peer, or was not among those that the release is for.
            NotFoundError: there is no such release.
        """
        with self._database.writing() as session:
            peer = _peer(session, member)
            row = _release(session, said.serial)
            manifest = Manifest.model_validate_json(_payload(row))
            is_for = is_chosen(member, manifest.version, manifest.share)
            if said.version != row.version or not is_for:
                raise ForbiddenError("That release was not for this peer.")
            kept = session.get(ReleaseReportRow, (said.serial, member))
            if kept is None:
                kept = ReleaseReportRow(
                    serial=said.serial, peer_id=member, account_id=peer.account_id
                )
                session.add(kept)
            kept.at, kept.result, kept.why = self._clock(), said.result.value, said.why
            session.flush()
            reason = why_stop(_reported(session, said.serial))
            if reason is not None and row.stopped is None:
                self._stop(session, row, reason, ITSELF)
            return Noted(stopped=row.stopped is not None)

    # -- for operators ------------------------------------------------------------------------

    def pin(self, public: str, actor: Actor) -> None:
        """Have peers that join be told the first key that signs releases.

        Raises:
            UsageError: it is no key, or there is one.
        """
        try:
            key_of(public)
        except WireError as error:
            raise UsageError(
                f"{public[:60]!r} is no public key: give what p2c2g release key has printed."
            ) from error
        with self._database.writing() as session:
            found = _newest_key(session)
            if found is not None and found.public == public:
                return
            if found is not None:
                raise UsageError(
                    "Peers trust another key already: change it by p2c2g release key NEW "
                    "--replaces OLD, and publish what that writes."
                )
            session.add(ReleaseKeyRow(n=0, public=public, text="", at=self._clock()))
            self._audit.record(session, actor, "release.key", "0", public=public)

    def change_key(self, text: str, actor: Actor) -> str:
        """Hand on from one key to another; return the new one.

        Raises:
            UsageError: there is no key yet, or it is no change of it.
        """
        with self._database.writing() as session:
            found = _newest_key(session)
            if found is None:
                raise UsageError("There is no key yet: p2c2g release pin PUBLIC gives the first.")
            change = _read(text, KeyChange, found.public)
            if (change.number, change.before) != (found.n + 1, found.public):
                raise UsageError(
                    f"It is change {change.number} of the key, and {found.n + 1} is the next."
                )
            _read(text, KeyChange, found.public, change.after)
            session.add(
                ReleaseKeyRow(n=change.number, public=change.after, text=text, at=self._clock())
            )
            self._audit.record(
                session, actor, "release.key", str(change.number), public=change.after
            )
            return change.after

    def publish(self, text: str, wheels: Mapping[str, bytes], actor: Actor) -> Manifest:
        """Offer a release.

        Args:
            text: its signed manifest.
            wheels: what it names, by name; those that are here already may be left out.
            actor: who does it.

        Raises:
            UsageError: it is not signed by the key that peers trust, is older than one that was
                published, or a wheel is missing or is another than was signed.
        """
        with self._database.writing() as session:
            key = _newest_key(session)
            if key is None:
                raise UsageError("There is no key yet: p2c2g release pin PUBLIC gives the first.")
            manifest = _read(text, Manifest, key.public)
            newest = _newest(session)
            if newest is not None and manifest.serial <= newest.serial:
                raise UsageError(
                    f"Its number is {manifest.serial}, and {newest.serial} was published: sign it "
                    f"with --serial {newest.serial + 1} or more."
                )
            if manifest.expires <= self._clock():
                raise UsageError("It has expired: sign it again.")
            for wheel in manifest.wheels:
                if session.get(WheelRow, wheel.sha256) is not None:
                    continue
                data = wheels.get(wheel.name)
                if data is None or sha256(data).hexdigest() != wheel.sha256:
                    raise UsageError(f"{wheel.name} is missing, or not the one that was signed.")
                session.add(WheelRow(sha256=wheel.sha256, name=wheel.name, data=data))
            session.add(
                ReleaseRow(
                    serial=manifest.serial, version=manifest.version, text=text, at=self._clock()
                )
            )
            session.flush()
            self._audit.record(
                session, actor, "release.publish", str(manifest.serial),
                version=manifest.version, share=manifest.share,
            )  # fmt: skip
            _trim(session)
            return manifest

    def stop(self, serial: int, reason: str, actor: Actor) -> None:
        """Offer a release no more; who has it keeps it.

        Raises:
            NotFoundError: there is no such release.
        """
        with self._database.writing() as session:
            row = _release(session, serial)
            if row.stopped is None:
                self._stop(session, row, reason, actor)

    def list(self) -> Sequence[Told]:
        """Return the releases, the newest first."""
        with self._database.reading() as session:
            rows = session.scalars(
                select(ReleaseRow).order_by(ReleaseRow.serial.desc()).limit(WITH_REPORTS)
            ).all()
            return [_told(session, row) for row in rows]

    def _stop(self, session: Session, row: ReleaseRow, reason: str, actor: Actor) -> None:
        row.stopped, row.stop_reason = self._clock(), reason
        self._audit.record(session, actor, "release.stop", str(row.serial), reason=reason)


def _newest_key(session: Session) -> ReleaseKeyRow | None:
    return session.scalars(select(ReleaseKeyRow).order_by(ReleaseKeyRow.n.desc()).limit(1)).first()


def _newest(session: Session) -> ReleaseRow | None:
    return session.scalars(select(ReleaseRow).order_by(ReleaseRow.serial.desc()).limit(1)).first()


def _release(session: Session, serial: int) -> ReleaseRow:
    row = session.get(ReleaseRow, serial)
    if row is None:
        raise NotFoundError(f"There is no release {serial}.")
    return row


def _peer(session: Session, member: str) -> PrincipalRow:
    row = session.get_one(PrincipalRow, member)
    if row.role != Role.PEER.value or why_out(row):
        raise ForbiddenError("Releases are for the peers of this pool.")
    return row


def _reported(session: Session, serial: int) -> list[Reported]:
    rows = session.scalars(
        select(ReleaseReportRow)
        .where(ReleaseReportRow.serial == serial)
        .order_by(ReleaseReportRow.at)
    )
    return [Reported(row.account_id, Result(row.result)) for row in rows]


def _told(session: Session, row: ReleaseRow) -> Told:
    of_it = ReleaseReportRow.serial == row.serial
    counted = session.execute(
        select(ReleaseReportRow.result, func.count()).where(of_it).group_by(ReleaseReportRow.result)
    )
    counts = {row[0]: row[1] for row in counted}
    why = session.scalars(
        select(ReleaseReportRow.why)
        .where(of_it, ReleaseReportRow.result != Result.GOOD.value)
        .order_by(ReleaseReportRow.at.desc())
        .limit(5)
    ).all()
    good, failed, unable = (counts.get(result.value, 0) for result in Result)
    return Told(
        manifest=Manifest.model_validate_json(_payload(row)),
        at=row.at,
        stopped=row.stopped,
        stop_reason=row.stop_reason,
        good=good,
        failed=failed,
        unable=unable,
        why=tuple(dict.fromkeys(why)),
    )


def _payload(row: ReleaseRow) -> bytes:
    return payload_of(row.text)


def _read(text: str, kind: type[Said], *keys: str) -> Said:
    try:
        return opened(text, kind, *keys)
    except UpdateError as error:
        raise UsageError(str(error).replace("this machine trusts", "peers trust")) from error


def _trim(session: Session) -> None:
    """Delete the wheels and reports of releases of long ago."""
    rows = session.scalars(select(ReleaseRow).order_by(ReleaseRow.serial.desc())).all()
    kept = {
        wheel.sha256
        for row in rows[:WITH_WHEELS]
        for wheel in Manifest.model_validate_json(_payload(row)).wheels
    }
    session.execute(delete(WheelRow).where(WheelRow.sha256.not_in(kept)))
    old = [row.serial for row in rows[WITH_REPORTS:]]
    if old:
        session.execute(delete(ReleaseReportRow).where(ReleaseReportRow.serial.in_(old)))
        session.execute(delete(ReleaseRow).where(ReleaseRow.serial.in_(old)))
