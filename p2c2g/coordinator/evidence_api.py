"""Evidence against peers, by the API: gamers bring it, operators read it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, RootModel

from p2c2g.coordinator.access import ServicesDep, require
from p2c2g.coordinator.accounts import Identity
from p2c2g.coordinator.enrolment_api import MemberDep
from p2c2g.coordinator.evidence import VERDICTS, Dossier
from p2c2g.coordinator.keys import Scope
from p2c2g.coordinator.models import EvidenceRow
from p2c2g.coordinator.pool_api import PrincipalId
from p2c2g.joining.messages import Taken
from p2c2g.verify.evidence import Evidence, Finding

#: For who shows a key.
router = APIRouter(prefix="/v1", tags=["pool"])
#: For who shows the token of a membership instead.
members = APIRouter(prefix="/v1", tags=["joining"])

Readers = Annotated[Identity, Depends(require(Scope.POOL_READ))]


class Told(Evidence):
    """An answer by which a peer was caught, signed by that peer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "pool": "p2c2g",
                    "gamer": "galice",
                    "at": "2030-01-01T12:00:00+00:00",
                    "said": "CheckError: a residual where there is no detail.",
                    "statement": {
                        "peer": "k3v9m2x8q1w7e5r4t6y0",
                        "chunk": "AAAA",
                        "picture": "0" * 64,
                        "result": "AAAA",
                        "residual": "0" * 64,
                        "signature": "A" * 86 + "==",
                    },
                }
            ]
        }
    )


class ShownEvidence(BaseModel):
    """A piece of evidence, and what can be seen in it; ``evidence`` is all of it, where asked."""

    id: str
    at: float
    gamer: str
    account: str
    finding: Finding
    verdict: str
    said: str
    evidence: dict[str, Any] | None = None

    @classmethod
    def of(cls, row: EvidenceRow, *, whole: bool = False) -> ShownEvidence:
        """Return what an operator sees of a row."""
        finding = Finding(row.finding)
        return cls(
            id=row.id, at=row.at, gamer=row.gamer_id, account=row.account.name, finding=finding,
            verdict=VERDICTS[finding], said=row.said,
            evidence=json.loads(row.text) if whole else None,
        )  # fmt: skip


class ShownDossier(RootModel[list[ShownEvidence]]):
    """What there is against a peer, the newest first."""


def dossier_of(request: Request) -> Dossier:
    """Return the evidence against the pool's peers."""
    found: Dossier = request.app.state.dossier
    return found


DossierDep = Annotated[Dossier, Depends(dossier_of)]


@members.post("/evidence", status_code=201)
def take(services: ServicesDep, dossier: DossierDep, member: MemberDep, told: Told) -> Taken:
    """Show an answer by which a peer was caught; it is checked, and kept for operators."""
    most = services.settings.coordinator.evidence_per_minute
    services.limiter.count("evidence", most, dossier.account_of(member))
    return Taken(finding=dossier.take(member, told).value)


@router.get("/principals/{principal_id}/evidence")
def show(
    services: ServicesDep,
    dossier: DossierDep,
    _: Readers,
    principal_id: PrincipalId,
    whole: bool = False,
) -> ShownDossier:
    """List what gamers have shown of a peer; ``whole`` has all of it, for a check elsewhere."""
    services.pool.principal(principal_id)
    return ShownDossier([ShownEvidence.of(row, whole=whole) for row in dossier.of(principal_id)])
