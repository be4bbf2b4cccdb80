"""Peers that stop, die and lie; a broker that is slow, full, cut off and gone.

Whatever happens, :class:`tests.gamer.Gamer` holds that every frame is shown once, in order,
with no wrong pixel.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import psutil
import pytest
from redis.exceptions import OutOfMemoryError

from p2c2g.media.frame import Size
from p2c2g.media.picture import FrameState
from p2c2g.messaging import names
from p2c2g.messaging.dispatcher import DIRECT_LENGTH, QUEUE_LENGTH
from p2c2g.messaging.embedded import HOST
from p2c2g.peers.breaker import State
from p2c2g.testing.delay_proxy import DelayProxy
from tests.gamer import Gamer
from tests.lane import by_port
from tests.pool import LIAR, Pool


def test_a_peer_that_stops_and_goes_on_costs_no_picture(pool: Pool) -> None:
    stopping = pool.worker("stopping")
    pool.worker("steady")
    with Gamer(pool.broker.url) as gamer:
        gamer.play_complete(30)
        stopping.signal(signal.SIGSTOP)
        gamer.play_complete(30)
        attempts = gamer.session.tables.attempts
        assert attempts.silent + attempts.hedges > 0
        stopping.signal(signal.SIGCONT)
        gamer.play_complete(30)
        late = attempts.late + attempts.duplicate
        assert late > 0, "what the stopped peer had taken was never told"


def test_a_peer_that_is_killed_costs_no_picture(pool: Pool) -> None:
    dying = pool.worker("dying")
    pool.worker("steady")
    with Gamer(pool.broker.url) as gamer:
        gamer.play_complete(30)
        dying.signal(signal.SIGKILL)
        gamer.play_complete(60)


def test_while_all_peers_are_away_the_picture_goes_on_and_the_queue_stays_short(
    pool: Pool,
) -> None:
    peers = [pool.worker("one"), pool.worker("two")]
    with Gamer(pool.broker.url) as gamer:
        gamer.play_complete(30)
        for peer in peers:
            peer.signal(signal.SIGSTOP)
        gamer.play_degraded(15)
        lengths = []
        for _ in range(6):
            gamer.play(15)
            lengths.append(int(pool.client.llen(names.queue_key("cpu"))))  # type: ignore[arg-type]
        assert max(lengths) <= 8, "what waits for nobody stays in the queue"
        for peer in peers:
            peer.signal(signal.SIGCONT)
        gamer.play_complete(30)


#: The own queue of a peer that is not there.
NOBODY = names.queue_key(names.own_queue("nobody@nowhere"))


def left(pool: Pool) -> list[bytes]:
    """Return what is at the broker and belongs to a session or to nobody."""
    keys: list[bytes] = pool.client.keys("*")  # type: ignore[assignment]
    # What peers tell of themselves, and sessions of peers, is for the next session.
    kept = (b"p2c2g.peers", b"p2c2g.beat.", b"p2c2g.health", b"p2c2g.spoken")
    celerys = tuple(f"{names.celerys()}{each}".encode() for each in ("celery-task-meta", "_kombu"))
    ours = (*celerys, *kept)
    return [key for key in keys if not key.startswith(ours)]


def test_queues_that_nobody_reads_are_bounded_and_vanish(pool: Pool) -> None:
    with Gamer(pool.broker.url) as gamer:
        gamer.play(60)
        assert 0 < int(pool.client.llen(names.queue_key("cpu"))) <= QUEUE_LENGTH  # type: ignore[arg-type]
        assert 0 < int(pool.client.ttl(names.queue_key("cpu"))) <= 10  # type: ignore[arg-type]
        dispatcher = gamer.session._dispatcher
        for number in range(3 * DIRECT_LENGTH):
            dispatcher.send(number, [(0, b"header", b"payload", "nobody@nowhere")])
        gamer.play(5)
        assert pool.client.llen(NOBODY) == DIRECT_LENGTH
        assert 0 < int(pool.client.ttl(NOBODY)) <= 3  # type: ignore[arg-type]
    assert set(left(pool)) <= {names.queue_key("cpu").encode(), NOBODY.encode()}
    pool.client.delete(names.queue_key("cpu"), NOBODY)


def test_a_lying_peer_shows_nothing_and_is_shut_out(pool: Pool) -> None:
    pool.worker("honest")
    pool.worker("liar", LIAR)
    with Gamer(pool.broker.url) as gamer, Gamer(pool.broker.url) as other:
        session = gamer.session

        def is_out() -> bool:
            return session.breakers().get("liar@test", {}).get("opened", 0) > 0

        def leaves() -> bool:
            queues = pool.app.control.inspect(["liar@test"], timeout=0.5).active_queues()
            return bool(queues) and "cpu" not in {q["name"] for q in queues["liar@test"]}

        gamer.until(is_out, "the liar's breaker does not open")
        failed = session.tally.peers["liar@test"]
        assert failed.chunks == 0
        assert failed.failed >= 5
        for _ in range(600):  # An answer comes at once: between two looks a frame is played.
            if leaves():
                break
            gamer.play(1)
        else:
            pytest.fail("the liar still reads the queue of the others")
        # The other session was told of it, or saw for itself.
        other.until(
            lambda: other.session.tables.breakers.state("liar@test", 0.0) is not State.CLOSED,
            "sessions do not tell each other of liars",
        )
        gamer.play_complete(15)
        assert session.tally.peers["liar@test"].chunks == 0
    assert left(pool) == [b"p2c2g.breakers"], "more than the open breaker is left"


def sockets() -> int:
    return len(psutil.Process().net_connections("tcp"))


def test_a_broker_that_is_killed_and_cut_off_costs_no_picture_and_leaks_nothing(
    pool: Pool,
) -> None:
    pool.worker("steady")
    before = sockets(), threading.active_count()
    with DelayProxy(HOST, pool.broker.port) as proxy:
        with Gamer(by_port(pool.broker.url, proxy.port)) as gamer:
            gamer.play_complete(30)
            at_work = sockets()
            for _ in range(3):
                proxy.cut()
                gamer.play(3)
                gamer.play_complete(15)
            pool.broker.kill()
            gamer.play_degraded(15)
            pool.broker.restart()
            gamer.play_complete(30)
            assert sockets() <= at_work + 2
        assert (sockets(), threading.active_count()) <= before


def test_a_stalled_broker_never_holds_up_the_capture(pool: Pool) -> None:
    # Frames of some megabytes: soon no buffer of any kernel takes one more.  Without a peer none
    # would be sent.
    pool.worker("steady")
    with (
        DelayProxy(HOST, pool.broker.port) as proxy,
        Gamer(by_port(pool.broker.url, proxy.port), size=Size(1280, 720)) as gamer,
    ):
        gamer.play(10)
        proxy.pause()
        # It goes on only if every single submit returns while the broker does not.
        gamer.play(60)
        errors = gamer.session.tally.summary()["errors"]
        assert errors.get("BrokerUnavailableError", 0) > 0
        proxy.resume()
        gamer.play(10)
    pool.client.delete(names.queue_key("cpu"))


def pile_up(pool: Pool, size: int) -> None:
    for number in range(10_000):
        pool.client.set(f"ballast.{size}.{number}", b"x" * size)


def test_a_full_broker_costs_no_picture(tmp_path: Path) -> None:
    with Pool(tmp_path, maxmemory=64 << 20) as pool:
        pool.worker("steady")
        with Gamer(pool.broker.url) as gamer:
            gamer.play_complete(30)
            for size in (1 << 18, 256):  # down to where no picture finds room
                with pytest.raises(OutOfMemoryError):
                    pile_up(pool, size)
            gamer.play(30)
            keys: list[bytes] = pool.client.keys("ballast.*")  # type: ignore[assignment]
            pool.client.delete(*keys)
            gamer.play_complete(30)
        assert FrameState.DEGRADED in gamer.shown, "the broker was never full"


def test_what_is_sent_to_a_slow_line_is_not_piled_up(pool: Pool) -> None:
    pool.worker("steady")
    with (
        DelayProxy(HOST, pool.broker.port, rtt_ms=5.0, bandwidth_bps=4e6) as proxy,
        Gamer(by_port(pool.broker.url, proxy.port)) as gamer,
    ):
        gamer.play(60)  # 40 KB and 30 times a second do not fit into 500 KB/s
        proxy.bandwidth_bps = None
        gamer.play_complete(30)
