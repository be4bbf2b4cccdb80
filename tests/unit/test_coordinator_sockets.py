"""How a connection ended, whoever of its two halves hears of it first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from p2c2g.coordinator.sockets import ABNORMAL, DONE, code_of, first_of, received

CLOSED = {"type": "websocket.disconnect", "code": DONE, "reason": ""}
TEXT = {"type": "websocket.receive", "text": "{}"}


async def a_socket(coming: Sequence[dict[str, Any]]) -> WebSocket:
    """Return a socket that can be read to the end, and to which nothing can be sent."""
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    for message in ({"type": "websocket.connect"}, *coming):
        messages.put_nowait(message)

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            raise OSError("It has gone.")

    socket = WebSocket({"type": "websocket"}, messages.get, send)
    await socket.accept()
    return socket


async def ended(coming: Sequence[dict[str, Any]], *, reads: bool) -> int:
    """Return the code that is told of a connection with a reader and a sender, or only the last."""
    socket = await a_socket(coming)

    async def read() -> None:
        while reads:
            await received(socket)
        await asyncio.Event().wait()

    with pytest.raises(WebSocketDisconnect) as end:
        await first_of(read(), socket.send_text("{}"))
    return await code_of(socket, end.value)


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("reads", [True, False])
def test_who_cannot_send_any_more_learns_how_it_ended(before: int, reads: bool) -> None:
    assert asyncio.run(ended([*[TEXT] * before, CLOSED], reads=reads)) == DONE


def test_a_connection_that_was_cut_has_no_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2c2g.coordinator.sockets._GOODBYE", 0.01)
    assert asyncio.run(ended([], reads=True)) == ABNORMAL
