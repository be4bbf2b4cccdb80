"""Pages for people: signing in with a key, and what is theirs.

They work without scripts.  Whatever changes something is a form that carries the login's token, and
comes from a page of our own by what the browser itself says.
"""

from __future__ import annotations

import hmac
from importlib.resources import files
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.requests import HTTPConnection

from p2c2g.coordinator.access import ServicesDep, address_of, recognised
from p2c2g.coordinator.accounts import ForbiddenError, NotAdmittedError, NotFoundError
from p2c2g.coordinator.audit import Actor
from p2c2g.coordinator.keys import KeyRole, Scope
from p2c2g.coordinator.keys_api import KeyId
from p2c2g.coordinator.limiter import TooOftenError
from p2c2g.coordinator.logins import Logins, Visit
from p2c2g.coordinator.look import Seen, look
from p2c2g.coordinator.rendering import TOKEN, page
from p2c2g.coordinator.services import Services
from p2c2g.errors import BrokerUnavailableError
from p2c2g.settings.principal import Role

_STATIC: Final = {"pages.css": "text/css", "favicon.svg": "image/svg+xml"}


def is_page(request: Request) -> None:
    """Have what goes wrong be told by a page."""
    request.state.is_page = True


def logins_of(request: Request) -> Logins:
    """Return who signs browsers in."""
    found: Logins = request.app.state.logins
    return found


LoginsDep = Annotated[Logins, Depends(logins_of)]


def visit_of(request: Request, services: ServicesDep, logins: LoginsDep) -> Visit:
    """Return who has signed in.

    Raises:
        NotAdmittedError: nobody has, in this browser.
        TooOftenError: this browser asks too often.
    """
    visit = logins.visit(request.cookies.get(cookie_name(request), ""))
    request.state.identity = visit.identity
    most = services.settings.coordinator.requests_per_minute
    services.limiter.count("key", most, visit.identity.key_id)
    return visit


VisitDep = Annotated[Visit, Depends(visit_of)]


def own_page(request: Request) -> None:
    """Refuse what does not come from a page of our own.

    Raises:
        ForbiddenError: it does not, or the browser does not say.
    """
    site = request.headers.get("sec-fetch-site")
    origin = urlsplit(request.headers.get("origin", "")).hostname
    services: Services = request.app.state.services
    ours = {request.url.hostname, urlsplit(services.settings.coordinator.public_url).hostname}
    if not (site == "same-origin" if site is not None else origin in ours - {None}):
        raise ForbiddenError("That came from a page of another site: go back to this one's own.")


def sent_by(
    visit: VisitDep,
    _: Annotated[None, Depends(own_page)],
    token: Annotated[str, Form(alias=TOKEN, max_length=64)] = "",
) -> Visit:
    """Return who sent a form.

    Raises:
        ForbiddenError: it has not the login's token.
    """
    if not hmac.compare_digest(token.encode(), visit.form_token.encode()):
        raise ForbiddenError("That form was of another login: go back, load the page again.")
    return visit


SenderDep = Annotated[Visit, Depends(sent_by)]

#: For everybody.
open_router = APIRouter(include_in_schema=False, dependencies=[Depends(is_page)])
#: For who has signed in, whatever else a page wants: none can be forgotten.
router = APIRouter(include_in_schema=False, dependencies=[Depends(is_page), Depends(visit_of)])


# -- for everybody --------------------------------------------------------------------------------


@open_router.get("/static/{name}")
def static(name: str) -> Response:
    """Give a file that pages are made of."""
    if name not in _STATIC:
        raise NotFoundError("There is no such file.")
    data = (files("p2c2g.coordinator") / "static" / name).read_bytes()
    return Response(data, media_type=_STATIC[name])


@open_router.get("/sign-in")
def sign_in_page(request: Request) -> Response:
    """Ask for a key."""
    return page(request, "sign_in.html", wrong="")


@open_router.post("/sign-in", dependencies=[Depends(own_page)])
def sign_in(
    request: Request,
    services: ServicesDep,
    logins: LoginsDep,
    key: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Sign a browser in."""
    try:
        identity = recognised(services, key.strip(), address_of(request))
    except (NotAdmittedError, TooOftenError) as error:
        status = 429 if isinstance(error, TooOftenError) else 401
        return page(request, "sign_in.html", status=status, wrong=str(error))
    answer = to(request, "/")
    answer.set_cookie(
        cookie_name(request),
        logins.sign_in(identity, address_of(request)),
        max_age=round(services.settings.coordinator.login_hours * 3600),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


# -- for who has signed in ------------------------------------------------------------------------


@router.get("/")
def first(request: Request, visit: VisitDep) -> Response:
    """Go to the page of the key's role."""
    return to(request, "/pool" if visit.identity.role is KeyRole.OPERATOR else "/mine")


@router.post("/sign-out")
def sign_out(request: Request, logins: LoginsDep, _: SenderDep) -> Response:
    """Sign a browser out."""
    name = cookie_name(request)
    logins.sign_out(request.cookies.get(name, ""))
    answer = to(request, "/sign-in")
    answer.delete_cookie(name, path="/", secure=request.url.scheme == "https", httponly=True)
    return answer


@router.get("/mine")
def mine(request: Request, services: ServicesDep, visit: VisitDep) -> Response:
    """Show a gamer's sessions, a lender's machines, and the account's keys."""
    need(visit, Scope.OWN)
    account = visit.identity.account_id
    peers = services.pool.list_principals(Role.PEER, account)
    everybody = [row.id for row in services.pool.list_principals(Role.PEER)] if peers else []
    living, notice = living_of(services, everybody)
    return page(
        request,
        "mine.html",
        visit,
        role=visit.identity.role.value,
        peers=peers,
        gamers=services.pool.list_principals(Role.GAMER, account),
        living=living,
        living_count=len(living),
        watchable=request.app.state.shows.watchable(),
        keys=services.accounts.list_keys(account),
        now=services.clock(),
        address=services.settings.coordinator.public_url or str(request.base_url).rstrip("/"),
        notice=notice,
    )


@router.post("/keys/{key_id}/revoke")
def revoke(request: Request, services: ServicesDep, visit: SenderDep, key_id: KeyId) -> Response:
    """End a key: an operator's any, everybody's those of the own account."""
    if Scope.KEYS_WRITE not in visit.identity.scopes:
        need(visit, Scope.OWN)
        ours = services.accounts.list_keys(visit.identity.account_id)
        if key_id not in {row.id for row in ours if row.role != KeyRole.OPERATOR.value}:
            raise ForbiddenError("Only an operator may revoke that key.")
    services.gate.settle(services.accounts.revoke(key_id, actor_of(request, visit)))
    is_operator = visit.identity.role is KeyRole.OPERATOR
    return to(request, "/keys" if is_operator else "/mine")


# -- for all pages --------------------------------------------------------------------------------


def cookie_name(request: HTTPConnection) -> str:
    """Return the cookie's name; browsers refuse that of a page by TLS from anybody else."""
    return "__Host-p2c2g" if request.url.scheme in ("https", "wss") else "p2c2g"


def to(request: Request, path: str) -> RedirectResponse:
    """Return an answer that goes to another page of ours."""
    return RedirectResponse(request.scope.get("root_path", "") + path, 303)


def need(visit: Visit, scope: Scope) -> None:
    """Refuse who has not a scope.

    Raises:
        ForbiddenError: so it is.
    """
    if scope not in visit.identity.scopes:
        raise ForbiddenError(f"This page needs a key with the scope {scope.value}.")


def actor_of(request: Request, visit: Visit) -> Actor:
    """Return who sent a form, for the audit log."""
    return visit.identity.actor(address_of(request))


def living_of(
    services: Services, peers: list[str], gamers: list[str] | None = None
) -> tuple[dict[str, Seen], str]:
    """Return the peers that beat by their ids, and what to say where the broker does not answer."""
    try:
        return dict(look(services.broker.client, peers, gamers or ())), ""
    except BrokerUnavailableError:
        return {}, "The pool's broker does not answer: who is there is not known."
