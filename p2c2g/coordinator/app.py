"""The coordinator's application: what it is made of, and how it starts and ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from time import time

from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from p2c2g import __version__
from p2c2g.coordinator import (
    doorkeeper,
    enrolment_api,
    evidence_api,
    health,
    install_api,
    keys_api,
    metrics,
    operator_pages,
    own_pool,
    pages,
    pool_api,
    problems,
    recent,
    update_api,
    watched,
    watching,
)
from p2c2g.coordinator.access import identify
from p2c2g.coordinator.evidence import Dossier
from p2c2g.coordinator.front import Front
from p2c2g.coordinator.logins import Logins
from p2c2g.coordinator.relaying import Shows
from p2c2g.coordinator.releases import Releases
from p2c2g.coordinator.services import Services, make_first_key, opened
from p2c2g.settings import Settings
from p2c2g.settings.coordinator import split


def create_app(
    settings: Settings, clock: Callable[[], float] = time, services: Services | None = None
) -> FastAPI:
    """Return the application.

    Args:
        settings: its own, and the broker's with the operator's login.
        clock: seconds since 1970.
        services: what it needs; opened where its lifespan begins, and closed where that ends, if
            not given.
    """

    own = settings.coordinator

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as stack:
            found = services
            if found is None:
                found = await run_in_threadpool(stack.enter_context, opened(settings, clock))
                await run_in_threadpool(make_first_key, found)
            app.state.services = found
            app.state.recent = stack.enter_context(recent.kept())
            app.state.logins = Logins(
                found.database,
                found.accounts,
                found.audit,
                found.secret,
                clock,
                own.login_hours * 3600,
            )
            app.state.dossier = Dossier(found.database, settings.broker.prefix, clock)
            app.state.releases = Releases(found.database, found.audit, clock)
            app.state.shows = Shows(own.watchers_per_session, own.max_connections // 2)
            if own.pool == "own":
                async with own_pool.opened() as app.state.flower:
                    yield
                return
            keeping = doorkeeper.opened(found)
            app.state.enrolment = await run_in_threadpool(stack.enter_context, keeping)
            yield

    app = FastAPI(
        title="P2C2G coordinator",
        version=__version__,
        summary="The front door of an open pool: accounts, keys, peers and gamers.",
        lifespan=lifespan,
        docs_url=None,  # They would load scripts of another site.
        redoc_url=None,
    )
    problems.install(app)
    origins = split(own.allow_origins)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization"],
            max_age=600,
        )
    # What is added last is passed first.
    app.add_middleware(Front, settings=own)
    if proxies := split(own.trusted_proxies):
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(proxies))
    app.include_router(health.router)
    is_own = own.pool == "own"
    open_pools = (pool_api.router, evidence_api.router, enrolment_api.router, update_api.router)
    # A key for all of it, whatever else a route wants: none can be forgotten.
    for router in (keys_api.router, metrics.router, *(() if is_own else open_pools)):
        app.include_router(router, dependencies=[Depends(identify)], responses=problems.ANSWERS)
    joining = (enrolment_api.members, evidence_api.members, update_api.members)
    for router in (own_pool.members,) if is_own else joining:
        app.include_router(router, responses=problems.ANSWERS)
    open_pages = (install_api.router, watched.router, watching.router, operator_pages.pool)
    shown = (own_pool.router,) if is_own else open_pages
    for router in (pages.open_router, pages.router, *shown, operator_pages.router):
        app.include_router(router)
    return app
