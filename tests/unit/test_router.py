"""The router: what it learns of peers, whom it offers to the policy, and whom it does not."""

from __future__ import annotations

from random import Random

import pytest

from p2c2g.peers.book import MAX_UNREGISTERED, PeerBook
from p2c2g.peers.breaker import Breakers, Outcome
from p2c2g.peers.health import Health
from p2c2g.peers.trust import ENOUGH, Trust
from p2c2g.routing.policies import POLICIES, make
from p2c2g.routing.pool import STAY, TRY
from p2c2g.routing.router import Facts, Router

OPERATION = "upscale:2:bicubic"
DEADLINE = 0.1


class Known:
    """A router with all that it asks, of peers that come into the registry as a test says."""

    def __init__(
        self, policy: str = "predictive", need: float = 1.0, *, has_shared_queue: bool = True
    ) -> None:
        book = PeerBook()
        self.health, self.trust = Health(book), Trust(Random(1), book)
        self.breakers = Breakers(book)
        self.router = Router(
            make(policy, Random(1)), session="s", operation=OPERATION, megapixels=(0.5, 0.5),
            need=need, deadline=DEADLINE, book=book, health=self.health, trust=self.trust,
            breakers=self.breakers, has_shared_queue=has_shared_queue,
        )  # fmt: skip

    def learn(
        self, *peers: str, now: float = 0.0, is_mixed: bool = False, **facts: object
    ) -> frozenset[str]:
        told = [Facts(p, ready=True, **facts) for p in peers]  # type: ignore[arg-type]
        return self.router.learn(told, now, is_mixed=is_mixed)

    def trusted(self, *peers: str) -> None:
        for peer in peers:
            for _ in range(ENOUGH):
                self.trust.valid(peer)

    def first(self, now: float = 0.0, index: int = 0) -> str:
        return self.router.first(index, now + DEADLINE, now)

    def shut_out(self, peer: str, now: float = 0.0) -> None:
        for _ in range(5):
            self.breakers.record(peer, Outcome.BAD, now)


def test_nobody_known_means_the_capability_queue() -> None:
    known = Known()
    assert known.first() == ""
    assert known.router.second(0, DEADLINE, (), 0.0) == ""


@pytest.mark.parametrize("policy", POLICIES)
def test_a_queue_that_peers_of_another_version_read_gets_nothing(policy: str) -> None:
    known = Known(policy)
    known.learn("ada", "bob", is_mixed=True)
    got = []
    for _ in range(20):  # More than both have time for.
        peer = known.first()
        known.router.sent(peer, 0.0)
        got.append(peer)
    assert set(got) == {"ada", "bob"}, "it is shared out, and by none of them left to the queue"
    assert known.router.second(0, DEADLINE, ("ada",), 0.0) == "bob"
    known.shut_out("ada")
    known.shut_out("bob")
    assert known.first() == "", "nobody else is there"


@pytest.mark.parametrize("policy", POLICIES)
def test_where_each_chunk_is_somebodys_somebody_is_named(policy: str) -> None:
    known = Known(policy, has_shared_queue=False)
    assert known.first() == "", "nobody is there"
    known.learn("ada", "bob")
    for _ in range(20):  # More than both have time for.
        known.router.sent(peer := known.first(), 0.0)
        assert peer in ("ada", "bob")
    assert known.router.second(0, DEADLINE, ("ada",), 0.0) == "bob"
    assert known.router.second(0, DEADLINE, ("ada", "bob"), 0.0) == ""
    known.shut_out("ada")
    assert known.first() == "bob"
    known.shut_out("bob")
    assert known.first() == ""


@pytest.mark.parametrize("policy", POLICIES)
def test_a_peer_whose_first_answers_were_all_late_is_asked_again(policy: str) -> None:
    """It was cold, or stood still; where it is the only one nobody else will ever say better."""
    known = Known(policy, has_shared_queue=False)
    known.learn("ada")
    for _ in range(16):
        known.router.sent("ada", 0.0)
        known.router.overdue("ada", 0, 1.1 * DEADLINE)
        known.router.back("ada")
    known.learn("ada", now=0.5)
    assert known.first(0.5) == "", "none of its answers would be in time"
    known.learn("ada", now=0.5 + STAY)
    assert known.first(0.5 + STAY) == "ada"
    known.router.answered("ada", 0.005, 0.6 + STAY)
    known.learn("ada", now=1.0 + STAY + TRY)
    assert known.first(1.0 + STAY + TRY) == "ada"


def test_the_capability_policy_leaves_it_to_the_queue_and_repeats_with_who_answered_last() -> None:
    known = Known("capability")
    known.learn("ada", "bob")
    assert known.first() == ""
    known.router.answered("ada", 0.01, 0.0)
    known.router.answered("bob", 0.01, 0.01)
    assert known.router.second(0, DEADLINE, {""}, 0.02) == "bob"
    assert known.router.second(0, DEADLINE, {"bob"}, 0.02) == "ada"
    assert known.router.second(0, DEADLINE, {"ada", "bob"}, 0.02) == ""


def test_who_has_been_silent_for_a_second_is_asked_for_no_second_run() -> None:
    known = Known("capability")
    for at, peer in enumerate(["ada", "zoe", "ada"]):
        known.router.answered(peer, 0.01, 5.0 + at / 10)
    assert known.router.second(0, 9.0, (), 6.1) == "ada"
    assert known.router.second(0, 9.0, {"ada"}, 6.1) == "zoe"
    assert known.router.second(0, 9.0, {"ada"}, 6.11) == ""
    known.shut_out("ada", 6.15)
    assert known.router.second(0, 9.0, (), 6.15) == ""


def test_of_those_heard_of_the_last_to_answer_is_asked() -> None:
    known = Known("capability")
    known.router.answered("ada", 0.01, 0.0)
    known.router.answered("bob", 0.01, 0.1)
    known.health.failed("ada", OPERATION, 0.2)
    known.health.failed("zoe", OPERATION, 0.3)
    known.breakers.share({"eve": {"another": 5.0}}, 0.3)
    assert known.router.second(0, DEADLINE, (), 0.4) == "bob"


def test_who_comes_back_is_known_for_what_it_did_and_not_for_where_it_was() -> None:
    known = Known()
    known.learn("ada", rtt=0.02)
    known.trusted("ada")
    known.health.result("ada", OPERATION, 0.5, 0.010, 0.09, on_time=True, now=0.1)
    known.router.sent("ada", 0.0)
    known.router.answered("ada", 0.09, 0.1)
    known.learn(now=1.0)
    assert known.router.candidate("ada") is None
    assert known.router.rtt("ada") == 0.0
    known.router.overdue("ada", 0, 0.5)  # what it had when it left
    known.router.back("ada")
    known.learn("ada", rtt=0.02, now=2.0)
    candidate = known.router.candidate("ada")
    assert candidate is not None
    assert (candidate.rtt, candidate.own, candidate.last_result) == (0.02, 0, float("-inf"))
    assert known.trust.is_trusted("ada")
    record = known.health.of("ada", OPERATION)
    assert record is not None
    assert record.count == 1


def test_what_a_probe_promises_counts_until_there_are_results() -> None:
    known = Known()
    known.learn("ada", seconds_per_megapixel=0.004)
    candidate = known.router.candidate("ada")
    assert candidate is not None
    assert candidate.seconds_per_megapixel == 0.004
    known.health.result("ada", OPERATION, 0.5, 0.010, 0.005, on_time=True, now=0.1)
    known.router.answered("ada", 0.005, 0.1)
    assert candidate.seconds_per_megapixel == pytest.approx(0.020)
    assert candidate.rtt == 0.005
    known.learn("ada", seconds_per_megapixel=0.004, now=0.2)
    assert candidate.seconds_per_megapixel == pytest.approx(0.020)


def test_the_shortest_round_trip_of_late_counts() -> None:
    known = Known()
    known.learn("ada")
    assert [known.router.answered("ada", t, 0.0) for t in (0.03, 0.01, 0.05)] == [0.03, 0.01, 0.01]
    assert [known.router.answered("ada", 0.05, 0.0) for _ in range(32)][-1] == 0.05


def test_chunks_that_are_out_are_counted_and_others_are_those_that_are_not_ours() -> None:
    known = Known()
    known.learn("ada")
    for _ in range(3):
        known.router.sent("ada", 0.0)
    candidate = known.router.candidate("ada")
    assert candidate is not None
    known.learn("ada", busy=5, now=1.0)
    assert (candidate.own, candidate.others) == (3, 2)
    for _ in range(4):
        known.router.back("ada")
    assert candidate.own == 0


def test_who_is_no_longer_told_of_has_gone_and_gets_nothing() -> None:
    known = Known()
    known.learn("ada", "bob")
    assert known.learn("bob", now=1.0) == {"ada"}
    assert {known.first(1.0) for _ in range(20)} == {"bob"}
    assert known.learn(now=1.1) == {"bob"}
    assert known.first(1.2) == ""


def test_who_is_not_ready_gets_nothing() -> None:
    known = Known()
    known.router.learn([Facts("ada", ready=False), Facts("bob", ready=True)], 0.0)
    assert {known.first() for _ in range(20)} == {"bob"}


@pytest.mark.parametrize("policy", ["weighted", "predictive", "affinity"])
def test_who_is_shut_out_gets_nothing_from_that_moment(policy: str) -> None:
    known = Known(policy)
    known.learn("ada", "bob")
    known.shut_out("ada")
    assert {known.first(0.01) for _ in range(20)} <= {"bob", ""}
    assert "ada" not in {known.router.second(0, DEADLINE, (), 0.01) for _ in range(20)}


def test_newcomers_get_no_work_that_counts_where_the_trusted_suffice() -> None:
    known = Known(need=10.0)
    known.trusted("ada")
    known.learn("ada", "new", seconds_per_megapixel=0.001)
    assert {known.first() for _ in range(20)} == {"ada"}
    assert known.router.referees.newcomer("ada", (), 0.0) == "new"
    assert known.router.referees.newcomer("ada", {"new"}, 0.0) == ""


@pytest.mark.parametrize("policy", POLICIES)
def test_who_was_caught_twice_works_only_where_everybody_was(policy: str) -> None:
    known = Known(policy, need=1e9, has_shared_queue=False)
    for _ in range(2):
        known.trust.invalid("eve")
    known.trust.invalid("bob")  # Once is no proof.
    known.learn("ada", "bob", "eve")
    assert set(known.router.pool) == {"ada", "bob"}
    assert known.router.referees.newcomer("", ("ada", "bob"), 0.0) == "eve", "it may make up for it"
    known.trusted("eve")
    known.learn("ada", "bob", "eve")
    assert set(known.router.pool) == {"ada", "bob", "eve"}
    for peer in ("ada", "bob", "eve"):
        for _ in range(2):
            known.trust.invalid(peer)
    known.learn("ada", "bob", "eve")
    assert set(known.router.pool) == {"ada", "bob", "eve"}, "nobody knows which lies"


def test_newcomers_work_where_the_trusted_do_not_suffice() -> None:
    known = Known(need=10_000.0)
    known.trusted("ada")
    known.learn("ada", "new", seconds_per_megapixel=0.001)
    assert set(known.router.pool) == {"ada", "new"}


def test_the_newcomer_that_has_shown_most_comes_first() -> None:
    known = Known()
    known.learn("bob", "zoe")
    known.trust.valid("zoe")
    assert known.router.referees.newcomer("ada", (), 0.0) == "zoe"
    known.shut_out("zoe")
    assert known.router.referees.newcomer("ada", (), 0.0) == "bob"


def test_a_referee_is_rather_a_trusted_one() -> None:
    known = Known(need=10_000.0)
    known.trusted("zoe")
    known.learn("ada", "bob", "zoe")
    assert known.router.referees.referee("ada", {"ada"}, 0.0) == "zoe"
    assert known.router.referees.referee("ada", {"zoe", "ada"}, 0.0) == "bob"
    assert known.router.referees.referee("ada", {"zoe", "ada", "bob"}, 0.0) == ""


def test_a_thousand_strangers_leave_room_for_those_who_are_enrolled() -> None:
    known = Known()
    known.learn("ada")
    for number in range(1000):
        known.router.answered(f"stranger {number}", 0.01, number / 1000)
    assert known.router.candidate("ada") is not None
    strangers = sum(known.router.candidate(f"stranger {n}") is not None for n in range(1000))
    assert strangers == MAX_UNREGISTERED


@pytest.mark.parametrize("policy", ["weighted", "predictive", "affinity"])
def test_who_stands_still_comes_last_until_it_answers(policy: str) -> None:
    known = Known(policy)
    known.learn("ada", "bob", seconds_per_megapixel=0.004)
    known.router.sent("ada", 0.0)
    known.router.back("ada")  # Its frame was shown without it: it owes the chunk all the same.
    assert {known.first(0.09) for _ in range(30)} == {"bob"}
    known.router.answered("ada", 0.02, 0.1)
    known.learn("ada", seconds_per_megapixel=0.004, now=0.1)
    assert known.first(0.11) == "ada"


def test_what_was_lost_is_not_held_against_a_peer_for_ever() -> None:
    known = Known()
    known.learn("ada")
    known.router.sent("ada", 0.0)
    candidate = known.router.candidate("ada")
    assert candidate is not None
    assert candidate.is_silent(0.5, 1.0)
    assert not candidate.is_silent(0.5, 3.0)
    known.router.sent("ada", 3.0)
    assert not candidate.is_silent(0.5, 3.01)
    assert candidate.is_silent(0.5, 4.0)


def test_what_never_came_teaches_how_far_its_peer_is() -> None:
    known = Known()
    known.learn("ada", "bob", seconds_per_megapixel=0.004)
    known.router.overdue("ada", 0, 0.102)
    candidate = known.router.candidate("ada")
    assert candidate is not None
    assert candidate.rtt == pytest.approx(0.1)
    known.learn("ada", "bob", seconds_per_megapixel=0.004, now=1.0)
    assert set(known.router.pool) == {"bob"}, "it cannot make the deadline"


def test_a_narrow_line_is_a_slow_peer() -> None:
    known = Known()
    known.learn("ada", seconds_per_megapixel=0.001, line=5.0)
    candidate = known.router.candidate("ada")
    assert candidate is not None
    for _ in range(4):
        known.router.sent("ada", 0.0)
    assert candidate.wait(0.5) == pytest.approx(4 * 0.5 / 5.0)
    for _ in range(500):
        known.router.measured(0, 125_000)
    assert known.router.bits == pytest.approx(2e6)
