"""What the coordinator's WebSockets, of sessions and of viewers, have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import WebSocket
from fastapi.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect

from p2c2g.joining import watching

#: Bytes of one message of anybody's.
WS_MAX_SIZE: Final = watching.PART + 1_024
#: Seconds after which it is asked again whether somebody still may.
AGAIN: Final = 10.0
# WebSocket close codes (RFC 6455, section 7.4.1, and its registry).
DONE, GOING_AWAY, ABNORMAL, BAD_MESSAGE, TRY_LATER = 1000, 1001, 1006, 1008, 1013
#: Seconds that the last word of a connection that has ended is waited for.
_GOODBYE: Final = 1.0


class HangUpError(Exception):
    """A connection is to be closed; 123 bytes of ``why`` at most."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


async def received(websocket: WebSocket) -> dict[str, Any]:
    """Return what comes next.

    Raises:
        WebSocketDisconnect: it is the end.
    """
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"], message.get("reason"))
    return dict(message)


async def text_of(websocket: WebSocket) -> str:
    """Return the next message; one that is no text is an empty one."""
    return (await received(websocket)).get("text") or ""


async def welcome(websocket: WebSocket) -> None:
    """Accept a connection that need not go for another."""
    if stay := getattr(websocket.state, "stay", None):
        stay()
    await websocket.accept()


async def ask_again(may: Callable[[], object]) -> None:
    """Raise what refuses somebody, once it does."""
    while True:
        await asyncio.sleep(AGAIN)
        await run_in_threadpool(may)


async def first_of(*parts: Awaitable[None]) -> None:
    """Run all until the first has ended, and end the others."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    # In their own order, so that who reads has the first word about how it ended.
    for task in tasks:
        if task in done:
            task.result()


async def code_of(websocket: WebSocket, end: WebSocketDisconnect) -> int:
    """Return the code by which the other side ended a connection.

    Who was sending hears only that it has ended: how, is still to be read.
    """
    while end.code == ABNORMAL:
        try:
            async with asyncio.timeout(_GOODBYE):
                await received(websocket)
        except WebSocketDisconnect as read:
            return read.code
        except (RuntimeError, TimeoutError):  # It was read before, or there is none.
            break
    return end.code
