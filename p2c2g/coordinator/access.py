"""Who asks, and whether it may: what every route of the API depends on.

The API takes a key in the ``Authorization`` header alone, never a cookie, so no page of another
site can ask it in a signed-in browser's name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from p2c2g.coordinator.accounts import ForbiddenError, Identity, NotAdmittedError
from p2c2g.coordinator.audit import Actor
from p2c2g.coordinator.keys import Scope
from p2c2g.coordinator.limiter import who_asks
from p2c2g.coordinator.services import Services

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="A key of this coordinator: p2c2g_ and 61 letters and digits.",
)


def services_of(request: Request) -> Services:
    """Return the coordinator's parts."""
    found: Services = request.app.state.services
    return found


def address_of(request: Request) -> str:
    """Return the address that a request comes from; a trusted proxy says whose it is."""
    return request.client.host if request.client else ""


ServicesDep = Annotated[Services, Depends(services_of)]


def identify(
    request: Request,
    services: ServicesDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Identity:
    """Return who asks, by its key.

    Raises:
        NotAdmittedError: there is no key, or none that counts.
    """
    if credentials is None:
        raise NotAdmittedError("This needs a key: send it as Authorization: Bearer p2c2g_….")
    identity = recognised(services, credentials.credentials, address_of(request))
    request.state.identity = identity
    return identity


def recognised(services: Services, key: str, address: str) -> Identity:
    """Return whose key it is; who shows too many wrong ones is not listened to for a while.

    Raises:
        NotAdmittedError: it is none that counts.
        TooOftenError: too many wrong ones came from there, or it asks too often.
    """
    own, who = services.settings.coordinator, who_asks(address)
    services.limiter.check("wrong", own.logins_per_minute, who)
    try:
        identity = services.accounts.identify(key)
    except NotAdmittedError:
        services.limiter.count("wrong", own.logins_per_minute, who)
        raise
    services.limiter.count("key", own.requests_per_minute, identity.key_id)
    return identity


IdentityDep = Annotated[Identity, Depends(identify)]


def require(scope: Scope) -> Callable[[Identity], Identity]:
    """Return a dependency that lets in only who has a scope, and says who that is.

    It raises :class:`~p2c2g.coordinator.accounts.ForbiddenError` for all others.
    """

    def required(identity: IdentityDep) -> Identity:
        if scope not in identity.scopes:
            raise ForbiddenError(
                f"A key needs the scope {scope.value} for this, and this {identity.role.value}'s "
                "has it not."
            )
        return identity

    return required


def actor_of(request: Request, identity: IdentityDep) -> Actor:
    """Return who asks and from where, for the audit log."""
    return identity.actor(address_of(request))


ActorDep = Annotated[Actor, Depends(actor_of)]
