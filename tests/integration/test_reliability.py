"""Peers that stop, die and lie; a broker that is slow, full, cut off and gone.

Whatever happens, :class:`tests.gamer.Gamer` holds that every frame is shown once, in order,
with no wrong pixel.
"""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from itertools import count
from pathlib import Path
from time import monotonic

import psutil
import pytest
from redis.exceptions import OutOfMemoryError

from p2c2g.errors import BrokerUnavailableError
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.picture import FrameState
from p2c2g.messaging import names
from p2c2g.messaging.dispatcher import DIRECT_LENGTH, QUEUE_LENGTH
from p2c2g.messaging.embedded import HOST
from p2c2g.peers.breaker import State
from p2c2g.session.tally import PeerTally
from p2c2g.testing.delay_proxy import DelayProxy
from tests.gamer import MOST, Gamer
from tests.lane import PATIENCE, by_port
from tests.pool import LIAR, Pool

#: Of a frame: so that one peer alone does all of it, on a machine that is busy with something else.
WHOLE = Grid(1, 1)


def test_a_peer_that_stops_and_goes_on_costs_no_picture(pool: Pool) -> None:
    stopping = pool.worker("stopping")
    pool.worker("steady")
    with Gamer(pool.broker.url, grid=WHOLE) as gamer:
        gamer.play_complete(30)
        stopping.signal(signal.SIGSTOP)
        gamer.play_complete(30)
        attempts = gamer.session.tables.attempts
        gamer.until(lambda: attempts.silent + attempts.hedges > 0, "nobody waits for it")
        stopping.signal(signal.SIGCONT)
        gamer.play_complete(30)
        gamer.until(
            lambda: attempts.late + attempts.duplicate > 0,
            "what the stopped peer had taken was never told",
        )


def test_a_peer_that_is_killed_costs_no_picture(pool: Pool) -> None:
    dying = pool.worker("dying")
    pool.worker("steady")
    with Gamer(pool.broker.url, grid=WHOLE) as gamer:
        gamer.play_complete(30)
        dying.signal(signal.SIGKILL)
        gamer.play_complete(60)


def waiting(pool: Pool, gamer: Gamer) -> int:
    """Return how many chunks are in the common queue, once the broker has trimmed it."""
    found: list[int] = []

    def is_seen() -> bool:
        with suppress(BrokerUnavailableError), gamer.session._dispatcher._sending() as producer:
            producer.channel.stream.collect(leave=0, patience=PATIENCE)
            found.append(int(pool.client.llen(names.queue_key("cpu"))))  # type: ignore[arg-type]
        return bool(found)

    gamer.until(is_seen, "nothing can be sent")
    return found[0]


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
            lengths.append(waiting(pool, gamer))
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
    def length(queue: str) -> int:
        return int(pool.client.llen(queue))  # type: ignore[arg-type]

    with Gamer(pool.broker.url) as gamer:
        # By hand: where nobody is in the pool, a session sends nothing.
        gamer.play(15)
        dispatcher, numbers = gamer.session._dispatcher, count()
        common: list[tuple[int, int]] = []

        def send(peer: str) -> None:
            dispatcher.send(next(numbers), [(0, b"header", b"payload", peer)])
            # Where a broker is behind, it is sent no more, and may be seen before it has trimmed.
            with dispatcher._sending() as producer:
                producer.channel.stream.collect(leave=0, patience=PATIENCE)

        def is_bounded() -> bool:
            send("")  # One more each time: else it may be gone before it is seen.
            key = names.queue_key("cpu")
            common.append((length(key), int(pool.client.ttl(key))))  # type: ignore[arg-type]
            return common[-1][0] == QUEUE_LENGTH and 0 < common[-1][1] <= 10

        for _ in range(3 * QUEUE_LENGTH):
            send("")
        gamer.until(is_bounded, "the common queue has another length, or stays")
        assert max(each for each, _ in common) <= QUEUE_LENGTH
        for _ in range(3 * DIRECT_LENGTH):
            send("nobody@nowhere")
        found: list[tuple[int, int]] = []

        def is_full() -> bool:
            send("nobody@nowhere")
            found.append((length(NOBODY), int(pool.client.ttl(NOBODY))))  # type: ignore[arg-type]
            return found[-1][0] == DIRECT_LENGTH and 0 < found[-1][1] <= 3

        gamer.until(is_full, "its queue has another length, or stays")
    assert set(left(pool)) <= {names.queue_key("cpu").encode(), NOBODY.encode()}
    pool.client.delete(names.queue_key("cpu"), NOBODY)


def test_a_lying_peer_shows_nothing_and_is_shut_out(pool: Pool) -> None:
    pool.worker("honest")
    pool.worker("liar", LIAR)
    with (
        Gamer(pool.broker.url) as gamer,
        Gamer(pool.broker.url) as other,
    ):
        session = gamer.session

        def is_out() -> bool:
            return session.breakers().get("liar@test", {}).get("opened", 0) > 0

        def leaves() -> bool:
            asked = pool.app.control.inspect(["liar@test"], timeout=PATIENCE, limit=1)
            queues = asked.active_queues()
            return bool(queues) and "cpu" not in {q["name"] for q in queues["liar@test"]}

        def told() -> list[PeerTally]:
            found = [each.session.tally.peers.get("liar@test") for each in (gamer, other)]
            return [each for each in found if each is not None]

        gamer.until(is_out, "the liar's breaker does not open")
        # Either session saw it, and told the other.  What was late or only an examination opens a
        # breaker too, and is not counted here: the rest comes while the liar goes on.
        gamer.until(lambda: sum(each.failed for each in told()) >= 5, "its lies are not counted")
        assert sum(each.chunks for each in told()) == 0
        deadline = monotonic() + MOST
        while not leaves():  # An answer comes at once: between two looks a frame is played.
            assert monotonic() < deadline, "the liar still reads the queue of the others"
            gamer.play(1)
        # The other session was told of it, or saw for itself.
        other.until(
            lambda: other.session.tables.breakers.state("liar@test", 0.0) is not State.CLOSED,
            "sessions do not tell each other of liars",
        )
        gamer.play_complete(15)
        found = session.tally.peers.get("liar@test")
        assert found is None or found.chunks == 0
    # The honest one is perhaps still at what the sessions had sent.
    deadline, pause = monotonic() + PATIENCE, threading.Event()
    while (remains := left(pool)) != [b"p2c2g.breakers"]:
        assert monotonic() < deadline, f"more than the open breaker is left: {remains}"
        pause.wait(0.05)


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
            # More, where some of them meet for a moment.
            gamer.until(lambda: sockets() <= at_work + 2, "connections are left open")
        deadline, pause = monotonic() + PATIENCE, threading.Event()
        while (sockets(), threading.active_count()) > before:
            # A thread of the session's may have been told to end, and not have come to it.
            assert monotonic() < deadline, f"{sockets()} sockets, {threading.enumerate()}"
            pause.wait(0.05)


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
        tally = gamer.session.tally
        gamer.until(
            lambda: tally.summary()["errors"].get("BrokerUnavailableError", 0) > 0, "it is not told"
        )
        proxy.resume()
        gamer.play(10)
    pool.client.delete(names.queue_key("cpu"))


#: No piece of ballast takes another's place.
PIECES = count()
#: Bytes that the broker holds.
ROOM = 64 << 20


def pile_up(pool: Pool, size: int) -> None:
    for _ in range(2 * ROOM // size):
        pool.client.set(f"ballast.{next(PIECES)}", b"x" * size)


def test_a_full_broker_costs_no_picture(tmp_path: Path) -> None:
    with Pool(tmp_path, maxmemory=ROOM) as pool:
        pool.worker("steady")
        with Gamer(pool.broker.url) as gamer:
            gamer.play_complete(30)
            for size in (1 << 18, 256):  # down to where no picture finds room
                with pytest.raises(OutOfMemoryError):
                    pile_up(pool, size)

            def is_felt() -> bool:
                # What is read and answered makes room again.
                with suppress(OutOfMemoryError):
                    pile_up(pool, 256)
                return FrameState.DEGRADED in gamer.shown

            gamer.until(is_felt, "the broker was never full")
            keys: list[bytes] = pool.client.keys("ballast.*")  # type: ignore[assignment]
            pool.client.delete(*keys)
            gamer.play_complete(30)


def test_what_is_sent_to_a_slow_line_is_not_piled_up(pool: Pool) -> None:
    pool.worker("steady")
    with (
        DelayProxy(HOST, pool.broker.port, rtt_ms=5.0, bandwidth_bps=4e6) as proxy,
        Gamer(by_port(pool.broker.url, proxy.port)) as gamer,
    ):
        gamer.play(60)  # 40 KB and 30 times a second do not fit into 500 KB/s
        proxy.bandwidth_bps = None
        gamer.play_complete(30)
