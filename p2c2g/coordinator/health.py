"""Whether the coordinator is alive, and whether it can do its work; no key is needed."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from p2c2g.coordinator.access import ServicesDep
from p2c2g.coordinator.problems import ANSWERS
from p2c2g.errors import UnavailableError
from p2c2g.messaging.errors import translated

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """That it is so."""

    status: str = Field(examples=["ok"])


@router.get("/healthz", responses={503: ANSWERS[503]})
async def healthz(services: ServicesDep) -> Health:
    """Say that this process is alive, with all of its threads."""
    try:
        for check in services.checks:
            check()
    except RuntimeError as error:
        raise UnavailableError(
            "A part of this coordinator has died, and its log says why: start it again."
        ) from error
    return Health(status="ok")


@router.get("/readyz", responses={503: ANSWERS[503]})
def readyz(services: ServicesDep) -> Health:
    """Say whether the database and the broker answer."""
    services.database.ping()
    with translated("The pool's broker does not answer"):
        services.broker.client.ping()
    return Health(status="ok")
