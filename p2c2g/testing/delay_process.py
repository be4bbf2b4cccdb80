"""The delay proxy's own process, which
:class:`p2c2g.testing.delay_proxy.DelayProxy` starts and commands.

Every direction of every connection has a queue of what it read, stamped with the time when it
is due at the other end.  A shorter delay, set while it runs, never lets bytes overtake others.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import socket
import sys
from collections import deque
from typing import Final, cast

HOST: Final = "127.0.0.1"

#: Bytes in flight that one direction of one connection holds: enough for 400 MB/s at a
#: round trip of 40 ms.  Policy: nothing is dropped; beyond it the sender has to wait.
BUFFER = 8 << 20
#: Connections at a time.  Policy: one more is closed at once.  (``select`` takes 1,024 files.)
MAX_CONNECTIONS = 400
#: With a bandwidth, bytes are sent in pieces of this many seconds of it, at least one packet.
_PIECE_SECONDS, _PACKET = 0.001, 1448
#: Seconds that a sleeping process takes to wake and write (measured): timers are set this much
#: early, and what is due within it is sent at once.
_WAKE = 0.00025


class _Line:
    """One direction of the network, shared by all its connections (pure)."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.bytes_per_second: float | None = None
        self._free_at = 0.0

    def pieces(self, data: bytes) -> list[bytes]:
        """Return ``data`` cut as finely as a line of this bandwidth would carry it."""
        if self.bytes_per_second is None:
            return [data]
        size = max(_PACKET, int(self.bytes_per_second * _PIECE_SECONDS))
        return [data[start : start + size] for start in range(0, len(data), size)]

    def arrival(self, size: int, now: float) -> float:
        """Return when ``size`` bytes that are sent at ``now`` have arrived."""
        if self.bytes_per_second is None:
            return now + self.delay
        self._free_at = max(self._free_at, now) + size / self.bytes_per_second
        return self._free_at + self.delay


class _Proxy:
    """The listening side: its two lines and its connections."""

    def __init__(self, target: tuple[str, int], rtt_ms: float, bandwidth: float | None) -> None:
        self.target = target
        self.there, self.back = _Line(), _Line()
        self.paused = False
        self.ends: set[_End] = set()
        self.rtt(rtt_ms)
        self.bandwidth(bandwidth)

    def rtt(self, milliseconds: float) -> None:
        self.there.delay = self.back.delay = milliseconds / 2000

    def bandwidth(self, bits: float | None) -> None:
        rate = None if bits is None else bits / 8
        self.there.bytes_per_second = self.back.bytes_per_second = rate

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        for end in list(self.ends):
            end.deliver()

    def cut(self) -> None:
        for end in list(self.ends):
            end.abort()

    def connections(self) -> int:
        return sum(end.line is self.there for end in self.ends)


class _End(asyncio.Protocol):
    """One end of a connection: reads from its socket, and owns what waits for the other end."""

    def __init__(self, proxy: _Proxy, line: _Line, other: _End | None = None) -> None:
        self.proxy = proxy
        self.line = line
        self.other = other
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        #: (when it is due, the bytes; none for the end of the stream), and their number.
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.held = 0
        self.last_due = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.reading = True
        self.blocked = False  # the other end's socket takes no more
        self.ended = False  # our stream has ended, and the other end was told
        self.dialling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=1 << 20)
        if self.other is not None:  # the far side, just dialled
            if self.other not in self.proxy.ends:  # nobody waits for it any more
                transport.abort()
                return
            self.proxy.ends.add(self)
            self.other.other = self
            self.other.deliver()
        elif self.proxy.connections() >= MAX_CONNECTIONS:
            transport.abort()
        else:
            self.proxy.ends.add(self)
            self.dialling = self.loop.create_task(self._dial())

    async def _dial(self) -> None:
        try:
            await self.loop.create_connection(
                lambda: _End(self.proxy, self.proxy.back, self), *self.proxy.target
            )
        except OSError:
            self.abort()

    def data_received(self, data: bytes) -> None:
        self._hold(data)

    def eof_received(self) -> bool:
        self._hold(b"")
        return True  # the other direction goes on

    def _hold(self, data: bytes) -> None:
        now = self.loop.time()
        for piece in self.line.pieces(data) or [data]:
            # A shorter delay must not let bytes overtake those that left before.
            self.last_due = max(self.last_due, self.line.arrival(len(piece), now))
            self.waiting.append((self.last_due, piece))
        self.held += len(data)
        self.deliver()

    def deliver(self) -> None:
        """Hand over what is due, and come back when the next piece is."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        target = self.other.transport if self.other is not None else None
        if target is not None and not self.blocked and not self.proxy.paused:
            now = self.loop.time() + _WAKE
            while self.waiting and self.waiting[0][0] <= now and not self.blocked:
                piece = self.waiting.popleft()[1]
                self.held -= len(piece)
                if piece:
                    target.write(piece)  # may set blocked, through pause_writing
                else:
                    self._end(target)
            if self.waiting and not self.blocked:
                self.timer = self.loop.call_at(self.waiting[0][0] - _WAKE, self.deliver)
        self._throttle()

    def _end(self, target: asyncio.Transport) -> None:
        self.ended = True
        if self.other is not None and self.transport is not None and self.other.ended:
            target.close()
            self.transport.close()
        elif target.can_write_eof() and not target.is_closing():
            target.write_eof()

    def _throttle(self) -> None:
        """Read no more while the buffer is full."""
        wanted = self.held < (BUFFER if self.reading else BUFFER // 2)
        if wanted is self.reading or self.transport is None or self.transport.is_closing():
            return
        self.reading = wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.blocked = True

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.blocked = False
            self.other.deliver()

    def connection_lost(self, exc: Exception | None) -> None:
        self.proxy.ends.discard(self)
        if self.timer is not None:
            self.timer.cancel()
        if self.dialling is not None:
            self.dialling.cancel()
        self.waiting.clear()
        # After a reset there is nobody left to deliver to.
        if self.other is not None and not (self.ended and self.other.ended):
            self.other.abort()

    def abort(self) -> None:
        """Reset the connection."""
        self.proxy.ends.discard(self)
        if self.transport is not None and not self.transport.is_closing():
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if self.transport is not None:
            self.transport.abort()


async def _serve() -> None:
    """Carry out the commands on standard input, one JSON line each; the first names the target."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    host, port, rtt_ms, bandwidth = json.loads(await reader.readline())
    proxy = _Proxy((host, port), rtt_ms, bandwidth)
    server = await loop.create_server(lambda: _End(proxy, proxy.there), HOST, 0)
    _answer(server.sockets[0].getsockname()[1])
    while line := await reader.readline():
        verb, *arguments = json.loads(line)
        _answer(getattr(proxy, verb)(*arguments))


def _answer(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the proxy's process; ``epoll`` would round every delay up to a whole millisecond."""
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    try:
        loop.run_until_complete(_serve())
    finally:
        loop.close()


if __name__ == "__main__":
    main()
