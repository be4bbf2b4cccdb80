"""The decision core: what follows from what, without a thread, a socket or a pixel."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import ChunkKey, Size
from p2c2g.media.operations import Pipeline
from p2c2g.peers.breaker import COOLDOWN, ERRORS_ENOUGH, State
from p2c2g.peers.trust import ENOUGH
from p2c2g.routing.router import Facts
from p2c2g.session.actions import Result, Send, Verify
from p2c2g.session.attempts import Decision, Verdict
from p2c2g.session.config import SessionConfig
from p2c2g.session.core import Core
from p2c2g.session.frames import Shown
from p2c2g.session.observer import Observer
from p2c2g.verify.examination import Examination

CONFIG = SessionConfig(Size(64, 64), Pipeline.parse("upscale:2"), Grid(1, 2), policy="predictive")
PAYLOADS = {0: b"left", 1: b"right"}


class Diary(Observer):
    """Writes down what it hears, each verb by its name."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.bytes: Counter[str] = Counter()

    def frame_submitted(self, number: int, *, sent: bool) -> None:
        self.heard.append(("submitted", number, sent))

    def frame_not_sent(self, number: int, error: str) -> None:
        self.heard.append(("not sent", number, error))

    def run_sent(self, key: ChunkKey, attempt: int, peer: str, size: int) -> None:
        self.heard.append(("sent", key, attempt, peer))
        self.bytes["up"] += size

    def result_arrived(self, key: ChunkKey, peer: str, size: int) -> None:
        self.bytes["down"] += size

    def run_failed(
        self, key: ChunkKey, attempt: int | None, peer: str, error: str, decision: Decision
    ) -> None:
        self.heard.append(("failed", key, attempt, peer, error, decision))

    def chunk_accepted(self, key: ChunkKey, peer: str, seconds: float, ran: str) -> None:
        self.heard.append(("accepted", key, peer))

    def result_unused(self, key: ChunkKey, peer: str, verdict: Verdict) -> None:
        self.heard.append(("unused", key, peer, verdict))

    def frame_shown(self, shown: Shown[Any, Any]) -> None:
        self.heard.append(("shown", shown.frame.number, shown.complete))

    def examination_ended(self, examination: Examination, *, agreed: bool | None) -> None:
        self.heard.append(("examined", examination.peer, agreed))

    def frame_passed_over(self, number: int) -> None:
        self.heard.append(("passed over", number))

    def noticed(self, sentence: str, now: float) -> None:
        self.heard.append(("noticed", sentence))

    def breaker_changed(self, peer: str, seconds: float) -> None:
        self.heard.append(("breaker", peer, seconds))

    def peer_gone(self, peer: str) -> None:
        self.heard.append(("gone", peer))


class Desk:
    """A core with some peers, and a hand that does what it decides."""

    def __init__(
        self, *peers: str, config: SessionConfig = CONFIG, has_shared_queue: bool = True
    ) -> None:
        self.diary = Diary()
        self.core: Core[str, str] = Core(
            "s", config, Random(3), (self.diary,), has_shared_queue=has_shared_queue
        )
        self.peers = peers
        self.meet(*peers)

    def meet(self, *peers: str, now: float = 0.0, **facts: Any) -> list[Send[str]]:
        known = [Facts(peer, ready=True, **facts) for peer in peers]
        return self.core.registry_said(known, frozenset(), now)

    def trust(self, *peers: str) -> None:
        for peer in peers:
            for _ in range(ENOUGH):
                self.core.tables.trust.valid(peer)

    def submit(self, number: int = 0, now: float = 0.0, *, connected: bool = True) -> list[Any]:
        return self.core.submit(
            number, f"frame {number}", PAYLOADS, self.core.plan(number, (), now), now, now, now,
            connected=connected,
        )  # fmt: skip

    def result(self, key: ChunkKey, peer: str, at: float, **changes: Any) -> Result:
        fields: dict[str, Any] = {
            "key": key, "claimed": key, "attempt": 1, "peer": peer, "ran": "",
            "payload": b"%s of %d" % (peer.encode(), key[1]), "size": 10, "started": at - 0.002,
            "done": at - 0.001, "decode": 0.0, "process": 0.001,
        }  # fmt: skip
        return Result(**(fields | changes))

    def arrive(self, key: ChunkKey, peer: str, at: float, **changes: Any) -> list[Any]:
        return self.core.arrived(self.result(key, peer, at, **changes), at)

    def answer(self, key: ChunkKey, peer: str, at: float, **changes: Any) -> list[Send[str]]:
        """Have a result arrive that shows its chunk."""
        [verify] = self.arrive(key, peer, at, **changes)
        assert isinstance(verify, Verify)
        return self.core.verified(verify, f"picture of {key[1]}", at)

    def shut_out(self, peer: str) -> None:
        for count in range(ERRORS_ENOUGH):
            self.submit(number := 100 + count, now=0.001 * count)
            self.core.failed((number, 0), None, peer, "CodecError: no", 0.001 * count)
            self.core.release(1e6)
        assert self.core.tables.breakers.state(peer, 0.1) is State.OPEN


def test_a_frames_first_runs_go_out_in_one_write() -> None:
    desk = Desk("ada", "bob")
    [send] = desk.submit()
    assert send.is_first
    assert send.payload is None
    assert [(each.chunk, each.attempt) for each in send.requests] == [(0, 1), (1, 1)]
    assert {each.peer for each in send.requests} <= {"ada", "bob"}
    assert all(0 < each.budget <= CONFIG.deadline for each in send.requests)


def test_what_is_sent_is_the_runs_own_budget_and_nobody_elses() -> None:
    # Far and near peers have different budgets; an examination gets that of the run it is
    # compared with, whatever was sent in between.
    desk = Desk("ada", "bob")
    desk.trust("ada")
    [first] = desk.submit(0)
    budgets = {each.chunk: each.budget for each in first.requests}
    desk.core.tables.examiner.sent(1000)
    desk.meet("ada", "bob", "far", now=0.001, rtt=0.080)
    desk.submit(1, now=0.050)  # its runs leave with less time
    at = 0.051
    sends: list[Send[str]] = []
    for index in (0, 1):
        sends += desk.answer((0, index), first.requests[index].peer, at)
    assert sends, "nobody was examined"
    for send in sends:
        [request] = send.requests
        assert request.budget == budgets[request.chunk]
        run = desk.core.tables.attempts.runs((0, request.chunk))[request.attempt - 1]
        assert (run.peer, run.budget) == (request.peer, request.budget)


def test_every_byte_that_is_sent_and_comes_back_is_told() -> None:
    desk = Desk("ada", "bob")
    desk.trust("ada")
    sends = desk.submit()
    desk.core.tables.examiner.sent(1000)
    [first] = sends
    for index in (0, 1):
        sends += desk.answer((0, index), first.requests[index].peer, 0.01, size=1000)
    desk.arrive((0, 1), "bob", 0.02, size=500)  # of no use any more
    assert any(send.payload is not None for send in sends), "nobody was examined"
    up = sum(
        len(send.payload or PAYLOADS[request.chunk]) for send in sends for request in send.requests
    )
    assert desk.diary.bytes == {"up": up, "down": 2500}


def test_a_frame_that_cannot_be_sent_is_shown_when_it_is_due() -> None:
    desk = Desk("ada")
    [send] = desk.submit()
    desk.core.not_sent(0, "BrokerUnavailableError: away")
    assert len(desk.core.tables.attempts) == 0
    assert desk.core.next_release() == send.frame.due
    shown = desk.core.release(send.frame.due)
    assert shown is not None
    assert (shown.frame.number, shown.complete, shown.parts) == (0, False, {})
    assert ("not sent", 0, "BrokerUnavailableError: away") in desk.diary.heard
    desk.core.not_sent(0, "again")  # and nothing comes of it


def test_where_nobody_turns_out_to_be_there_no_frame_waits() -> None:
    desk = Desk("ada")
    desk.submit()
    assert desk.core.release(0.001) is None
    desk.meet(now=0.001)
    shown = desk.core.release(0.001)
    assert shown is not None
    assert (shown.frame.number, shown.complete) == (0, False)
    assert desk.submit(1, now=0.002) == []
    assert desk.core.release(0.002) is not None


def test_where_each_chunk_is_somebodys_and_nobody_may_have_it_no_frame_waits() -> None:
    desk = Desk("ada", has_shared_queue=False)
    [send] = desk.submit()
    assert {request.peer for request in send.requests} == {"ada"}
    # Its only peer fails it: nobody else is there, and what is left of it is waited for.
    assert desk.core.failed((0, 0), None, "ada", "CodecError: no", 0.01) == []
    desk.core.registry_said(
        [Facts("ada", ready=True), Facts("bob", ready=False)], frozenset({"ada"}), 0.02
    )
    assert desk.submit(1, now=0.03) == []
    assert any(each[0] == "not sent" and each[1] == 1 for each in desk.diary.heard)
    assert len(desk.core.tables.attempts) == len(PAYLOADS)


@pytest.mark.parametrize("has_shared_queue", [True, False])
def test_a_failure_is_believed_of_who_was_sent_the_chunk(has_shared_queue: bool) -> None:
    desk = Desk("ada", "bob", has_shared_queue=has_shared_queue)
    [send] = desk.submit()
    other = {"ada": "bob", "bob": "ada"}[send.requests[0].peer]
    told = desk.core.failed((0, 0), None, other, "CodecError: no", 0.01)
    # In a pool of one's own nobody knows for certain who told it.
    assert (told == []) != has_shared_queue
    assert desk.core.tables.attempts.failed == int(has_shared_queue)


def test_without_a_connection_nothing_is_sent() -> None:
    desk = Desk("ada")
    assert desk.submit(connected=False) == []
    assert len(desk.core.tables.attempts) == 0
    assert desk.diary.heard[-1] == ("submitted", 0, False)


def test_a_result_is_verified_before_it_counts() -> None:
    desk = Desk("ada", "bob")
    desk.submit()
    [verify] = desk.arrive((0, 0), "ada", 0.01)
    assert verify.source == "frame 0"
    assert desk.core.tables.attempts.accepted.total() == 0
    desk.core.verified(verify, "picture", 0.02)
    assert desk.core.tables.attempts.accepted == {1: 1}
    assert ("accepted", (0, 0), "ada") in desk.diary.heard


def test_a_frame_is_complete_with_its_last_part_and_shown_on_schedule() -> None:
    desk = Desk("ada", "bob")
    desk.submit()
    desk.answer((0, 0), "ada", 0.01)
    assert desk.core.release(0.02) is None
    desk.answer((0, 1), "bob", 0.03)
    shown = desk.core.release(1.0)
    assert shown is not None
    assert shown.complete
    assert {index: part.residual for index, part in shown.parts.items()} == {
        0: "picture of 0", 1: "picture of 1",
    }  # fmt: skip
    assert shown.ready_at == 0.03
    assert shown.stages is not None
    assert sum(shown.stages) == pytest.approx(0.03)


def test_a_result_that_is_refused_is_run_again_elsewhere() -> None:
    desk = Desk("ada", "bob")
    [first] = desk.submit()
    peer = first.requests[0].peer
    [verify] = desk.arrive((0, 0), peer, 0.01)
    [send] = desk.core.refused(verify, "CheckError: a lie", 0.011)
    [request] = send.requests
    assert (request.chunk, request.attempt) == (0, 2)
    assert request.peer != peer
    assert desk.diary.heard[-1] == (
        "failed", (0, 0), 1, peer, "CheckError: a lie", Decision.RETRY
    )  # fmt: skip


def test_a_frame_that_was_shown_while_its_result_was_verified_keeps_what_it_had() -> None:
    desk = Desk("ada", "bob")
    [first] = desk.submit()
    peer = first.requests[0].peer
    [verify] = desk.arrive((0, 0), peer, 0.01)
    shown = desk.core.release(CONFIG.deadline)
    assert shown is not None
    assert desk.core.verified(verify, "picture", 0.2) == []
    assert shown.parts == {}
    assert desk.diary.heard[-1] == ("unused", (0, 0), peer, Verdict.LATE)


def test_second_results_and_late_ones_are_not_looked_at() -> None:
    desk = Desk("ada", "bob")
    desk.submit()
    desk.answer((0, 0), "ada", 0.01)
    assert desk.arrive((0, 0), "ada", 0.02) == []
    desk.core.release(CONFIG.deadline)
    assert desk.arrive((0, 1), "bob", 0.2) == []
    verdicts = [each[3] for each in desk.diary.heard if each[0] == "unused"]
    assert verdicts == [Verdict.DUPLICATE, Verdict.LATE]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"claimed": (0, 1)}, "speaks of another chunk"),
        ({"ran": "upscale:3:bicubic"}, "made in another way"),
        ({"ran": "no pipeline"}, "made in another way"),
    ],
)
def test_a_result_that_is_not_what_was_asked_for_is_a_failure(
    changes: dict[str, Any], why: str
) -> None:
    desk = Desk("ada", "bob")
    desk.submit()
    actions = desk.arrive((0, 0), "ada", 0.01, **changes)
    assert [type(each) for each in actions] == [Send]
    assert why in desk.diary.heard[-1][4]


def test_work_that_takes_longer_than_it_was_away_is_a_failure() -> None:
    desk = Desk("ada", "bob")
    desk.submit()
    [verify] = desk.arrive((0, 0), "ada", 0.01, started=0.0, done=5.0)
    desk.core.verified(verify, "picture", 0.011)
    assert desk.core.tables.attempts.accepted.total() == 0
    assert desk.diary.heard[-1][4].startswith("WireError: a result claims 5.0")


def test_a_machine_that_wakes_late_lets_frames_go_sooner_and_shows_them_by_their_deadline() -> None:
    desk = Desk("ada")
    for number in range(40):
        desk.submit(number, now=number)
        due = desk.core.next_release()
        assert due is not None
        shown = desk.core.release(due + 0.004)
        assert shown is not None
    assert due == pytest.approx(39 + CONFIG.deadline - 0.004)
    assert shown.shown_at <= shown.frame.deadline + 1e-9


def test_a_peer_that_is_late_gets_no_chunk_twice_but_one_that_has_lost_it() -> None:
    desk = Desk("ada", config=replace(CONFIG, deadline=1.0))
    desk.submit(0, now=0.0)
    assert not desk.core.look(0.7), "it would stand behind the first one"
    desk.submit(1, now=0.71)
    assert not desk.core.look(0.72)
    desk.answer((1, 0), "ada", 0.73)
    again = [request for send in desk.core.look(0.75) for request in send.requests]
    assert [(each.chunk, each.attempt) for each in again] == [(0, 2), (1, 2)]


def test_where_another_peer_is_there_a_silent_chunk_is_run_again_by_that_one() -> None:
    desk = Desk("ada", "bob", config=replace(CONFIG, deadline=1.0))
    [send] = desk.submit(0, now=0.0)
    first = {each.chunk: each.peer for each in send.requests}
    again = [request for send in desk.core.look(0.7) for request in send.requests]
    assert {each.chunk for each in again} == {0, 1}
    assert all(each.peer != first[each.chunk] for each in again)


def test_where_chunks_wait_on_the_way_peers_have_less_time() -> None:
    budgets = {}
    for waits in (0.0, 0.04):
        desk = Desk("ada")
        for number in range(8):
            now = number / 30
            desk.submit(number, now=now)
            for index in (0, 1):
                wait = waits if number else 0.0
                desk.answer((number, index), "ada", now + 0.01 + wait)
            desk.core.release(now + 0.1)
        [send] = desk.submit(8, now=8 / 30)
        budgets[waits] = send.requests[0].budget
    assert budgets[0.0] - budgets[0.04] == pytest.approx(0.04, abs=0.005)


def test_a_peer_that_is_shut_out_is_tried_and_comes_back() -> None:
    desk = Desk("ada", "eve")
    desk.shut_out("eve")
    assert desk.core.take_changes()[0].seconds == COOLDOWN
    assert desk.diary.heard[-1] == ("breaker", "eve", COOLDOWN)
    for number, now in enumerate((3.0, 3.5, 4.0), 200):
        [send] = desk.submit(number, now=now)
        trial = send.requests[-1]
        assert (trial.chunk, trial.peer, trial.attempt) == (1, "eve", 2)
        [verify] = desk.arrive((number, 1), "eve", now + 0.01, attempt=2)
        assert verify.trial is not None
        desk.core.verified(verify, "picture", now + 0.011)
        desk.core.release(now + 1.0)
    assert desk.core.tables.breakers.state("eve", 5.0) is State.CLOSED


def test_nothing_of_a_peer_that_is_shut_out_counts() -> None:
    desk = Desk("ada", "eve")
    desk.shut_out("eve")
    desk.submit(200, now=1.0)
    actions = desk.arrive((200, 0), "eve", 1.01)
    assert not any(isinstance(each, Verify) for each in actions), "a stranger's bytes were read"
    assert desk.core.tables.attempts.accepted.total() == 0
    [failed] = [each for each in desk.diary.heard if each[:2] == ("failed", (200, 0))]
    assert failed[4] == "Untrusted: its breaker is open"


def test_an_answer_to_an_examination_is_no_part_of_a_picture() -> None:
    desk = Desk("ada", "bob")
    desk.submit()
    desk.core.tables.examiner.sent(1000)
    [send] = desk.answer((0, 0), "ada", 0.01)
    [request] = send.requests
    assert (request.chunk, request.peer, send.payload) == (0, "bob", b"left")
    assert desk.arrive((0, 0), "bob", 0.02, attempt=request.attempt) == []
    [compare] = desk.core.take_answers()
    assert compare.examination.known == b"ada of 0"
    assert compare.answer == b"bob of 0"
    desk.core.compared(compare, True, 0.03)
    assert desk.core.tables.trust.in_a_row("bob") == 1
    assert desk.diary.heard[-1] == ("examined", "bob", True)


def test_what_the_dead_had_goes_to_others_at_once() -> None:
    desk = Desk("ada", "bob")
    [first] = desk.submit()
    had = {each.chunk: each.peer for each in first.requests}
    dead = had[0]
    other = "bob" if dead == "ada" else "ada"
    sends = desk.meet(other, now=0.005)
    moved = [request for send in sends for request in send.requests]
    assert [(each.chunk, each.peer) for each in moved] == [
        (chunk, other) for chunk, peer in had.items() if peer == dead
    ]
    assert ("gone", dead) in desk.diary.heard


def test_every_run_that_leaves_is_heard_of_once() -> None:
    desk = Desk("ada", "bob")
    [first] = desk.submit()
    assert [each for each in desk.diary.heard if each[0] == "sent"] == [
        ("sent", (0, each.chunk), each.attempt, each.peer) for each in first.requests
    ]
