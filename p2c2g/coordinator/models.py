"""What the coordinator keeps.  Moments are seconds since 1970, UTC; None for never.

A change here needs a migration beside it (``migrations/versions``); a test compares the two.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

#: Letters of a reason, and of the evidence for it.
MAX_REASON: Final = 200
MAX_EVIDENCE: Final = 8_192


class Base(DeclarativeBase):
    """The tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {float: Double, bytes: LargeBinary}  # noqa: RUF012 - SQLAlchemy's


class AccountRow(Base):
    """Someone who plays, lends or operates: what belongs together."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    created: Mapped[float]
    disabled: Mapped[float | None] = mapped_column(default=None)


class KeyRow(Base):
    """A key of an account.  ``uses`` are how often it can still let a machine in."""

    __tablename__ = "keys"
    __table_args__ = (CheckConstraint("uses >= 0", name="uses"),)

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    role: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[str] = mapped_column(String(200))
    label: Mapped[str] = mapped_column(String(64), default="")
    digest: Mapped[bytes]
    created: Mapped[float]
    created_by: Mapped[str] = mapped_column(String(64))
    expires: Mapped[float | None] = mapped_column(default=None)
    revoked: Mapped[float | None] = mapped_column(default=None)
    last_used: Mapped[float | None] = mapped_column(default=None)
    uses: Mapped[int | None] = mapped_column(Integer, default=None)

    account: Mapped[AccountRow] = relationship(lazy="joined", innerjoin=True)


class LoginRow(Base):
    """A browser that signed in with a key, and ends with it."""

    __tablename__ = "logins"

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("keys.id", ondelete="CASCADE"), index=True)
    created: Mapped[float]
    expires: Mapped[float] = mapped_column(index=True)


class PrincipalRow(Base):
    """A peer or a gamer who has, or had, a login at the broker.

    ``public_key`` is a peer's Ed25519 key (base64 of 32 bytes), else empty.  ``digest`` is kept of
    the token by which it is known again, to renew and to leave; ``expires`` ends a gamer's login.
    ``gone`` is when it left by itself or was swept.
    """

    __tablename__ = "principals"
    __table_args__ = (Index(None, "role", "account_id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("keys.id"), index=True)
    label: Mapped[str] = mapped_column(String(64), default="")
    public_key: Mapped[str] = mapped_column(String(64), default="")
    network: Mapped[str] = mapped_column(String(64), default="")
    digest: Mapped[bytes]
    created: Mapped[float]
    renewed: Mapped[float]
    expires: Mapped[float | None] = mapped_column(default=None)
    draining: Mapped[bool] = mapped_column(Boolean, default=False)
    wanted: Mapped[str] = mapped_column(String(64), default="")
    revoked: Mapped[float | None] = mapped_column(default=None)
    banned: Mapped[float | None] = mapped_column(default=None)
    ban_reason: Mapped[str] = mapped_column(String(MAX_REASON), default="")
    ban_evidence: Mapped[str] = mapped_column(Text, default="")
    gone: Mapped[float | None] = mapped_column(default=None)

    account: Mapped[AccountRow] = relationship(lazy="joined", innerjoin=True)

    @property
    def is_welcome(self) -> bool:
        """Tell whether it may have a login at the broker, whatever its lease says."""
        ended = (self.banned, self.revoked, self.gone, self.account.disabled)
        return all(moment is None for moment in ended)


class EvidenceRow(Base):
    """An answer that a peer has signed, as a gamer shows it, and what can be seen in it.

    ``id`` is of the peer's signature, ``finding`` of :class:`~p2c2g.verify.evidence.Finding`,
    ``said`` the gamer's word, and ``text`` the whole of it in JSON.
    """

    __tablename__ = "evidence"
    __table_args__ = (Index(None, "peer_id", "account_id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    peer_id: Mapped[str] = mapped_column(ForeignKey("principals.id"))
    gamer_id: Mapped[str] = mapped_column(ForeignKey("principals.id"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[float] = mapped_column(index=True)
    finding: Mapped[str] = mapped_column(String(16))
    said: Mapped[str] = mapped_column(String(500))
    text: Mapped[str] = mapped_column(Text)

    account: Mapped[AccountRow] = relationship(lazy="joined", innerjoin=True)


class ReleaseKeyRow(Base):
    """A public key that signs releases; ``text`` is the envelope that changed to it, if any."""

    __tablename__ = "release_keys"

    n: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    public: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[float]


class ReleaseRow(Base):
    """A release that was published; ``text`` is its signed manifest."""

    __tablename__ = "releases"

    serial: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    version: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[float]
    stopped: Mapped[float | None] = mapped_column(default=None)
    stop_reason: Mapped[str] = mapped_column(String(MAX_REASON), default="")


class WheelRow(Base):
    """A wheel of releases."""

    __tablename__ = "wheels"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    data: Mapped[bytes]


class ReleaseReportRow(Base):
    """What became of a release at a peer."""

    __tablename__ = "release_reports"

    serial: Mapped[int] = mapped_column(ForeignKey("releases.serial"), primary_key=True)
    peer_id: Mapped[str] = mapped_column(ForeignKey("principals.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[float]
    result: Mapped[str] = mapped_column(String(16))
    why: Mapped[str] = mapped_column(String(MAX_REASON), default="")


class AuditRow(Base):
    """One thing that was changed; each row's hash goes over the hash of the one before."""

    __tablename__ = "audit"

    n: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    at: Mapped[float] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(64))
    account_id: Mapped[str] = mapped_column(String(32))
    address: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32), index=True)
    subject: Mapped[str] = mapped_column(String(64), index=True)
    details: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
