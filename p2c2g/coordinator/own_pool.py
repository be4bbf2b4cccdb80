"""What a coordinator shows of a pool of one's own: who is there, and Flower, behind its sign-in.

Machines of such a pool share the broker's password: nobody joins it, and there are no logins to
give or to take away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import Annotated, Final

import httpx
from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from starlette.background import BackgroundTask

from p2c2g.coordinator.access import ServicesDep
from p2c2g.coordinator.flower_process import PREFIX, FlowerProcess
from p2c2g.coordinator.keys import Scope
from p2c2g.coordinator.own_look import Seen, look_at
from p2c2g.coordinator.pages import VisitDep, is_page, need, own_page, to, visit_of
from p2c2g.coordinator.rendering import page
from p2c2g.errors import BrokerUnavailableError, UnavailableError, UsageError

#: Seconds that Flower may take: it waits for workers itself.
_PATIENCE: Final = 30.0
#: What of a request and of an answer is passed on: no cookie, no login and no rule of another's.
_ASKED: Final = ("accept", "content-type", "if-none-match", "x-requested-with")
_TOLD: Final = ("content-type", "content-encoding", "etag", "location", "last-modified")
#: Flower's pages have a script and styles of their own in them.
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

#: For programs that ask a pool of one's own to be let in.
members = APIRouter(include_in_schema=False)
router = APIRouter(include_in_schema=False, dependencies=[Depends(is_page), Depends(visit_of)])


class Flower:
    """Flower's process, and the way to it."""

    def __init__(self, process: FlowerProcess) -> None:
        self._process = process
        transport = httpx.AsyncHTTPTransport(uds=str(process.socket))
        self._client = httpx.AsyncClient(
            transport=transport, base_url="http://flower", timeout=_PATIENCE
        )

    async def ask(self, request: Request) -> Response:
        """Pass a request on, and its answer back.

        Raises:
            UnavailableError: Flower does not answer, or is not installed.
        """
        if find_spec("flower") is None:
            raise UnavailableError('Flower is not installed: pip install "p2c2g[flower]".')
        await run_in_threadpool(self._process.keep)
        root = request.scope.get("root_path", "")
        path = request.url.path.removeprefix(root)
        asked = self._client.build_request(
            request.method,
            httpx.URL(path, query=request.url.query.encode()),
            headers={name: request.headers[name] for name in _ASKED if name in request.headers},
            content=await request.body(),
        )
        asked.headers["accept-encoding"] = request.headers.get("accept-encoding", "identity")
        try:
            answer = await self._client.send(asked, stream=True)
        except httpx.HTTPError as error:
            raise UnavailableError(
                "Flower does not answer yet: load this page again in some seconds."
            ) from error
        told = {name: answer.headers[name] for name in _TOLD if name in answer.headers}
        return StreamingResponse(
            answer.aiter_raw(),
            answer.status_code,
            {**told, "Content-Security-Policy": _POLICY},
            background=BackgroundTask(answer.aclose),
        )

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()


@asynccontextmanager
async def opened() -> AsyncIterator[Flower]:
    """Run Flower for as long as the block lasts, where it is installed."""
    async with AsyncExitStack() as stack:
        process = FlowerProcess()
        stack.push_async_callback(run_in_threadpool, process.stop)
        if find_spec("flower") is not None:
            await run_in_threadpool(process.keep)
        flower = Flower(process)
        stack.push_async_callback(flower.close)
        yield flower


@members.post("/v1/peers")
@members.post("/v1/gamers")
def join() -> Response:
    """Say that nobody can join."""
    raise UsageError(
        "This pool is one of its owner's own, which nobody joins: its machines name its broker by "
        "P2C2G_BROKER_URL."
    )


@router.get("/pool")
def pool(request: Request, services: ServicesDep, visit: VisitDep) -> Response:
    """Show who is in the pool, and what waits."""
    need(visit, Scope.POOL_READ)
    seen, notice = Seen(), ""
    try:
        seen = look_at(services.broker.client)
    except BrokerUnavailableError:
        notice = "The pool's broker does not answer: who is there is not known."
    return page(
        request, "own_pool.html", visit, seen=seen, notice=notice, flower=PREFIX,
        errors=request.app.state.recent.lines,
    )  # fmt: skip


@router.get(PREFIX)
def flower_root(request: Request) -> Response:
    """Go to Flower's first page."""
    return to(request, f"{PREFIX}/")


@router.get(PREFIX + "/{path:path}")
async def shown(request: Request, visit: VisitDep, path: str) -> Response:
    """Show a page of Flower's, or what its scripts ask for."""
    need(visit, Scope.POOL_READ)
    return await flower_of(request).ask(request)


@router.post(PREFIX + "/{path:path}")
async def act(
    request: Request, visit: VisitDep, _: Annotated[None, Depends(own_page)], path: str
) -> Response:
    """Do what a page of Flower's asks for: it can end workers."""
    need(visit, Scope.POOL_WRITE)
    return await flower_of(request).ask(request)


def flower_of(request: Request) -> Flower:
    """Return the Flower of this coordinator."""
    found: Flower = request.app.state.flower
    return found
