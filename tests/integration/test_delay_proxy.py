"""The delay proxy: nothing lost, nothing out of order, late by the round trip, cut when told."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.testing.delay_line import Direction, Shape
from p2c2g.testing.delay_process import EARLY
from p2c2g.testing.delay_proxy import DelayProxy

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]
#: Long enough for a slow machine: a test that reaches it has failed.
PATIENCE = 60.0


class Ends:
    """A listening target, and connections to it through a proxy; all are closed at the end."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.target = stack.enter_context(socket.create_server((HOST, 0)))
        self.target.settimeout(PATIENCE)
        self.port = self.target.getsockname()[1]

    def connect(self, proxy: DelayProxy) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a new connection: the client's and the target's."""
        client = socket.create_connection((HOST, proxy.port), timeout=PATIENCE)
        self._stack.enter_context(client)
        server, _ = self.target.accept()
        self._stack.enter_context(server)
        server.settimeout(PATIENCE)
        return client, server


@pytest.fixture
def ends() -> Iterator[Ends]:
    with ExitStack() as stack:
        yield Ends(stack)


def read(sock: socket.socket, size: int) -> bytes:
    """Read exactly ``size`` bytes, or fewer where the stream ends before."""
    data = bytearray()
    while len(data) < size and (piece := sock.recv(min(1 << 18, size - len(data)))):
        data += piece
    return bytes(data)


@pytest.mark.parametrize(
    ("rtt_ms", "bandwidth_bps"), [(0, None), (10, None), (0, 400e6), (5, 400e6)]
)
def test_all_arrives_in_order_both_ways(
    ends: Ends, rtt_ms: float, bandwidth_bps: float | None
) -> None:
    # More than the proxy and the sockets hold at once, so that it has to make senders wait.
    there = random.Random(1).randbytes(24 << 20)
    back = random.Random(2).randbytes(24 << 20)
    with (
        DelayProxy(HOST, ends.port, rtt_ms, bandwidth_bps) as proxy,
        ThreadPoolExecutor(4) as threads,
    ):
        client, server = ends.connect(proxy)
        sends = [threads.submit(client.sendall, there), threads.submit(server.sendall, back)]
        at_server = threads.submit(read, server, len(there))
        at_client = threads.submit(read, client, len(back))
        for send in sends:
            send.result(PATIENCE)
        for got, sent in ((at_server, there), (at_client, back)):
            assert hashlib.sha256(got.result(PATIENCE)).digest() == hashlib.sha256(sent).digest()


def test_a_round_trip_takes_no_less_than_it_says(ends: Ends) -> None:
    with DelayProxy(HOST, ends.port, rtt_ms=20) as proxy:
        client, server = ends.connect(proxy)
        took = []
        for _ in range(30):
            start = time.perf_counter()
            client.sendall(b"ping")
            server.sendall(read(server, 4))
            assert read(client, 4) == b"ping"
            took.append((time.perf_counter() - start) * 1000)
    # Never sooner, but for what it may wake early, twice; how much later is a matter of the
    # machine.
    assert min(took) >= 20 - 2e3 * EARLY


def test_a_shorter_delay_lets_nothing_overtake(ends: Ends) -> None:
    with DelayProxy(HOST, ends.port, rtt_ms=400) as proxy:
        client, server = ends.connect(proxy)
        for number in range(100):
            client.sendall(b"%02d" % number)
            proxy.rtt_ms = 400 - 4 * number
        assert read(server, 200) == b"".join(b"%02d" % number for number in range(100))
        assert proxy.rtt_ms == 4


def test_a_line_carries_no_more_than_its_bandwidth(ends: Ends) -> None:
    with DelayProxy(HOST, ends.port, bandwidth_bps=8e6) as proxy:
        client, server = ends.connect(proxy)
        start = time.perf_counter()
        client.sendall(bytes(500_000))
        read(server, 500_000)
        assert time.perf_counter() - start >= 0.49  # at a megabyte a second
        proxy.bandwidth_bps = None
        client.sendall(b"x")
        assert read(server, 1) == b"x"
        assert proxy.bandwidth_bps is None


def test_what_finds_no_room_in_a_narrow_lines_queue_waits_at_its_sender(ends: Ends) -> None:
    # So slow that it takes next to nothing more while this machine stands still.
    shape = Shape(bps=1e4, queue_bytes=10_000)
    with DelayProxy(HOST, ends.port, up=shape, down=shape) as proxy:
        client, server = ends.connect(proxy)
        for end in (client, server):
            end.setblocking(False)
            held = 0
            with contextlib.suppress(BlockingIOError):
                while held < 4 << 20:
                    held += end.send(bytes(4096))
            # Loopback's own buffers would take more than two megabytes.
            assert held < 600_000


def test_a_line_changes_its_shape_while_it_runs(ends: Ends) -> None:
    narrow, wide = Shape(bps=8e3), Shape(bps=800e6, delay_ms=1)
    with DelayProxy(HOST, ends.port, up=narrow, down=narrow) as proxy:
        client, server = ends.connect(proxy)
        client.sendall(bytes(100_000))  # a hundred seconds' worth
        proxy.shape(wide, wide)
        start = time.monotonic()
        assert len(read(server, 100_000)) == 100_000
        assert time.monotonic() - start < 90.0


def test_what_went_over_it_is_told(ends: Ends) -> None:
    with DelayProxy(HOST, ends.port, rtt_ms=10) as proxy:
        before = time.monotonic()
        client, server = ends.connect(proxy)
        client.sendall(bytes(30_000))
        read(server, 30_000)
        server.sendall(bytes(500))
        read(client, 500)
        traffic = proxy.traffic()
        sizes: dict[Direction, int] = {"up": 30_000, "down": 500}
        for name, size in sizes.items():
            way = traffic[name]
            assert sum(each for _, each in way.sent) == size
            assert sum(each for _, each in way.arrived) == size
            assert way.between(before - 0.01, time.monotonic() + 0.01) == size
            assert way.arrived[-1][0] >= way.sent[0][0]


def test_half_a_close_leaves_the_other_direction_open(ends: Ends) -> None:
    with DelayProxy(HOST, ends.port, rtt_ms=10) as proxy:
        client, server = ends.connect(proxy)
        client.sendall(b"request")
        client.shutdown(socket.SHUT_WR)
        assert read(server, 100) == b"request"  # and then its end
        server.sendall(b"answer")
        server.close()
        assert read(client, 100) == b"answer"


def test_a_cut_ends_every_connection_and_new_ones_are_welcome(ends: Ends) -> None:
    with DelayProxy(HOST, ends.port, rtt_ms=10) as proxy:
        pairs = [ends.connect(proxy) for _ in range(3)]
        for client, server in pairs:
            client.sendall(b"x")
            assert read(server, 1) == b"x"
        assert proxy.connections == 3
        proxy.cut()
        assert proxy.connections == 0
        for end in [end for pair in pairs for end in pair]:
            with pytest.raises(ConnectionResetError):
                end.recv(1)
        client, server = ends.connect(proxy)
        client.sendall(b"again")
        assert read(server, 5) == b"again"


def test_nothing_passes_while_it_is_paused_and_nothing_is_lost(ends: Ends) -> None:
    with DelayProxy(HOST, ends.port) as proxy:
        client, server = ends.connect(proxy)
        client.sendall(b"before,")
        assert read(server, 7) == b"before,"
        proxy.pause()
        client.sendall(b"during,")
        server.sendall(b"back")
        resumed = threading.Event()
        seen: list[tuple[bool, bytes]] = []

        def receive() -> None:
            first = server.recv(1)
            seen.append((resumed.is_set(), first))

        reader = threading.Thread(target=receive)
        reader.start()
        # Many commands there and back: time enough for bytes to pass, if they could.
        for _ in range(200):
            proxy.rtt_ms = 0
        assert seen == []
        resumed.set()
        proxy.resume()
        reader.join(PATIENCE)
        assert seen == [(True, b"d")]
        assert read(server, 6) == b"uring,"
        assert read(client, 4) == b"back"


@pytest.mark.parametrize("paused", [True, False])
def test_a_silent_receiver_makes_the_sender_wait(ends: Ends, paused: bool) -> None:
    """Its buffers are bounded: what it cannot deliver, it does not go on reading."""
    with DelayProxy(HOST, ends.port) as proxy:
        client, server = ends.connect(proxy)
        if paused:
            proxy.pause()
        client.settimeout(1.0)
        piece, sent = random.Random(3).randbytes(1 << 20), 0
        digest = hashlib.sha256()
        with contextlib.suppress(TimeoutError):
            while sent < 64 << 20:
                count = client.send(piece)
                digest.update(piece[:count])
                sent += count
        assert sent < 64 << 20  # its 8 MiB, and what the kernel's sockets take
        proxy.resume()
        assert hashlib.sha256(read(server, sent)).digest() == digest.digest()


def test_a_target_that_is_away_ends_the_connection() -> None:
    with socket.socket() as nobody, socket.socket() as client, ExitStack() as stack:
        nobody.bind((HOST, 0))  # and does not listen
        client.settimeout(PATIENCE)
        proxy = stack.enter_context(DelayProxy(HOST, nobody.getsockname()[1]))
        # The reset may come before the connection is seen to stand.
        with pytest.raises(ConnectionResetError):  # noqa: PT012
            client.connect((HOST, proxy.port))
            client.recv(1)


def test_closing_ends_its_process_and_its_connections(ends: Ends) -> None:
    before = set(psutil.Process().children())
    with DelayProxy(HOST, ends.port) as proxy:
        client, server = ends.connect(proxy)
        (process,) = set(psutil.Process().children()) - before
    assert not process.is_running()
    for end in (client, server):
        with contextlib.suppress(ConnectionResetError):  # an end is an end
            assert end.recv(1) == b""
    proxy.close()  # twice is fine


def test_it_ends_when_its_parent_is_killed() -> None:
    code = (
        "import sys; from p2c2g.testing.delay_proxy import DelayProxy\n"
        "with DelayProxy('127.0.0.1', 9) as proxy: print(flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        (process,) = psutil.Process(parent.pid).children()
        parent.send_signal(signal.SIGKILL)
        psutil.wait_procs([process], timeout=PATIENCE)
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_wrong_use_is_refused() -> None:
    with pytest.raises(UsageError, match="rtt_ms=-1"):
        DelayProxy(HOST, 1, rtt_ms=-1)
    with pytest.raises(UsageError, match="bandwidth_bps=5"):
        DelayProxy(HOST, 1, bandwidth_bps=5)
    proxy = DelayProxy(HOST, 1)
    for use in (lambda: proxy.port, proxy.cut, proxy.pause, proxy.resume):
        with pytest.raises(UsageError, match="with block"):
            use()


def test_a_proxy_that_has_died_says_so(ends: Ends) -> None:
    before = set(psutil.Process().children())
    with DelayProxy(HOST, ends.port) as proxy:
        (process,) = set(psutil.Process().children()) - before
        process.kill()
        with pytest.raises(UnavailableError, match="has ended"):
            proxy.cut()
