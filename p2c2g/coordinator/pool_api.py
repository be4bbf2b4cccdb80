"""Peers and gamers as an operator sees and treats them, and the audit log, by the API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, RootModel

from p2c2g.coordinator.access import ActorDep, IdentityDep, ServicesDep, require
from p2c2g.coordinator.accounts import ForbiddenError, Identity, NotFoundError
from p2c2g.coordinator.keys import Scope
from p2c2g.coordinator.models import MAX_EVIDENCE, MAX_REASON, AuditRow, PrincipalRow
from p2c2g.settings.principal import ID_PATTERN, Role

router = APIRouter(prefix="/v1", tags=["pool"])

PrincipalId = Annotated[str, Path(pattern=ID_PATTERN, examples=["k3v9m2x8q1w7e5r4t6y0"])]
Operators = Annotated[Identity, Depends(require(Scope.POOL_WRITE))]
Auditors = Annotated[Identity, Depends(require(Scope.AUDIT_READ))]


class Ban(BaseModel):
    """Why somebody is shut out."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"reason": "Wrong pictures", "evidence": "frame 1201, chunk 3: canary"}]
        },
    )

    # Printable, in one line: the banned one reads it in a terminal.
    reason: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]+$", max_length=MAX_REASON)]
    evidence: Annotated[
        str, Field(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$", max_length=MAX_EVIDENCE)
    ] = ""


class ShownPrincipal(BaseModel):
    """A peer or a gamer, as it may be seen."""

    id: str
    role: Role
    account: str
    account_id: str
    label: str
    network: str
    created: float
    renewed: float
    expires: float | None
    welcome: bool
    draining: bool
    banned: float | None
    ban_reason: str
    ban_evidence: str

    @classmethod
    def of(cls, row: PrincipalRow, *, with_evidence: bool) -> ShownPrincipal:
        """Return what may be seen of a principal; who is examined need not know how."""
        return cls(
            id=row.id, role=Role(row.role), account=row.account.name, account_id=row.account_id,
            label=row.label, network=row.network, created=row.created, renewed=row.renewed,
            expires=row.expires, welcome=row.is_welcome, draining=row.draining, banned=row.banned,
            ban_reason=row.ban_reason, ban_evidence=row.ban_evidence if with_evidence else "",
        )  # fmt: skip


class ShownPrincipals(RootModel[list[ShownPrincipal]]):
    """Peers and gamers, the newest first."""


class ShownAudit(BaseModel):
    """A row of the audit log."""

    n: int
    at: float
    actor: str
    account_id: str
    address: str
    action: str
    subject: str
    details: dict[str, Any]
    hash: str

    @classmethod
    def of(cls, row: AuditRow) -> ShownAudit:
        """Return what may be seen of a row: all of it."""
        return cls(
            n=row.n, at=row.at, actor=row.actor, account_id=row.account_id, address=row.address,
            action=row.action, subject=row.subject, details=json.loads(row.details), hash=row.hash,
        )  # fmt: skip


@router.get("/principals")
def list_principals(
    services: ServicesDep,
    identity: IdentityDep,
    role: Role | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 1_000,
) -> ShownPrincipals:
    """List peers and gamers: all, or those of one's own account where the key is not for more."""
    rows = services.pool.list_principals(role, whose(identity), limit)
    return ShownPrincipals(seen(rows, identity))


@router.get("/principals/{principal_id}")
def show_principal(
    services: ServicesDep,
    identity: IdentityDep,
    principal_id: PrincipalId,
) -> ShownPrincipal:
    """Show one peer or gamer."""
    account_id = whose(identity)
    row = services.pool.principal(principal_id)
    if account_id not in (None, row.account_id):
        raise NotFoundError(f"There is no peer and no gamer {principal_id!r}.")
    return seen([row], identity)[0]


@router.post("/principals/{principal_id}/ban")
def ban(
    services: ServicesDep,
    identity: Operators,
    actor: ActorDep,
    principal_id: PrincipalId,
    why: Ban,
) -> ShownPrincipal:
    """Shut one out at once: its login at the broker ends, and its connections with it."""
    row = services.settled(services.pool.ban(principal_id, why.reason, why.evidence, actor))
    return seen([row], identity)[0]


@router.post("/principals/{principal_id}/unban")
def unban(
    services: ServicesDep,
    identity: Operators,
    actor: ActorDep,
    principal_id: PrincipalId,
) -> ShownPrincipal:
    """Let one in again."""
    row = services.settled(services.pool.unban(principal_id, actor))
    return seen([row], identity)[0]


@router.post("/principals/{principal_id}/drain")
def drain(
    services: ServicesDep,
    identity: Operators,
    actor: ActorDep,
    principal_id: PrincipalId,
) -> ShownPrincipal:
    """Have a peer finish what it has, and leave."""
    row = services.settled(services.pool.drain(principal_id, True, actor))
    return seen([row], identity)[0]


@router.post("/principals/{principal_id}/resume")
def resume(
    services: ServicesDep,
    identity: Operators,
    actor: ActorDep,
    principal_id: PrincipalId,
) -> ShownPrincipal:
    """Have a drained peer work again."""
    row = services.settled(services.pool.drain(principal_id, False, actor))
    return seen([row], identity)[0]


@router.get("/audit")
def list_audit(
    services: ServicesDep,
    _: Auditors,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[ShownAudit]:
    """Read the audit log, the newest first; ``before`` is the number of the last that was read."""
    with services.database.reading() as session:
        return [ShownAudit.of(row) for row in services.audit.newest(session, limit, before)]


def whose(identity: Identity) -> str | None:
    """Return the account that somebody may see principals of; None for all.

    Raises:
        ForbiddenError: not even its own.
    """
    if Scope.POOL_READ in identity.scopes:
        return None
    if Scope.OWN not in identity.scopes:
        raise ForbiddenError(f"A key needs the scope {Scope.OWN.value} for this.")
    return identity.account_id


def seen(rows: Sequence[PrincipalRow], identity: Identity) -> list[ShownPrincipal]:
    """Return what somebody may see of principals."""
    everything = Scope.POOL_READ in identity.scopes
    return [ShownPrincipal.of(row, with_evidence=everything) for row in rows]
