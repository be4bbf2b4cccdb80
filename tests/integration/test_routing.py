"""Sessions that choose their peers: a real pool, and a gamer who sees every picture."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from p2c2g.media.picture import FrameState
from p2c2g.media.wire import ChunkHeader
from p2c2g.messaging import names
from p2c2g.messaging.dispatcher import Message
from p2c2g.messaging.names import own_queue
from p2c2g.messaging.publishing import move_messages
from p2c2g.peers.trust import WORD
from tests.busy import Stopwatch
from tests.gamer import Gamer
from tests.lane import Lane
from tests.pool import LASTING, LIAR, Pool

#: Seconds in which no peer is late, on any machine: one that is shut out for it is no choice, and
#: what nobody would have in time goes to who pulls first.
AMPLE = 5.0


@pytest.mark.parametrize("policy", ["weighted", "predictive", "affinity"])
def test_chosen_peers_get_the_chunks_and_the_common_queue_none(pool: Pool, policy: str) -> None:
    names = {f"{name}@test" for name in ("one", "two") if pool.worker(name, more=LASTING)}
    with (
        Gamer(pool.broker.url, policy=policy, deadline=AMPLE) as gamer,
        pytest.MonkeyPatch.context() as patch,
    ):
        dispatcher, to = gamer.session._dispatcher, list[tuple[int, str]]()
        send = dispatcher.send

        def spy(frame: int, messages: Sequence[Message]) -> None:
            # Where both have had a run of a chunk, its third goes to who pulls first.
            to.extend(
                (frame, peer)
                for _, header, _, peer in messages
                if peer or ChunkHeader.unpack(header).attempt == 1
            )
            send(frame, messages)

        patch.setattr(dispatcher, "send", spy)
        gamer.until(lambda: set(gamer.session.routing()["pool"]) == names, "no pool")
        first = gamer.submitted
        gamer.play_complete(60)
        # One may be trusted before the other, and then be enough.
        gamer.until(lambda: {peer for _, peer in to} >= names, "not both get some")
        chosen = {peer for frame, peer in to if frame > first}
        assert chosen
        assert chosen <= names
        assert gamer.session.tally.peers.keys() <= names


def test_a_queue_that_another_version_reads_gets_no_chunk(pool: Pool) -> None:
    peers = {f"{name}@test" for name in ("one", "two") if pool.worker(name, more=LASTING)}
    with (
        Gamer(pool.broker.url, policy="capability", deadline=AMPLE) as gamer,
        ExitStack() as after,
    ):
        client, theirs = gamer.broker.client, "theirs@test"
        client.hset(names.peers(), theirs, json.dumps({"v": 1, "id": theirs, "speaks": "9.1.1"}))
        after.callback(client.hdel, names.peers(), theirs)
        router = gamer.session.tables.router
        gamer.until(lambda: router._is_mixed, "it was not seen")
        # Of the frame that is being submitted it may have been decided before.
        first = gamer.submitted
        dispatcher, to = gamer.session._dispatcher, set[str]()
        send = dispatcher.send

        def spy(frame: int, messages: Sequence[Message]) -> None:
            to.update(
                peer
                for _, header, _, peer in messages
                if frame > first and ChunkHeader.unpack(header).attempt == 1
            )
            send(frame, messages)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dispatcher, "send", spy)
            gamer.play_complete(30)
        # One may be trusted before the other, and then be enough.
        assert to
        assert to <= peers


def test_a_peer_that_dies_is_missed_by_nobody_for_long(pool: Pool) -> None:
    dying = pool.worker("dying")
    pool.worker("steady")
    with Gamer(pool.broker.url, policy="predictive") as gamer:
        gamer.until(lambda: len(gamer.session.routing()["pool"]) == 2, "no pool")
        gamer.play_complete(30)
        dying.signal(signal.SIGKILL)
        gamer.until(lambda: set(gamer.session.routing()["pool"]) == {"steady@test"}, "not missed")
        gamer.play_complete(30)
        gamer.until(lambda: not pool.client.hexists("p2c2g.peers", "dying@test"), "not swept")
        # What the session had sent on its way may come after the sweep, and expires.
        queues = (own_queue("dying@test"), names.control_queue("dying@test"))
        left = [names.queue_key(queue) for queue in queues]
        gamer.until(lambda: not pool.client.exists(*left), "something of it is left")
        bindings: set[bytes] = pool.client.smembers(names.control_bindings())  # type: ignore[assignment]
        assert not [each for each in bindings if b"dying" in each]


def test_a_peer_that_leaves_and_one_that_joins_cost_no_picture(pool: Pool) -> None:
    leaving = pool.worker("leaving")
    steady = pool.worker("steady")
    assert steady.process is not None
    with Gamer(pool.broker.url, policy="predictive", deadline=0.5) as gamer:
        gamer.until(lambda: len(gamer.session.routing()["pool"]) == 2, "no pool")
        gamer.play_complete(30)
        broker = int(pool.client.info("server")["process_id"])
        shown, busy = len(gamer.shown), Stopwatch(steady.process.pid, broker)
        leaving.signal(signal.SIGTERM)
        gamer.until(lambda: set(gamer.session.routing()["pool"]) == {"steady@test"}, "not gone")
        gamer.play(15)
        # Of half a second: a busy machine may have given none of it to the one that is left.
        assert busy.lost > 0.25 or {*gamer.shown[shown:]} == {FrameState.COMPLETE}
        pool.worker("joining")
        gamer.until(lambda: "joining@test" in gamer.session.routing()["pool"], "does not join")
        gamer.play_complete(30)


def test_newcomers_earn_trust_and_the_next_session_knows(pool: Pool) -> None:
    pool.worker("one")
    pool.worker("two")

    def is_known(gamer: Gamer) -> bool:
        members = gamer.session.routing()["pool"].values()
        return len(members) == 2 and all(each["in_a_row"] >= 10 for each in members)

    with Gamer(pool.broker.url) as gamer:
        gamer.until(lambda: is_known(gamer), "nobody comes to be trusted")
        assert gamer.session.routing()["examinations"]["differed"] == 0
        # Whether an examination is one is drawn.
        gamer.until(lambda: gamer.session.routing()["examinations"]["canaries"] > 0, "no canary")
    with Gamer(pool.broker.url) as gamer:
        trust = gamer.session.tables.trust

        def is_told(peer: str) -> bool:
            return trust.in_a_row(peer) - trust.shown_here(peer) == WORD

        # How many comparisons it makes until then is the machine's: many may be on their way.
        gamer.until(lambda: is_told("one@test") and is_told("two@test"), "nobody told it")
        gamer.until(lambda: is_known(gamer), "they do not come to be trusted again")


def test_a_banned_peer_shows_nothing(pool: Pool) -> None:
    pool.worker("one")
    pool.worker("two")
    with Gamer(pool.broker.url) as gamer:
        gamer.until(lambda: "two@test" in gamer.session.tally.peers, "it is given nothing")
        pool.client.hset("p2c2g.banned", "two@test", "for the test")
        gamer.until(lambda: "two@test" not in gamer.session.routing()["pool"], "not shut out")
        gamer.play(30)
        before = gamer.session.tally.peers["two@test"].chunks
        gamer.play_complete(30)
        assert gamer.session.tally.peers["two@test"].chunks == before


def test_a_liar_gets_no_work_from_a_session_that_chooses(pool: Pool) -> None:
    pool.worker("honest")
    pool.worker("liar", LIAR)
    with Gamer(pool.broker.url, policy="predictive") as gamer:
        session = gamer.session

        def is_out() -> bool:
            opened = session.breakers().get("liar@test", {}).get("opened", 0) > 0
            return opened and set(session.routing()["pool"]) == {"honest@test"}

        gamer.until(is_out, "the liar stays")
        gamer.play_complete(30)
        assert session.tally.peers["liar@test"].chunks == 0


def test_what_waits_moves_once_and_what_is_taken_does_not(lane: Lane) -> None:
    first, second, third = lane.send(3, queue=own_queue("slow@test"))
    lane.confirm()

    def move(*tasks: str) -> None:
        moves = [(own_queue("slow@test"), own_queue("idle@test"), task) for task in tasks]
        move_messages(lane.producer, moves, 60)
        lane.confirm()

    def waiting(peer: str) -> list[str]:
        rows: list[bytes] = lane.client.lrange(names.queue_key(own_queue(peer)), 0, -1)  # type: ignore[assignment]
        return [task for row in rows for task in (first, second, third) if task.encode() in row]

    move(second)
    assert waiting("slow@test") == [third, first]
    assert waiting("idle@test") == [second]
    move(second, "s.1", "s.11", first)
    assert waiting("slow@test") == [third]
    assert waiting("idle@test") == [second, first], "what came last is read first"
    assert 0 < int(lane.client.ttl(names.queue_key(own_queue("idle@test")))) <= 60  # type: ignore[arg-type]
