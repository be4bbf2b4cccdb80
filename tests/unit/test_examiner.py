"""Examinations: who is examined, what is compared, and what follows."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from p2c2g.errors import ChunkError
from p2c2g.media.chunker import Grid, cut
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.recipe import Recipe
from p2c2g.peers.book import PeerBook
from p2c2g.peers.breaker import COOLDOWN, ERRORS_ENOUGH, Breakers, Outcome, State
from p2c2g.peers.health import Health
from p2c2g.peers.trust import ENOUGH, Trust
from p2c2g.routing.policies import make
from p2c2g.routing.router import Facts, Router
from p2c2g.session.attempts import MAX_ATTEMPTS, Attempts
from p2c2g.session.config import SessionConfig
from p2c2g.verify.examination import TIMEOUT, BreakerTrial, Examination, ResidualComparer
from p2c2g.verify.examiner import MAX_UNDER_WAY, Examiner
from p2c2g.verify.results import ResultReader
from tests import honest
from tests.honest import EXACT

SIZE = Size(320, 180)
PLAN = SessionConfig(
    SIZE, Pipeline.parse("upscale:2,sharpen:0.5"), Grid(1, 2), codec="raw", form=EXACT
)
KEY = (0, 0)


def picture(seed: int) -> Pixels:
    """Return something with flat parts, edges and detail, as games have."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (12, 20, 3), np.uint8)
    fine = rng.integers(0, 60, (SIZE.height, SIZE.width, 3), np.uint8)
    return np.asarray(np.kron(coarse, np.ones((15, 16, 1), np.uint8)) // 2 + fine, np.uint8)


def answer(frame: Pixels, index: int = 0, operations: str = "upscale:2,sharpen:0.5") -> bytes:
    return honest.answer(Pipeline.parse(operations).resolve(SIZE), frame, PLAN.chunks[index])


#: A residual that is as dark as can be.
DARK = EXACT.encode(
    np.full((PLAN.chunks[0].target.height, PLAN.chunks[0].target.width, 1), -128, np.int16)
)


class Room:
    """An examiner and a frame in flight, with ada who answers and others who may be asked."""

    def __init__(self, *peers: str) -> None:
        book = PeerBook()
        self.breakers = Breakers(book)
        self.trust = Trust(Random(3), book)
        self.attempts = Attempts()
        self.router = Router(
            make("predictive", Random(3)), session="s", operation=PLAN.operations.text,
            megapixels=PLAN.megapixels, need=1e6, deadline=PLAN.deadline, book=book,
            health=Health(book), trust=self.trust, breakers=self.breakers,
        )  # fmt: skip
        self.know(*(Facts(peer, ready=True) for peer in peers))
        self.examiner = Examiner(self.breakers, self.trust, self.router.referees, Random(3))
        reader = ResultReader(SIZE, PLAN.recipe)
        self.comparer = ResidualComparer(reader, PLAN.chunks)
        self.frame = picture(1)

    def know(self, *facts: Facts) -> None:
        """Have the registry say who is there."""
        self.router.learn(facts, 0.0)

    def payload(self, index: int = 0) -> bytes:
        return codec("raw").encode(cut(self.frame, PLAN.chunks[index]), 85)

    def open(self, number: int = 0) -> None:
        for chunk in PLAN.chunks:
            self.attempts.open((number, chunk.index))

    def accept(
        self, number: int, told: bytes, peer: str = "ada", index: int = 0, now: float = 0.01,
        recipe: Recipe = PLAN.recipe,
    ) -> Examination | None:  # fmt: skip
        """Have a result of a peer accepted: who is examined by it?"""
        return self.examiner.accepted(
            (number, index), peer, self.payload(index), told, self.frame, recipe, "",
            lambda key, examined: self.attempts.examine(key, examined, now), now,
        )  # fmt: skip

    def trial(self, number: int, now: float = 0.0) -> BreakerTrial | None:
        """Have a frame's last chunk go out: who is tried by it?"""
        key = (number, PLAN.chunks[-1].index)
        return self.examiner.trial(
            key, self.frame, PLAN.recipe, now + PLAN.deadline,
            lambda key, peer: self.attempts.add(key, peer, now, hedge=False), now,
        )  # fmt: skip

    def judge(self, now: float = 0.02) -> None:
        """Do what the session's maintenance does."""
        for each in self.examiner.take_answers():
            try:
                agree = self.comparer.agree(each.examination, each.answer)
            except ChunkError:
                self.examiner.failed(each.examination, now)
            else:
                self.examiner.concluded(each.examination, agree=agree, now=now)

    def trusted(self, *peers: str) -> None:
        for peer in peers:
            for _ in range(ENOUGH):
                self.trust.valid(peer)

    def examine(
        self, examined: str, told: bytes, known: bytes | None = None, ran: str = ""
    ) -> None:
        """Have ada's answer compared with what another tells, or hers with a known one."""
        self.examiner.sent(20_000)
        number = max((key[0] for key in self.attempts._chunks), default=-1) + 1
        self.open(number)
        self.attempts.succeed((number, 0), 1)
        asked = self.accept(number, known or answer(self.frame))
        assert asked is not None
        assert (asked.key, asked.peer) == ((number, 0), examined)
        assert asked.picture == self.payload()
        examination = self.examiner.take(examined, (number, 0), asked.attempt)
        assert examination is asked
        self.examiner.answered(examination, told, ran)
        self.judge()


def test_two_new_peers_that_agree_are_both_believed_a_little_more() -> None:
    room = Room("ada", "bob")
    room.examine("bob", answer(room.frame))
    assert room.trust.in_a_row("ada") == room.trust.in_a_row("bob") == 1


def test_two_new_peers_of_which_one_skips_the_sharpening_begin_anew() -> None:
    room = Room("ada", "bob")
    room.trust.valid("ada")
    room.trust.valid("bob")
    room.examine("bob", answer(room.frame, operations="upscale:2"))
    assert room.trust.in_a_row("ada") == room.trust.in_a_row("bob") == 0
    assert room.breakers.state("bob", 0.0) is State.CLOSED, "nobody knows which of them it was"


def test_of_two_new_peers_that_differ_it_is_the_one_with_whom_fewer_agreed() -> None:
    room = Room("ada", "bob")
    room.trust.valid("ada")
    room.examine("bob", answer(room.frame, operations="upscale:2"))
    assert (room.trust.in_a_row("ada"), room.trust.caught("ada")) == (1, 0)
    assert room.trust.caught("bob") == 1
    assert room.breakers.state("bob", 0.0) is State.CLOSED


@pytest.mark.parametrize("seed", range(8))
def test_as_many_liars_as_honest_peers_do_not_keep_all_of_them_at_nothing(seed: int) -> None:
    """Two of them lie alike, are of one account, and so are never compared with each other."""
    random, peers = Random(seed), ("ada", "bob", "eve", "mallory")
    room = Room(*peers)
    while not all(map(room.trust.is_trusted, ("ada", "bob"))):
        one, other = random.sample(peers, 2)
        if {one, other} == {"eve", "mallory"}:
            continue
        asked = Examination(KEY, 1, other, b"", b"", one, 1.0, room.frame, "", PLAN.recipe)
        room.examiner.concluded(asked, agree={one, other} == {"ada", "bob"}, now=0.0)
        assert room.examiner.differed < 500, "they do not come to be trusted"
    assert not any(map(room.trust.is_trusted, ("eve", "mallory")))
    assert all(map(room.trust.is_doubted, ("eve", "mallory")))


def test_against_a_trusted_peer_the_other_is_wrong() -> None:
    room = Room("ada", "new")
    room.trusted("ada")
    room.trust._rng = Random(2)  # ada is not to be compared herself at the first draw
    room.examine("new", answer(room.frame, operations="upscale:2"))
    assert room.trust.is_trusted("ada")
    assert room.trust.in_a_row("new") == 0
    assert room.trust.caught("new") == 1


def test_a_trusted_referee_finds_a_new_peer_out() -> None:
    room = Room("ada", "zoe")
    room.trusted("zoe")
    cheat = answer(room.frame, operations="upscale:2")
    room.examine("zoe", answer(room.frame), known=cheat)
    assert room.trust.is_trusted("zoe")
    assert room.trust.caught("ada") == 1


@pytest.mark.parametrize("told", [b"", b"no residual", DARK])
def test_what_is_no_picture_of_its_chunk_speaks_against_its_peer_alone(told: bytes) -> None:
    room = Room("ada", "bob")
    room.examine("bob", told)
    assert room.trust.caught("bob") == 1
    assert room.trust.caught("ada") == 0


def test_five_of_those_open_the_breaker() -> None:
    room = Room("ada", "bob")
    for _ in range(5):
        room.examine("bob", b"no picture")
    assert room.breakers.state("bob", 0.03) is State.OPEN


def test_a_chunk_on_which_two_agreed_becomes_a_canary() -> None:
    room = Room("ada", "bob")
    room.examine("bob", answer(room.frame))
    old = room.payload()
    room.frame = picture(2)
    room.open(51)
    room.attempts.succeed((51, 0), 1)
    room.examiner.sent(20_000)
    room.examiner._random = Random(1)  # whose first draw is below a half, and second above
    assert room.examiner._canary(PLAN.recipe, 0, "ada") is None
    asked = room.accept(51, answer(room.frame), now=0.1)
    assert asked is not None
    assert asked.peer == "ada", "she who answered is asked again"
    assert asked.picture == old, "what she was asked before"
    assert asked.source is None
    assert room.examiner.take("ada", (51, 0), asked.attempt) is asked
    room.examiner.answered(asked, answer(picture(1), operations="upscale:2"))
    room.judge(0.2)
    assert room.trust.in_a_row("ada") == 0
    assert room.trust.caught("ada") == 1
    assert room.trust.in_a_row("bob") == 1, "a canary speaks of one peer alone"


def test_a_canary_goes_out_with_frames_of_its_own_recipe_alone() -> None:
    room = Room("ada", "bob")
    room.examine("bob", answer(room.frame))
    lesser = replace(PLAN.recipe, quality=50)
    assert lesser != PLAN.recipe
    for number in range(51, 91):
        room.open(number)
        room.attempts.succeed((number, 0), 1)
        room.examiner.sent(20_000)
        asked = room.accept(number, answer(room.frame), now=0.1, recipe=lesser)
        assert asked is not None
        assert (asked.by, asked.recipe) == ("ada", lesser), "a copy, by the frame's own recipe"
        assert room.examiner.take(asked.peer, asked.key, asked.attempt) is asked
    assert any(room.examiner._canary(PLAN.recipe, 0, "ada") for _ in range(20))


def test_nobody_to_ask_and_no_runs_left_mean_no_examination() -> None:
    room = Room("ada")
    room.open()
    room.attempts.succeed(KEY, 1)
    assert room.accept(0, b"") is None
    room = Room("ada", "bob")
    room.open()
    while room.attempts.examine(KEY, "zoe", 0.0) is not None:
        pass
    assert room.accept(0, b"") is None
    assert len(room.attempts.runs(KEY)) == MAX_ATTEMPTS
    room.attempts.close(KEY)
    assert room.accept(0, b"") is None


def test_examinations_are_few() -> None:
    room = Room("ada", *(f"peer {number}" for number in range(50)))
    begun = 0
    for number in range(400):
        room.open(number)
        room.examiner.sent(len(PLAN.chunks))
        assert room.trial(number) is None
        for chunk in PLAN.chunks:
            begun += room.accept(number, b"", index=chunk.index, now=0.0) is not None
            assert len(room.examiner._under_way) <= MAX_UNDER_WAY
        for each in list(room.examiner._under_way.values()):
            assert room.examiner.take(each.peer, each.key, each.attempt) is not None
    assert 30 <= begun <= 0.05 * 800 + 4


def test_what_is_never_answered_is_forgotten() -> None:
    room = Room("ada", "bob")
    room.open(0)
    room.attempts.succeed(KEY, 1)
    asked = room.accept(0, b"", now=0.0)
    assert asked is not None
    room.open(1)
    room.attempts.succeed((1, 0), 1)
    assert room.accept(1, b"", now=TIMEOUT - 0.1) is None, "bob is busy"
    assert room.accept(1, b"", now=TIMEOUT + 0.1) is not None
    assert room.examiner.take("bob", KEY, asked.attempt) is None


def shut_out(room: Room, peer: str) -> float:
    """Have a peer's breaker opened, and return when it may be tried again."""
    for _ in range(ERRORS_ENOUGH):
        room.breakers.record(peer, Outcome.BAD, 0.0)
    assert room.breakers.state(peer, 0.0) is State.OPEN
    return COOLDOWN


def test_a_trial_is_one_run_of_its_chunk_and_goes_to_who_was_shut_out() -> None:
    room = Room("ada", "bob")
    later = shut_out(room, "bob")
    room.open()
    trial = room.trial(0, now=later)
    assert trial is not None
    assert (trial.peer, trial.attempt, trial.source) == ("bob", 2, room.frame)
    assert room.trial(0, now=later) is None, "one is out"
    assert room.examiner.take_trial("ada", trial.key) is None
    assert room.examiner.take_trial("bob", trial.key) is trial
    assert room.examiner.take_trial("bob", trial.key) is None


def test_a_trial_that_could_not_be_sent_is_not_held_against_its_peer() -> None:
    room = Room("ada", "bob")
    later = shut_out(room, "bob")
    room.open()
    trial = room.trial(0, now=later)
    assert trial is not None
    room.examiner.withdraw(0)
    assert room.examiner.take_trial("bob", trial.key) is None
    room.attempts.close(trial.key)
    room.open(1)
    again = room.trial(1, now=later)
    assert again is not None
    assert again.peer == "bob"


def test_answers_of_different_nets_tell_nothing() -> None:
    room = Room("ada", "bob")
    room.examine("bob", answer(room.frame), ran="upscale:2:ml-tiny")
    examiner = room.examiner
    assert (examiner.incomparable, examiner.agreed, examiner.differed) == (1, 0, 0)
    assert room.trust.in_a_row("ada") == room.trust.in_a_row("bob") == 0


# -- who belongs together -----------------------------------------------------------------------


def of(peer: str, account: str, network: str = "") -> Facts:
    return Facts(peer, ready=True, account=account, network=network)


ADA = of("ada", "a", "n1")
#: Of ada's account; of her network; of neither.
SISTER, NEIGHBOUR, UNRELATED = of("sis", "a", "n2"), of("nei", "b", "n1"), of("str", "c", "n3")


def asked_of_ada(*facts: Facts) -> Examination | None:
    """Have a result of ada's accepted where those are there: who gets a copy?"""
    room = Room()
    room.know(ADA, *facts)
    room.examiner.sent(20_000)
    room.open()
    room.attempts.succeed(KEY, 1)
    return room.accept(0, answer(room.frame))


def test_a_second_opinion_is_an_unrelated_peers() -> None:
    asked = asked_of_ada(SISTER, UNRELATED, NEIGHBOUR)
    assert asked is not None
    assert asked.peer == "str"


def test_where_nobody_unrelated_is_there_nobody_is_compared() -> None:
    assert asked_of_ada(SISTER, NEIGHBOUR) is None


def test_a_network_that_nobody_knows_joins_nobody() -> None:
    assert asked_of_ada(of("str", "c")) is not None


def test_colluders_do_not_make_each_other_trusted() -> None:
    room = Room()
    room.know(ADA, SISTER, NEIGHBOUR)
    room.examiner.sent(20_000)
    for number in range(200):
        room.open(number)
        room.attempts.succeed((number, 0), 1)
        for peer in ("ada", "sis", "nei"):
            asked = room.accept(number, DARK, peer=peer)
            if asked is not None:
                # Only these two are unrelated: here, not colluding.
                assert {asked.by, asked.peer} == {"sis", "nei"}
                assert room.examiner.take(asked.peer, asked.key, asked.attempt) is asked
    assert room.trust.in_a_row("ada") == 0


def test_a_trusted_peer_has_unrelated_ones_come_to_be_trusted_and_not_its_own() -> None:
    room = Room()
    room.know(ADA, SISTER, NEIGHBOUR)
    room.trusted("ada")
    room.trust._rng = Random(2)  # ada is not to be compared herself at the first draw
    room.examiner.sent(20_000)
    room.open()
    room.attempts.succeed(KEY, 1)
    assert room.accept(0, answer(room.frame)) is None


@pytest.mark.parametrize(
    ("there", "authors", "may"),
    [
        ((ADA, UNRELATED), ("ada", "str"), True),  # one of two is unrelated
        ((ADA, SISTER, UNRELATED), ("sis", "str"), True),
        ((ADA, SISTER, NEIGHBOUR), ("sis", "nei"), False),  # they know what the answer was
        ((ADA, SISTER), ("ada", "sis"), False),
    ],
)
def test_a_canary_is_no_secret_where_all_who_know_it_belong_together(
    there: tuple[Facts, ...], authors: tuple[str, ...], may: bool
) -> None:
    room = Room()
    room.know(*there)
    room.examiner._canaries.learn(PLAN.recipe, 0, b"sent", b"told", "", authors)
    room.examiner._random = Random(2)  # whose first draw is above a half
    drawn = [room.examiner._canary(PLAN.recipe, 0, "ada") for _ in range(20)]
    assert any(drawn) is may
