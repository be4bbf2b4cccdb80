"""Joining, playing, renewing and leaving, by the API."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from p2c2g.coordinator.access import ActorDep, IdentityDep, ServicesDep, address_of, require
from p2c2g.coordinator.accounts import Identity, NotAdmittedError
from p2c2g.coordinator.enrolment import Enrolment
from p2c2g.coordinator.keys import Scope
from p2c2g.coordinator.limiter import who_asks
from p2c2g.coordinator.services import Services
from p2c2g.joining.messages import Given, Join, Play, Renewed

#: For who shows a key, as all of ``/v1`` wants.
router = APIRouter(prefix="/v1", tags=["joining"])
#: For who shows the token of a membership instead.
members = APIRouter(prefix="/v1", tags=["joining"])

_token = HTTPBearer(
    auto_error=False, scheme_name="membership", description="The token of a membership."
)

Lenders = Annotated[Identity, Depends(require(Scope.JOIN_PEER))]
Gamers = Annotated[Identity, Depends(require(Scope.JOIN_GAMER))]


def enrolment_of(request: Request) -> Enrolment:
    """Return who lets peers and gamers in."""
    found: Enrolment = request.app.state.enrolment
    return found


EnrolmentDep = Annotated[Enrolment, Depends(enrolment_of)]


def membership(
    request: Request,
    services: ServicesDep,
    enrolment: EnrolmentDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_token)],
) -> str:
    """Return whose membership's token is shown; wrong ones count as wrong keys do.

    Raises:
        NotAdmittedError: there is none, or it is no membership's.
        TooOftenError: too many wrong ones came from there.
    """
    token = "" if credentials is None else credentials.credentials
    return known_member(services, enrolment, token, address_of(request))


def known_member(services: Services, enrolment: Enrolment, token: str, address: str) -> str:
    """Return whose membership a token is; who shows wrong ones is not listened to for a while.

    Raises:
        NotAdmittedError: there is none, or it is no membership's.
        TooOftenError: too many wrong ones came from there, or it asks too often.
    """
    if not token:
        raise NotAdmittedError("This needs a membership's token, as Authorization: Bearer ….")
    own, who = services.settings.coordinator, who_asks(address)
    services.limiter.check("wrong", own.logins_per_minute, who)
    try:
        member = enrolment.member(token)
    except NotAdmittedError:
        services.limiter.count("wrong", own.logins_per_minute, who)
        raise
    services.limiter.count("key", own.requests_per_minute, member)
    return member


def newcomer(request: Request, services: ServicesDep, identity: IdentityDep) -> None:
    """Count one who comes in, by key and by address.

    Raises:
        TooOftenError: it is one too many.
    """
    most = services.settings.coordinator.joins_per_minute
    services.limiter.count("join", most, who_asks(address_of(request)))
    services.limiter.count("join", most, identity.key_id)


MemberDep = Annotated[str, Depends(membership)]


@router.post("/peers", status_code=201, dependencies=[Depends(newcomer)])
def join(
    enrolment: EnrolmentDep, identity: Lenders, actor: ActorDep, request: Request, said: Join
) -> Given:
    """Let a machine in as a peer, by a join token: a key of a peer's account."""
    _, _, bearer = request.headers["Authorization"].partition(" ")
    return enrolment.join(identity, bearer.strip(), said, actor)


@router.post("/gamers", status_code=201, dependencies=[Depends(newcomer)])
def play(enrolment: EnrolmentDep, identity: Gamers, actor: ActorDep, said: Play) -> Given:
    """Give a gamer a login at the broker for one session; it ends unless it is renewed."""
    return enrolment.play(identity, said, actor)


@members.post("/membership")
def renew(enrolment: EnrolmentDep, member: MemberDep) -> Renewed:
    """Have a membership go on, and say how its holder stands."""
    return enrolment.renew(member)


@members.delete("/membership", status_code=204)
def leave(enrolment: EnrolmentDep, member: MemberDep, request: Request) -> None:
    """End a membership: its login at the broker is deleted at once."""
    enrolment.leave(member, address_of(request))
