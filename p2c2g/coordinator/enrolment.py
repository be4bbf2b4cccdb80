"""Who comes in: peers by a join token, gamers for a session; and how they stay and leave.

A join token is a key of a peer's account, as a rule one of a single use that expires soon.  What is
given for it is a membership: a login at the broker and a token by which its holder is known again.
"""

from __future__ import annotations

import hmac
import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from p2c2g.coordinator import keys
from p2c2g.coordinator.accounts import (
    Accounts,
    ForbiddenError,
    Identity,
    NotAdmittedError,
    new_id,
)
from p2c2g.coordinator.audit import Actor, AuditLog
from p2c2g.coordinator.broker_rights import BrokerRights, principal_of, why_out
from p2c2g.coordinator.database import Database
from p2c2g.coordinator.models import KeyRow, PrincipalRow
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.joining.messages import Given, Join, Play, Renewed
from p2c2g.joining.proof import is_proven
from p2c2g.peers.standing import MAX_GAMERS, Verdict
from p2c2g.settings import Settings
from p2c2g.settings.broker_url import BrokerUrl, redacted
from p2c2g.settings.principal import MARK_LETTERS, Role, is_principal_id

#: Bytes of certificates that a membership holds at most.
_MAX_CA: Final = 32_768


@dataclass(frozen=True, slots=True)
class Terms:
    """What every member is given alike."""

    broker: str
    prefix: str
    ca: str
    lease: float
    most_of_account: int

    @classmethod
    def of(cls, settings: Settings) -> Terms:
        """Return a coordinator's terms.

        Raises:
            UsageError: its members would reach the broker without TLS, or its certificates cannot
                be read.
        """
        own = settings.coordinator
        address = BrokerUrl.parse(own.broker_url) if own.broker_url else settings.broker.address()
        if address is None:
            raise UsageError(
                f"P2C2G_COORDINATOR_BROKER_URL is {redacted(own.broker_url)!r}, which is no "
                "broker's URL: give it as members reach it, such as rediss://pool.example:6390/0."
            )
        open_to_all = replace(address, user=None, password=None)
        if not address.is_confidential:
            raise UsageError(
                f"Members would reach the broker at {open_to_all.text} without TLS: give "
                "rediss:// as P2C2G_COORDINATOR_BROKER_URL (docs/pools.md says how)."
            )
        return cls(
            open_to_all.text,
            settings.broker.prefix,
            _certificates(own.broker_ca or settings.broker.ca),
            own.lease,
            own.sessions_per_account,
        )


class Enrolment:
    """Lets peers and gamers in, and out again.

    Every method may raise :class:`~p2c2g.coordinator.database.DatabaseUnavailableError`, and those
    that give a login :class:`~p2c2g.errors.BrokerUnavailableError`.

    Args:
        database: where they are written down.
        accounts: whose keys let them in.
        rights: at the broker.
        audit: where it is said who came and left.
        terms: what they are given.
        pepper: what digests of their tokens are made with, 32 bytes.
        clock: seconds since 1970.
        release_key: returns the public key that signs releases; "" where there is none.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        rights: BrokerRights,
        audit: AuditLog,
        terms: Terms,
        pepper: bytes,
        clock: Callable[[], float],
        release_key: Callable[[], str] = str,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._rights = rights
        self._audit = audit
        self._terms = terms
        self._pepper = pepper
        self._clock = clock
        self._release_key = release_key

    def join(self, identity: Identity, bearer: str, said: Join, actor: Actor) -> Given:
        """Let a machine in as a peer.

        A machine that asks again with the same key, since the answer was lost, is the same peer.

        Args:
            identity: whose key was shown.
            bearer: that key.
            said: the machine's public key, and its proof.
            actor: who asks, from where.

        Raises:
            UsageError: the proof is none.
            NotAdmittedError: the key was ended meanwhile.
            ForbiddenError: the key has let in as many as it may, or its account has.
        """
        if not is_proven(said.key, said.proof, bearer):
            raise UsageError("The proof is not by the key that was named: join again.")
        token, network = keys.new_token(), neighbourhood_of(actor.address)
        with self._database.writing() as session:
            self._accounts.hold(session, identity.key_id)
            row = session.scalars(
                select(PrincipalRow).where(
                    PrincipalRow.key_id == identity.key_id, PrincipalRow.public_key == said.key
                )
            ).first()
            if row is None:
                self._check_room(session, identity)
                if not self._accounts.spend(session, identity.key_id):
                    raise ForbiddenError(
                        "That join token has let in as many machines as it may: ask for another."
                    )
                row = self._new(session, identity, Role.PEER, said.label)
                row.public_key, row.network = said.key, network
                self._audit.record(
                    session, actor, "peer.join", row.id, label=said.label, network=network
                )
            elif reason := why_out(row):
                raise _not_had(row, reason)
            self._give_token(row, token)
        return self._given(row, token)

    def play(self, identity: Identity, said: Play, actor: Actor) -> Given:
        """Give a gamer a login for one session.

        Raises:
            NotAdmittedError: the key was ended meanwhile.
            ForbiddenError: its account has as many logins as it may.
            UnavailableError: the pool is full.
        """
        token, now = keys.new_token(), self._clock()
        with self._database.writing() as session:
            self._accounts.hold(session, identity.key_id)
            self._check_room(session, identity)
            live = select(func.count()).where(
                PrincipalRow.role == Role.GAMER.value,
                PrincipalRow.gone.is_(None),
                PrincipalRow.expires > now,
            )
            if (session.scalar(live) or 0) >= MAX_GAMERS:
                raise UnavailableError("The pool is full: come again later.")
            row = self._new(session, identity, Role.GAMER, said.label)
            row.network, row.expires = neighbourhood_of(actor.address), now + self._terms.lease
            self._give_token(row, token)
            self._audit.record(session, actor, "gamer.join", row.id, label=said.label)
        return self._given(row, token)

    def renew(self, member: str) -> Renewed:
        """Have a membership go on, by its principal's id.

        Raises:
            ForbiddenError: it is one no more; the sentence says why.
        """
        now = self._clock()
        with self._database.writing() as session:
            row = session.get_one(PrincipalRow, member)
            if reason := why_out(row):
                raise _not_had(row, reason)
            row.renewed = now
            if row.expires is not None:
                key = session.get_one(KeyRow, row.key_id)
                if key.expires is not None and key.expires <= now:
                    raise ForbiddenError("The key that let it in has expired: ask for another.")
                row.expires = now + self._terms.lease
        self._rights.let_in([row.id])
        return Renewed(
            broker=self._terms.broker,
            prefix=self._terms.prefix,
            ca=self._terms.ca,
            lease=self._terms.lease if row.expires is not None else 0.0,
            verdict=Verdict.DRAINING if row.draining else Verdict.OK,
            release_key=self._release_key() if row.role == Role.PEER.value else "",
        )

    def leave(self, member: str, address: str) -> None:
        """End a membership, at its holder's wish; one that has ended stays so."""
        with self._database.writing() as session:
            row = session.get_one(PrincipalRow, member)
            if row.gone is None:
                row.gone = self._clock()
                actor = Actor(f"{row.role}:{row.id}", row.account_id, address)
                self._audit.record(session, actor, f"{row.role}.leave", row.id)
        self._rights.settle([member])

    def member(self, token: str) -> str:
        """Return the id of whose membership a token is.

        Raises:
            NotAdmittedError: it is no membership's.
        """
        id_, _, _ = token.partition(".")
        row = None
        if is_principal_id(id_):
            with self._database.reading() as session:
                row = session.get(PrincipalRow, id_)
        kept = row.digest if row is not None else bytes(32)
        # Compared in any case, so that the time says nothing of which ids there are.
        if not keys.matches(self._pepper, token, kept) or row is None:
            raise NotAdmittedError("That is no membership of this pool: join it again.")
        return row.id

    def _new(self, session: Session, identity: Identity, role: Role, label: str) -> PrincipalRow:
        now = self._clock()
        name = new_id()
        if role is Role.GAMER:
            name = self._mark(identity.account_id, now) + name[MARK_LETTERS:]
        row = PrincipalRow(
            id=name,
            role=role.value,
            account_id=identity.account_id,
            key_id=identity.key_id,
            label=label,
            digest=bytes(32),
            created=now,
            renewed=now,
        )
        session.add(row)
        return row

    def _mark(self, account_id: str, now: float) -> str:
        """Return the beginning of all ids of an account's gamers of one day."""
        day = int(now // 86_400)
        digest = hmac.digest(self._pepper, f"gamers of {account_id} on {day}".encode(), "sha256")
        letters = string.ascii_lowercase  # An id begins with one of them.
        return "".join(letters[byte % len(letters)] for byte in digest[:MARK_LETTERS])

    def _give_token(self, row: PrincipalRow, secret: str) -> None:
        row.digest = keys.digest(self._pepper, f"{row.id}.{secret}")

    def _check_room(self, session: Session, identity: Identity) -> None:
        """Refuse who has enough already, or whose key let in somebody who was shut out."""
        now = self._clock()
        banned = select(PrincipalRow.ban_reason).where(
            PrincipalRow.key_id == identity.key_id, PrincipalRow.banned.is_not(None)
        )
        if (reason := session.scalar(banned.limit(1))) is not None:
            raise ForbiddenError(
                f"Whom that key let in before is banned ({reason}): ask the pool's operator."
            )
        held = session.scalar(
            select(func.count()).where(
                PrincipalRow.account_id == identity.account_id,
                PrincipalRow.gone.is_(None),
                PrincipalRow.banned.is_(None),
                PrincipalRow.revoked.is_(None),
                PrincipalRow.expires.is_(None) | (PrincipalRow.expires > now),
            )
        )
        if (held or 0) >= self._terms.most_of_account:
            raise ForbiddenError(
                f"The account {identity.account} has {held} machines in the pool, which is as many "
                "as it may: end one, by p2c2g peer leave or by ending a session."
            )

    def _given(self, row: PrincipalRow, secret: str) -> Given:
        self._rights.let_in([row.id])
        principal = principal_of(row)
        return Given(
            role="peer" if principal.role is Role.PEER else "gamer",
            id=row.id,
            broker=self._terms.broker,
            user=principal.user,
            password=self._rights.password(row.id),
            prefix=self._terms.prefix,
            ca=self._terms.ca,
            token=f"{row.id}.{secret}",
            operator_key=self._rights.operator_key,
            release_key=self._release_key() if principal.role is Role.PEER else "",
            lease=0.0 if row.expires is None else self._terms.lease,
        )


def _not_had(row: PrincipalRow, reason: str) -> ForbiddenError:
    # An operator's reason may be no sentence; more of ours may follow.
    return ForbiddenError(f"This pool will not have this {row.role}: {reason.rstrip('. ')}.")


def neighbourhood_of(address: str) -> str:
    """Return the network of an address, by which peers that belong together are known; "" for none.

    What one household or one host has: 256 addresses of IPv4, a /48 of IPv6.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    found = getattr(found, "ipv4_mapped", None) or found
    length = 24 if isinstance(found, IPv4Address) else 48
    return str(ip_network((found, length), strict=False))


def _certificates(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        text = file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"P2C2G_COORDINATOR_BROKER_CA names {str(file)!r}, which cannot be read: give a file "
            "of certificates in PEM."
        ) from error
    if "BEGIN CERTIFICATE" not in text or "PRIVATE KEY" in text or len(text) > _MAX_CA:
        raise UsageError(
            f"P2C2G_COORDINATOR_BROKER_CA names {str(file)!r}, which is given to every member: it "
            "has to hold certificates in PEM, and nothing else."
        )
    return text
