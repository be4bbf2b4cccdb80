"""Lines measured over a real broker and a line that is made: what is found is what was made."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic

import numpy as np
import pytest
import redis

from p2c2g.lines.line import UNKNOWN, Lines
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.session.config import SessionConfig
from p2c2g.testing.delay_line import Shape
from p2c2g.testing.delay_process import EARLY
from p2c2g.testing.delay_proxy import DelayProxy
from tests.lane import PATIENCE, by_port, settings
from tests.pool import LASTING, Pool
from tests.sessions import Player

PEER = "far@away"
MBIT = 125_000.0  # bytes a second
#: Of the peer's line, in Mbit/s: down is towards the peer.
DOWN, UP = 20.0, 5.0
DELAY = 0.015
FPS, CHUNKS = 30.0, 3
#: What is found of it: as much of its rate at least, and as much at most.
LEAST, MOST = 0.75, 1.25
_CHUNKS, _RESULTS = "chunks", "results"
_AHEAD = 16
#: The last item of a list: who reads it ends.
_END = b"end"


class Reader:
    """Reads a list's items as they come, several reads sent ahead, on a connection of its own."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        self._connection = client.connection_pool.get_connection()
        self._key = key
        for _ in range(_AHEAD):
            self._ask()

    def _ask(self) -> None:
        self._connection.send_command("BRPOP", self._key, 0)

    def __iter__(self) -> Iterator[bytes]:
        """Give each item, once there is one, until the last."""
        while (item := self._connection.read_response()[1]) != _END:
            self._ask()
            yield item

    def close(self) -> None:
        """Hang up: nobody waits any more."""
        self._connection.disconnect()


class Exchange:
    """A gamer who sends chunks, and a peer that answers each at once, over a line."""

    def __init__(self, near: redis.Redis, far: redis.Redis) -> None:
        self.lines = Lines()
        self._near, self._far = near, far
        self._to_peer, self._to_gamer = Reader(far, _CHUNKS), Reader(near, _RESULTS)
        self._sent: deque[tuple[float, int]] = deque()
        self._received: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=each) for each in (self._send, self._answer, self._collect)
        ]
        for thread in self._threads:
            thread.start()

    def wait_for(self, found: Callable[[Lines], bool]) -> None:
        """Wait until the lines are found as they should be."""
        deadline = monotonic() + 3 * PATIENCE
        while monotonic() < deadline:
            with self._lock:
                if found(self.lines):
                    return
            self._ending.wait(0.05)
        up, down = self.lines.up(PEER), self.lines.down(PEER)
        pytest.fail(f"the line was not found: {up}, {down}")

    def _wanted(self, most: float, target: float | None) -> int:
        return int(min(most, target or most) / FPS / CHUNKS)

    def _send(self) -> None:
        while not self._ending.wait(1 / FPS):
            with self._lock:
                size = self._wanted(1.3 * DOWN * MBIT, self.lines.up(PEER).target)
                now = monotonic()
                self._sent.extend([(now, size)] * CHUNKS)
            with self._near.pipeline(transaction=False) as pipe:
                for _ in range(CHUNKS):
                    pipe.lpush(_CHUNKS, bytes(size))
                pipe.execute()

    def _answer(self) -> None:
        results = self._far.connection_pool.get_connection()
        ended = monotonic()
        for _ in self._to_peer:
            received = monotonic()
            with self._lock:
                size = self._wanted(1.3 * UP * MBIT, self.lines.down(PEER).target)
                self._received.append((received, received - ended))
                ended = monotonic()
            results.send_command("LPUSH", _RESULTS, bytes(size))
            while results.can_read(0):
                results.read_response()
        results.disconnect()

    def _collect(self) -> None:
        for item in self._to_gamer:
            now = monotonic()
            with self._lock:
                sent, size = self._sent.popleft()
                received, idle = self._received.popleft()
                self.lines.arrived(
                    PEER, size, len(item), sent, received - sent, 0.0, idle, 0.0,
                    now - received, now,
                )  # fmt: skip

    def close(self) -> None:
        """End each thread by a last item: none is hung up on, wherever it is just then."""
        self._ending.set()
        for thread, key in zip(self._threads, ("", _CHUNKS, _RESULTS), strict=True):
            if key:
                # What waits there would be a minute's work of a line that was not found.
                self._near.delete(key)
                self._near.lpush(key, _END)
            thread.join(PATIENCE)
            assert not thread.is_alive()
        for reader in (self._to_peer, self._to_gamer):
            reader.close()


@pytest.fixture
def exchange(broker: EmbeddedBroker, lane: object) -> Iterator[Exchange]:
    there = Shape(bps=UP * 1e6, delay_ms=DELAY * 1e3, queue_ms=400)
    back = Shape(bps=DOWN * 1e6, delay_ms=DELAY * 1e3, queue_ms=400)
    # A machine that stands still for a second sends nothing meanwhile.
    near = redis_client(settings(broker.url), timeout=2 * PATIENCE)
    with DelayProxy(HOST, broker.port, up=there, down=back) as proxy:
        far = redis_client(settings(by_port(broker.url, proxy.port)), timeout=2 * PATIENCE)
        made = Exchange(near, far)
        yield made
        made.close()
        far.close()
    near.delete(_CHUNKS, _RESULTS)
    near.close()


def is_near(found: float | None, mbits: float) -> bool:
    return found is not None and LEAST * mbits * MBIT <= found <= MOST * mbits * MBIT


def test_a_line_of_20_and_5_mbits_is_found(exchange: Exchange) -> None:
    """Both ways are sent more than they carry, and then what they are said to carry."""
    exchange.wait_for(
        lambda lines: lines.up(PEER).target is not None and lines.down(PEER).target is not None
    )
    exchange.wait_for(lambda lines: is_near(lines.up(PEER).target, DOWN))
    exchange.wait_for(lambda lines: is_near(lines.down(PEER).target, UP))
    exchange.wait_for(lambda lines: is_near(lines.up(PEER).goodput, DOWN))
    exchange.wait_for(lambda lines: is_near(lines.down(PEER).goodput, UP))
    # What was sent before that was known stands in the way for a while.
    exchange.wait_for(lambda lines: DELAY - EARLY <= (lines.up(PEER).least or 0.0) <= 3 * DELAY)


def test_a_session_measures_the_line_of_a_real_peer(pool: Pool) -> None:
    pool.proxy("far", rtt_ms=2e3 * DELAY)
    name = pool.worker("far", more=LASTING).name
    config = SessionConfig(
        size=Size(160, 90), operations=Pipeline.parse("upscale:2"), grid=Grid(1, 2),
        deadline=PATIENCE, paced=False,
    )  # fmt: skip
    pixels = np.zeros((90, 160, 3), np.uint8)
    with Player(pool.settings(), config) as player:
        tables, deadline = player.session.tables, monotonic() + 2 * PATIENCE
        while (player.sent < 12 or tables.lines.own_round_trip is None) and monotonic() < deadline:
            pixels[:] = player.sent % 256
            player.play(pixels)
        up, down = tables.lines.up(name), tables.lines.down(name)
        report = player.session.figures()["lines"]
    for state in (up, down):
        assert state != UNKNOWN
        assert state.least is not None
        assert state.least >= DELAY - EARLY
        assert state.goodput is not None
    assert 0 < tables.lines.compute(name) < 1
    assert tables.lines.own_round_trip is not None
    # To a hundredth.
    assert report["peers"][name]["up"]["least_ms"] >= 1e3 * (DELAY - EARLY) - 0.01
    assert report["known"] == 1
