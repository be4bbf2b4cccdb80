"""Who speaks: one viewer's microphone, by Opus packets on a WebSocket of its own.

A stranger's bytes: each message is one packet of a bounded size, and of more of them than speech
has none is heard.  A stall brings what was said meanwhile at once, which nobody wants to hear any
more; only who goes on like that is hung up on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from starlette.websockets import WebSocket

from p2c2g.media.sound import MAX_PACKET_BYTES
from p2c2g.timing.bucket import TokenBucket

#: Packets a second, of 10 ms at least; how many that come at once are heard, and are borne.
RATE, HEARD, BORNE = 110.0, 100, 3_000

# WebSocket close codes (RFC 6455, section 7.4.1).
_BAD_MESSAGE = 1008


class Microphone(Protocol):
    """Where a viewer's voice goes."""

    def hear(self, packet: bytes) -> None:
        """Take one Opus packet; it waits for nothing, and refuses none."""
        ...

    def mute(self) -> None:
        """Note that nobody speaks any more."""
        ...


async def serve_microphone(
    websocket: WebSocket, microphone: Microphone, clock: Callable[[], float]
) -> None:
    """Pass on what one viewer says, until it ends.

    Args:
        websocket: the connection, accepted.
        microphone: where it goes.
        clock: monotonic, in seconds.
    """
    speech, patience = TokenBucket(RATE, HEARD), TokenBucket(RATE, BORNE)
    try:
        while (message := await websocket.receive())["type"] != "websocket.disconnect":
            packet = message.get("bytes")
            now = clock()
            speech.fill(now)
            patience.fill(now)
            if not packet or len(packet) > MAX_PACKET_BYTES or not patience.take():
                await websocket.close(_BAD_MESSAGE, "A microphone sends Opus packets as they come.")
                return
            if speech.take():
                microphone.hear(packet)
    finally:
        microphone.mute()
