"""Pages for operators: the pool, who is in it, keys and the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response

from p2c2g.coordinator.access import ServicesDep
from p2c2g.coordinator.evidence import VERDICTS
from p2c2g.coordinator.evidence_api import DossierDep
from p2c2g.coordinator.keys import Scope
from p2c2g.coordinator.keys_api import NewKey, made
from p2c2g.coordinator.logins import Visit
from p2c2g.coordinator.pages import (
    SenderDep,
    VisitDep,
    actor_of,
    is_page,
    living_of,
    need,
    to,
    visit_of,
)
from p2c2g.coordinator.pool_api import Ban, PrincipalId
from p2c2g.coordinator.problems import checked
from p2c2g.coordinator.rendering import page
from p2c2g.coordinator.services import Services
from p2c2g.settings.principal import Role

#: Of every pool; and of one that lets strangers in.
router = APIRouter(include_in_schema=False, dependencies=[Depends(is_page), Depends(visit_of)])
pool = APIRouter(include_in_schema=False, dependencies=[Depends(is_page), Depends(visit_of)])

#: Rows of a page of the audit log.
_ROWS = 50

FormText = Annotated[str, Form(max_length=200)]


@pool.get("/pool")
def everybody(
    request: Request, services: ServicesDep, dossier: DossierDep, visit: VisitDep
) -> Response:
    """Show who is in the pool, and how it goes."""
    need(visit, Scope.POOL_READ)
    peers = services.pool.list_principals(Role.PEER)
    gamers = services.pool.list_principals(Role.GAMER)
    living, notice = living_of(services, [row.id for row in peers], [row.id for row in gamers])
    return page(
        request,
        "pool.html",
        visit,
        peers=peers,
        gamers=gamers,
        living=living,
        shown=dossier.accounts(),
        rate=sum(seen.rate for seen in living.values()),
        waiting=sum(seen.waiting for seen in living.values()),
        banned=sum(row.banned is not None for row in (*peers, *gamers)),
        errors=request.app.state.recent.lines,
        now=services.clock(),
        notice=notice,
    )


@pool.get("/pool/{principal_id}")
def principal(
    request: Request,
    services: ServicesDep,
    dossier: DossierDep,
    visit: VisitDep,
    principal_id: PrincipalId,
) -> Response:
    """Show one peer or gamer, and what can be done."""
    need(visit, Scope.POOL_READ)
    row = services.pool.principal(principal_id)
    gamers = [each.id for each in services.pool.list_principals(Role.GAMER)]
    living, notice = living_of(services, [row.id], gamers)
    return page(
        request,
        "principal.html",
        visit,
        row=row,
        seen=living.get(row.id),
        evidence=dossier.of(row.id),
        verdicts={finding.value: sentence for finding, sentence in VERDICTS.items()},
        now=services.clock(),
        notice=notice,
    )


@pool.post("/pool/{principal_id}/ban")
def ban(
    request: Request,
    services: ServicesDep,
    visit: SenderDep,
    principal_id: PrincipalId,
    reason: FormText = "",
    evidence: Annotated[str, Form(max_length=20_000)] = "",
) -> Response:
    """Shut one out."""
    need(visit, Scope.POOL_WRITE)
    # Browsers send two letters for each end of a line.
    why = checked(Ban, {"reason": reason, "evidence": evidence.replace("\r\n", "\n")})
    services.settled(
        services.pool.ban(principal_id, why.reason, why.evidence, actor_of(request, visit))
    )
    return to(request, f"/pool/{principal_id}")


@pool.post("/pool/{principal_id}/unban")
def unban(
    request: Request, services: ServicesDep, visit: SenderDep, principal_id: PrincipalId
) -> Response:
    """Let one in again."""
    need(visit, Scope.POOL_WRITE)
    services.settled(services.pool.unban(principal_id, actor_of(request, visit)))
    return to(request, f"/pool/{principal_id}")


@pool.post("/pool/{principal_id}/drain")
def drain(
    request: Request, services: ServicesDep, visit: SenderDep, principal_id: PrincipalId
) -> Response:
    """Have a peer finish and leave."""
    return _drained(request, services, visit, principal_id, True)


@pool.post("/pool/{principal_id}/resume")
def resume(
    request: Request, services: ServicesDep, visit: SenderDep, principal_id: PrincipalId
) -> Response:
    """Have a drained peer work again."""
    return _drained(request, services, visit, principal_id, False)


@router.get("/keys")
def keys(request: Request, services: ServicesDep, visit: VisitDep) -> Response:
    """List keys, and ask for what a new one needs."""
    need(visit, Scope.KEYS_READ)
    rows = services.accounts.list_keys(limit=500)
    return page(request, "keys.html", visit, keys=rows, made=None, now=services.clock())


@router.post("/keys")
def create_key(
    request: Request,
    services: ServicesDep,
    visit: SenderDep,
    account: FormText = "",
    role: FormText = "",
    label: FormText = "",
    days: FormText = "",
    uses: FormText = "",
) -> Response:
    """Make a key, and show it this once."""
    need(visit, Scope.KEYS_WRITE)
    wanted = checked(
        NewKey,
        {"account": account.strip(), "role": role, "label": label.strip(), "days": days or None,
         "uses": uses or None},
    )  # fmt: skip
    shown = made(services.accounts, wanted, actor_of(request, visit))
    rows = services.accounts.list_keys(limit=500)
    return page(
        request, "keys.html", visit, status=201, keys=rows, made=shown, now=services.clock()
    )


@router.get("/audit")
def audit(
    request: Request,
    services: ServicesDep,
    visit: VisitDep,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """Show the audit log, the newest first."""
    need(visit, Scope.AUDIT_READ)
    with services.database.reading() as session:
        rows = services.audit.newest(session, _ROWS, before)
    older = rows[-1].n if len(rows) == _ROWS and rows[-1].n > 1 else None
    return page(request, "audit.html", visit, rows=rows, older=older)


def _drained(
    request: Request, services: Services, visit: Visit, principal_id: str, wanted: bool
) -> Response:
    need(visit, Scope.POOL_WRITE)
    services.settled(services.pool.drain(principal_id, wanted, actor_of(request, visit)))
    return to(request, f"/pool/{principal_id}")
