"""How much of a microphone is heard, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.websockets import WebSocket

from p2c2g.display.microphone_socket import BORNE, HEARD, RATE, serve_microphone


class Speaker:
    """A viewer that sends packets at certain times, and a voice that hears them."""

    def __init__(self, times: Iterable[float]) -> None:
        self._times: Iterator[float] = iter(times)
        self.now = 0.0
        self.heard: list[float] = []
        self.closed: int | None = None
        self.muted = 0

    async def receive(self) -> dict[str, Any]:
        try:
            self.now = next(self._times)
        except StopIteration:
            return {"type": "websocket.disconnect"}
        return {"type": "websocket.receive", "bytes": b"opus"}

    async def close(self, code: int, reason: str) -> None:
        self.closed = code

    def hear(self, packet: bytes) -> None:
        self.heard.append(self.now)

    def mute(self) -> None:
        self.muted += 1


def spoken(times: Iterable[float]) -> Speaker:
    speaker = Speaker(times)
    anyio.run(serve_microphone, cast(WebSocket, speaker), speaker, lambda: speaker.now)
    return speaker


def test_after_a_stall_what_is_old_is_left_out_and_the_rest_is_heard() -> None:
    before, stalled = [n / 50 for n in range(50)], [11.0] * 500
    after = [11.02 + n / 50 for n in range(50)]
    speaker = spoken([*before, *stalled, *after])
    assert speaker.closed is None
    assert speaker.heard == [*before, *[11.0] * HEARD, *after]
    assert speaker.muted == 1


@pytest.mark.parametrize("times", [[5.0] * (BORNE + 1), [n / 1_000 for n in range(5_000)]])
def test_who_goes_on_like_that_is_hung_up_on(times: list[float]) -> None:
    speaker = spoken(times)
    assert (speaker.closed, speaker.muted) == (1008, 1)
    assert len(speaker.heard) <= HEARD + RATE * (speaker.now - times[0]) + 1


@given(st.lists(st.floats(0, 2), max_size=400))
def test_no_second_has_more_than_speech_has(gaps: list[float]) -> None:
    times = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    heard = spoken(times).heard
    for first in heard[::20]:
        assert sum(first <= at < first + 1 for at in heard) <= HEARD + RATE + 1
