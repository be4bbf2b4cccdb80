"""The delay proxy's own process, which
:class:`p2c2g.testing.delay_proxy.DelayProxy` starts and commands.

All connections share one :class:`~p2c2g.testing.delay_line.Line` in each direction.  What has left
its bottleneck waits at the end that read it until it is due at the other.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import socket
import sys
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, cast

from p2c2g.testing.delay_line import DEEP, PACKET, Line, Meter, Shape

HOST: Final = "127.0.0.1"

#: Bytes in flight that one direction of one connection holds.  Policy: nothing is dropped; beyond
#: it the sender has to wait.
BUFFER = DEEP
#: Connections at a time.  Policy: one more is closed at once.  (``select`` takes 1,024 files.)
MAX_CONNECTIONS = 400
#: Bytes that are read at once.
_READ = 1 << 18
#: Bytes that the kernel holds for a shaped line beside the queue, and of one of its segments:
#: without, loopback's buffers would take megabytes of what is to wait at the sender.
_KERNEL, _SEGMENT = 16 << 10, 1448
#: Seconds that a sleeping process takes to wake and write (measured): timers are set this much
#: early, and what is due within it is sent at once.  A way is shorter by that at most.
EARLY: Final = 0.00025


class _Way:
    """One direction: its line, who waits for room in it, and what went over it."""

    def __init__(self, shape: Shape) -> None:
        self.loop = asyncio.get_running_loop()
        self.line: Line[_End] = Line(shape, self.loop.time())
        self.sent, self.arrived = Meter(), Meter()
        #: Ends that read no more until there is room.  As many as there are connections.
        self.stopped: dict[_End, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def reshape(self, shape: Shape) -> None:
        self.line.reshape(shape, self.loop.time())
        self.move()

    def put(self, owner: _End, data: bytes) -> None:
        self.sent.count(len(data), self.loop.time())
        self.line.put(owner, data, self.loop.time())
        self.move()

    def has_room(self) -> bool:
        return self.line.room(self.loop.time()) >= PACKET

    def move(self) -> None:
        """Give what has left the bottleneck to its owners, and come back when more has."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        owners: dict[_End, None] = {}
        for owner, piece, due in self.line.take(self.loop.time() + EARLY):
            owner.waiting.append((due, piece))
            owners[owner] = None
        for owner in owners:
            owner.deliver()
        self.let_in()
        if (at := self.line.next_at) is not None:
            self._timer = self.loop.call_at(at - EARLY, self.move)

    def let_in(self) -> None:
        """Have those read again who waited for room, in turn."""
        for end in list(self.stopped):
            if not self.has_room():
                break
            end.throttle()


class _Proxy:
    """The listening side: its two ways and its connections."""

    def __init__(self, target: tuple[str, int], up: Shape, down: Shape) -> None:
        self.target = target
        self.there, self.back = _Way(up), _Way(down)
        self.paused = False
        self.ends: set[_End] = set()

    def shape(self, up: dict[str, Any], down: dict[str, Any]) -> None:
        self.there.reshape(Shape.parse(up))
        self.back.reshape(Shape.parse(down))

    def rtt(self, milliseconds: float) -> None:
        for way in (self.there, self.back):
            way.reshape(replace(way.line.shape, delay_ms=milliseconds / 2))

    def bandwidth(self, bits: float | None) -> None:
        for way in (self.there, self.back):
            way.reshape(replace(way.line.shape, bps=bits, trace=()))

    def traffic(self) -> dict[str, Any]:
        return {
            name: {"sent": way.sent.samples, "arrived": way.arrived.samples}
            for name, way in (("up", self.there), ("down", self.back))
        }

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
        return sum(end.way is self.there for end in self.ends)


class _End(asyncio.BufferedProtocol):
    """One end of a connection: reads from its socket, and owns what waits for the other end."""

    def __init__(self, proxy: _Proxy, way: _Way, other: _End | None = None) -> None:
        self.proxy = proxy
        self.way = way
        self.other = other
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        #: (when it is due, the bytes; none for the end of the stream), and their number.
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.held = 0
        self.buffer = bytearray(_READ)
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
            sock = socket.socket()
            sock.setblocking(False)
            _narrow(sock, self.proxy.back)
            await self.loop.sock_connect(sock, self.proxy.target)
            await self.loop.create_connection(
                lambda: _End(self.proxy, self.proxy.back, self), sock=sock
            )
        except OSError:
            self.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        room = self.way.line.room(self.loop.time())
        return memoryview(self.buffer)[: min(_READ, max(PACKET, room))]

    def buffer_updated(self, nbytes: int) -> None:
        self._hold(bytes(memoryview(self.buffer)[:nbytes]))

    def eof_received(self) -> bool:
        self._hold(b"")
        return True  # the other direction goes on

    def _hold(self, data: bytes) -> None:
        self.held += len(data)
        self.way.put(self, data)
        self.throttle()

    def deliver(self) -> None:
        """Hand over what is due, and come back when the next piece is."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        target = self.other.transport if self.other is not None else None
        if target is not None and not self.blocked and not self.proxy.paused:
            now = self.loop.time() + EARLY
            while self.waiting and self.waiting[0][0] <= now and not self.blocked:
                piece = self.waiting.popleft()[1]
                self.held -= len(piece)
                self.way.arrived.count(len(piece), now)
                if piece:
                    target.write(piece)  # may set blocked, through pause_writing
                else:
                    self._end(target)
            if self.waiting and not self.blocked:
                self.timer = self.loop.call_at(self.waiting[0][0] - EARLY, self.deliver)
        self.throttle()

    def _end(self, target: asyncio.Transport) -> None:
        self.ended = True
        if self.other is not None and self.transport is not None and self.other.ended:
            target.close()
            self.transport.close()
        elif target.can_write_eof() and not target.is_closing():
            target.write_eof()

    def throttle(self) -> None:
        """Read no more while the buffer or the line's queue is full."""
        wanted = self.held < (BUFFER if self.reading else BUFFER // 2) and self.way.has_room()
        if wanted is self.reading or self.transport is None or self.transport.is_closing():
            return
        self.reading = wanted
        if wanted:
            self.way.stopped.pop(self, None)
            self.transport.resume_reading()
        else:
            self.way.stopped[self] = None
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
        self.way.stopped.pop(self, None)
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


def _narrow(sock: socket.socket, way: _Way) -> None:
    """Keep what a shaped line's sender may give out of the kernel's own buffers."""
    if way.line.shape.has_rate:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL)
        with suppress(OSError):  # not everywhere
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)


async def _serve() -> None:
    """Carry out the commands on standard input, one JSON line each; the first names the target."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    host, port, up, down = json.loads(await reader.readline())
    proxy = _Proxy((host, port), Shape.parse(up), Shape.parse(down))
    sock = socket.create_server((HOST, 0), backlog=100)
    _narrow(sock, proxy.there)  # those that it accepts are so, too
    server = await loop.create_server(lambda: _End(proxy, proxy.there), sock=sock)
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
