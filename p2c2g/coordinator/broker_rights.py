"""Has the broker follow the database: the only one with rights over an open pool's broker.

Who was let in, banned, revoked or left is written down first, then this makes the broker agree, at
once and again until it does.  A thread of its own looks after what nobody has asked for: changes
that another process wrote down, a broker that was started again and has forgotten every login,
leases that have ended, and what peers are told of who plays.
"""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from time import monotonic
from types import TracebackType
from typing import Final, Self

from sqlalchemy import func, select, update

from p2c2g.coordinator.audit import ITSELF, AuditLog
from p2c2g.coordinator.database import Database
from p2c2g.coordinator.models import AuditRow, PrincipalRow
from p2c2g.coordinator.roll import Known, Roll
from p2c2g.errors import P2C2GError, UnavailableError
from p2c2g.messaging.rights import Rights
from p2c2g.peers.standing import Verdict, Voucher
from p2c2g.peers.vouching import vouch_for
from p2c2g.sealing.identity import Identity, text_of
from p2c2g.settings.principal import Principal, Role
from p2c2g.system.threads import SupervisedThread
from p2c2g.timing.pauses import Pauses

logger = logging.getLogger(__name__)

#: Seconds between two looks at what others changed; who is banned is out within a second.
LOOK_EVERY: Final = 0.25
#: Seconds between two writes of what peers are told, however many gamers come and go meanwhile: a
#: thousand peers with a hundred gamers are 2 MB each time.
TELL_EVERY: Final = 0.25
#: Seconds between two checks that no login was deleted at the broker by others.
CHECK_EVERY: Final = 10.0
#: Seconds for which leases that ended while no coordinator was there are still good: their
#: sessions could not renew them.
GRACE: Final = 60.0


class BrokerRights:
    """A :class:`~p2c2g.coordinator.services.Gate`: makes the broker agree with the database.

    Any thread may call it.  Its own runs inside a ``with`` block.

    Args:
        database: where the principals are.
        rights: at the broker.
        key: of the logins' passwords, 32 bytes.
        operator: signs what is vouched for.
        prefix: the pool's name, as gamers and peers know it.
        audit: where ended leases are written down.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        rights: Rights,
        key: bytes,
        operator: Identity,
        prefix: str,
        audit: AuditLog,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._rights = rights
        self._key = key
        self._operator = operator
        self._prefix = prefix
        # A signature takes as long as the rest of a row, and rows hardly change.
        self._vouch = lru_cache(maxsize=8_192)(self._vouch_anew)
        self._audit = audit
        self._clock = clock
        self._lock = threading.Lock()
        self._roll = Roll()
        self._server = ""
        self._audited = -1
        self._checked = float("-inf")
        self._told = float("-inf")
        self._woken = threading.Event()
        self._ending = False
        self._thread = SupervisedThread("p2c2g-rights", self._run)

    def __enter__(self) -> Self:
        self._spare_leases()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending = True
        self._woken.set()
        self._thread.join(5.0)

    def check(self) -> None:
        """Raise RuntimeError where its thread has died."""
        self._thread.check()

    def password(self, principal_id: str) -> str:
        """Return a principal's password at the broker: 256 bits that only the secret's owner knows.

        It is not kept: a broker that was started again is given its digest again.
        """
        return hmac.digest(self._key, principal_id.encode(), "sha256").hex()

    @property
    def is_ready(self) -> bool:
        """Tell whether it has read who is here: nobody is to be taken for gone before."""
        return self._audited >= 0

    @property
    def operator_key(self) -> str:
        """Return the public key by which members know what the operator vouches for."""
        return text_of(self._operator.public)

    def here(self, role: Role) -> frozenset[str]:
        """Return the ids of all who should have a login now."""
        with self._lock:
            return self._roll.ids(role)

    # -- what others ask for -----------------------------------------------------------------

    def settle(self, principals: Sequence[str]) -> None:
        """Make the broker agree with what the database says of some principals, at once.

        What fails is done again by the thread.
        """
        try:
            self.let_in(principals)
        except UnavailableError as error:
            logger.warning("The broker does not yet follow a change: %s", error)

    def let_in(self, principals: Sequence[str]) -> None:
        """Do as :meth:`settle`, for who has to know that it is done.

        Raises:
            BrokerUnavailableError: the broker is away; it will be done later.
            DatabaseUnavailableError: the database is.
        """
        try:
            with self._lock:
                self._read(principals)
                self._write()
        finally:
            self._woken.set()

    # -- what the thread does ----------------------------------------------------------------

    def tick(self) -> None:
        """Do once whatever is to be done.

        Raises:
            BrokerUnavailableError: the broker is away.
            DatabaseUnavailableError: the database is.
        """
        self._end_leases()
        with self._lock:
            self._follow()
            server, now = self._rights.server(), monotonic()
            if server != self._server or self._is_tampered_with(now):
                self._roll.begin(self._rights.logins(), *self._rights.told())
                self._server = server
            self._write()
            if now - self._told >= TELL_EVERY:
                self._tell()

    def _run(self) -> None:
        pauses, failed = Pauses(LOOK_EVERY, 5.0), False
        wait = 0.0
        while not self._ending:
            self._woken.wait(wait)
            self._woken.clear()
            try:
                self.tick()
            except P2C2GError as error:
                if not failed:
                    logger.warning("The broker does not follow the database for now: %s", error)
                failed, wait = True, pauses.failed(0.0)
            else:
                if failed:
                    logger.warning("The broker follows the database again.")
                    pauses = Pauses(LOOK_EVERY, 5.0)
                failed, wait = False, LOOK_EVERY

    def _follow(self) -> None:
        """Read all principals again where anything at all was changed, by whatever process."""
        with self._database.reading() as session:
            audited = session.scalar(select(func.max(AuditRow.n))) or 0
            if audited == self._audited:
                return
            rows = session.scalars(select(PrincipalRow).where(PrincipalRow.gone.is_(None))).all()
        self._roll.know_all(self._known(rows))
        self._audited = audited

    def _read(self, principals: Sequence[str]) -> None:
        with self._database.reading() as session:
            wanted = select(PrincipalRow).where(PrincipalRow.id.in_(principals))
            rows = session.scalars(wanted).all()
        self._roll.know(
            self._known(row for row in rows if row.gone is None),
            gone=[principal_of(row) for row in rows if row.gone is not None],
        )

    def _is_tampered_with(self, now: float) -> bool:
        if now - self._checked < CHECK_EVERY:
            return False
        self._checked = now
        return self._roll.lacks(self._rights.logins())

    def _write(self) -> None:
        changes = self._roll.changes()
        if not changes:
            return
        # Who is out is out first, whatever fails after that.
        self._rights.revoke(changes.revoke)
        self._rights.grant(changes.grant)
        self._rights.tell_vouchers(changes.vouchers)
        self._rights.tell_gamers(changes.gamers_here, changes.gamers_gone)
        self._roll.wrote(changes)

    def _tell(self) -> None:
        standings = self._roll.standings()
        if standings:
            self._rights.tell_standings(standings)
            self._roll.told(standings)
            self._told = monotonic()

    def _end_leases(self) -> None:
        now = self._clock()
        ended = PrincipalRow.expires.is_not(None) & (PrincipalRow.expires <= now)
        due = ended & PrincipalRow.gone.is_(None)
        with self._database.reading() as session:
            if session.scalar(select(PrincipalRow.id).where(due).limit(1)) is None:
                return
        with self._database.writing() as session:
            ids = session.scalars(
                update(PrincipalRow).where(due).values(gone=now).returning(PrincipalRow.id)
            ).all()
            for each in ids:
                self._audit.record(session, ITSELF, "gamer.end", each, why="its lease ended")
        with self._lock:
            self._read(ids)

    def _spare_leases(self) -> None:
        until = self._clock() + GRACE
        with self._database.writing() as session:
            session.execute(
                update(PrincipalRow)
                .where(PrincipalRow.gone.is_(None), PrincipalRow.expires < until)
                .values(expires=until)
            )

    def _known(self, rows: Iterable[PrincipalRow]) -> Iterable[Known]:
        return [self._known_of(row) for row in rows]

    def _vouch_anew(self, peer: str, key: str, account: str, network: str) -> Voucher:
        voucher = Voucher(key=key, account=account, network=network)
        return vouch_for(self._operator, self._prefix, peer, voucher)

    def _known_of(self, row: PrincipalRow) -> Known:
        is_out = not row.is_welcome
        verdict = Verdict.DRAINING if row.draining else Verdict.OK
        digest = sha256(self.password(row.id).encode()).hexdigest()
        voucher = None
        if row.role == Role.PEER.value:
            voucher = self._vouch(row.id, row.public_key, row.account_id, row.network)
        return Known(
            principal_of(row),
            None if is_out else digest,
            verdict=Verdict.BANNED if is_out else verdict,
            reason=why_out(row) if is_out else "",
            wanted=row.wanted,
            voucher=voucher,
        )


def principal_of(row: PrincipalRow) -> Principal:
    """Return who a row is."""
    return Principal(Role(row.role), row.id)


def why_out(row: PrincipalRow) -> str:
    """Return why a principal may have no login, in a sentence; "" where it may."""
    if row.banned is not None:
        return row.ban_reason or "It is banned."
    if row.revoked is not None:
        return "The key that let it in was revoked."
    if row.account.disabled is not None:
        return "Its account is shut out."
    return "It has left." if row.gone is not None else ""
