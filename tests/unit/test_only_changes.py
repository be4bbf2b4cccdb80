"""Only changes travel: what a session sends of pictures that stand still, come back, or move."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState
from p2c2g.peers.breaker import COOLDOWN, ERRORS_ENOUGH, Outcome, State
from p2c2g.peers.trust import ENOUGH
from p2c2g.routing.demand import FRAMES, LEAST, Demand
from p2c2g.routing.router import Facts
from p2c2g.session.actions import Result, Send, Verify
from p2c2g.session.changes import Nearness, Seen
from p2c2g.session.config import SessionConfig
from p2c2g.session.core import Core
from p2c2g.session.frame_plan import Setting
from p2c2g.session.frames import Basis, Shown, Way
from p2c2g.session.known import BETTER_AFTER, SMALL_AFTER
from p2c2g.session.known_tally import KnownTally
from p2c2g.session.tally import Tally

FPS = 30.0
#: Not steady: how frames are enhanced is said here, and not by what there is too little of.
CONFIG = SessionConfig(Size(64, 64), Pipeline.parse("upscale:2"), Grid(1, 2), fps=FPS, steady=False)
LESSER = replace(CONFIG.recipe, quality=50, rank=2)


def family(letter: bytes) -> str:
    found = letter.decode()
    return found.lower() if ord(found) < 256 else str(ord(found) >> 8)


class Game:
    """A session whose frames show letters, one a chunk, and peers that take some time.

    A residual is the letter for which it was made.  Letters of one family are near each other: the
    large and the small one, and from U+0100 on each block of 256.
    """

    def __init__(self, *peers: str, config: SessionConfig = CONFIG, took: float = 0.020) -> None:
        self.tally, self.counts = Tally(), KnownTally()
        self.core: Core[str, str] = Core("s", config, Random(3), (self.tally, self.counts))
        self.core.registry_said([Facts(each, ready=True) for each in peers], frozenset(), 0.0)
        #: Seconds until an answer is back, and of work on it, as is told.
        self.took, self.work = took, 0.001
        #: Whether what is answered now is no residual of its chunk.
        self.lies = False
        self.now = 0.0
        self.number = -1
        self.shown: list[Shown[str, str]] = []
        #: Chunks that were sent, by frame and letter; and what was sent in all.
        self.sent: list[tuple[int, str]] = []
        self.answers: list[tuple[float, int, str, Any]] = []
        self.answered = 0

    def trust(self, *peers: str) -> None:
        for peer in peers:
            for _ in range(ENOUGH):
                self.core.tables.trust.valid(peer)

    def set(self, **changes: Any) -> None:
        setting = self.core.tables.plans.setting
        self.core.tables.plans.setting = replace(setting, **changes)

    def show(self, *frames: str) -> None:
        """Submit frames, each a letter for each chunk, and let the time until the next pass."""
        for letters in frames:
            self.number += 1
            known = self.core.known()
            seen = [
                self._seen(each.encode(), key) for each, key in zip(letters, known, strict=True)
            ]
            plan = self.core.plan(self.number, seen, self.now)
            for index, part in plan.known.items():
                if part.residual is None:
                    revived = self.core.revived(index, part, part.payload.decode())
                    plan = replace(plan, known={**plan.known, index: revived})
            payloads = {index: letters[index].encode() for index in plan.sent}
            self.perform(self.core.submit(
                self.number, letters, payloads, plan, self.now, self.now, self.now, connected=True
            ))  # fmt: skip
            self.at(self.now + 1 / FPS)

    def _seen(self, letter: bytes, known: bytes | None) -> Seen:
        if known is not None and known != letter and family(known) == family(letter):
            return Seen(letter, known, Nearness.SMALL)
        return Seen(letter)

    def at(self, moment: float) -> None:
        """Let time pass until a moment, with all that happens in it."""
        while True:
            looks = [self.core.next_look(), self.core.next_release()]
            looks += [self.answers[0][0]] if self.answers else []
            due = min((each for each in looks if each is not None), default=inf)
            if due > moment:
                self.now = max(self.now, moment)
                return
            self.now = max(self.now, due)
            while self.answers and self.answers[0][0] <= self.now:
                self.answer(*heapq.heappop(self.answers)[2:])
            self.perform(self.core.look(self.now))
            while (shown := self.core.release(self.now)) is not None:
                self.shown.append(shown)

    def perform(self, actions: Sequence[Any]) -> None:
        for send in actions:
            if not isinstance(send, Send):
                continue
            for request in send.requests:
                letter = (send.payload or send.frame.payloads[request.chunk]).decode()
                self.sent.append((send.frame.number, letter))
                if self.took < inf:
                    self.answered += 1
                    key = (send.frame.number, request.chunk)
                    told = (key, request.attempt, request.peer or "ada")
                    at = self.now + self.took
                    said = "" if self.lies else letter
                    heapq.heappush(self.answers, (at, self.answered, said, told))

    def answer(self, letter: str, told: tuple[Any, int, str]) -> None:
        key, attempt, peer = told
        result = Result(
            key, key, attempt, peer, "", letter.encode(), 1000, self.now - 0.001, self.now, 0.0,
            self.work,
        )  # fmt: skip
        for action in self.core.arrived(result, self.now):
            if isinstance(action, Verify) and not letter:
                self.perform(self.core.refused(action, "CheckError: a lie", self.now))
            elif isinstance(action, Verify):
                source = action.source[key[1]]
                assert action.trial or source == letter, "checked against what it was made of"
                self.perform(self.core.verified(action, letter, self.now))
            else:
                self.perform([action])

    def until_shown(self) -> list[Shown[str, str]]:
        """Let all frames be shown; return them."""
        self.at(self.now + 2 * CONFIG.deadline)
        assert self.core.frames_in_flight == 0
        return self.shown

    def letters(self, shown: Shown[str, str]) -> str:
        """Return for what the residuals of a frame were made."""
        return "".join(
            str(shown.parts[index].residual) if index in shown.parts else "-" for index in range(2)
        )

    @property
    def known(self) -> dict[str, Any]:
        return self.counts.figures()


def test_of_a_still_picture_next_to_nothing_is_sent_and_all_of_it_is_enhanced() -> None:
    game, moving = Game("ada"), Game("ada")
    game.show(*["ab"] * 300)
    moving.show(*(chr(0x10000 + 256 * number) * 2 for number in range(300)))
    shown = game.until_shown()
    assert all(each.complete for each in shown)
    assert [game.letters(each) for each in shown] == ["ab"] * 300
    assert len(moving.sent) == 600
    assert len(game.sent) <= 0.01 * len(moving.sent) + 2, "its own chunks, and a trickle"
    assert game.known["unchanged"] >= 590
    assert game.tally.summary()["frames"]["complete"] == 300


def test_what_is_on_its_way_already_is_not_sent_again() -> None:
    """Each picture stands for two frames, as of a game at half the rate."""
    game = Game("ada", took=0.040)
    game.show(*(chr(100 + number // 2) * 2 for number in range(60)))
    shown = game.until_shown()
    assert len(game.sent) <= 60 + 2
    assert all(each.complete for each in shown)
    assert [game.letters(each) for each in shown] == [
        chr(100 + number // 2) * 2 for number in range(60)
    ]
    assert game.known["shared"] == 60


def test_where_it_was_lost_it_is_sent_again() -> None:
    game = Game("ada", took=inf)
    game.show("ab")
    game.took = 0.010
    game.show(*["ab"] * 9)
    assert all(each.complete for each in game.until_shown()[1:])
    assert len({number for number, _ in game.sent}) > 1


def test_an_animation_of_two_pictures_comes_from_the_cache() -> None:
    game = Game("ada")
    game.show(*["ab", "cd"] * 60)
    shown = game.until_shown()
    assert [game.letters(each) for each in shown] == ["ab", "cd"] * 60
    assert len(game.sent) <= 4 + 0.01 * 240
    assert game.known["cached"] >= 230


def test_something_that_comes_back_after_a_while_is_known() -> None:
    game = Game("ada")
    game.show("ab", *(chr(100 + number) * 2 for number in range(30)))
    before = len(game.sent)
    game.show("ab")
    assert len(game.sent) <= before + 1, "but for a trickle"
    assert game.letters(game.until_shown()[-1]) == "ab"


def test_nearly_the_same_is_shown_and_asked_for_now_and_then() -> None:
    game = Game("ada")
    game.show(*(chr(256 + number) + "b" for number in range(120)))  # 4 seconds
    shown = game.until_shown()
    assert all(each.complete for each in shown)
    assert 12 <= len(game.sent) <= 24
    assert game.known["near"] >= 115
    assert 10 <= game.known["refreshed"] <= 16
    ages = [ord(each.frame.source[0]) - ord(str(each.parts[0].residual)) for each in shown]
    assert max(ages) <= (SMALL_AFTER + 2 * CONFIG.deadline) * FPS, "nothing drifts away"


def test_one_chunk_that_moves_does_not_bring_the_other_along() -> None:
    game = Game("ada")
    game.show("ab", "ab", *("a" + chr(100 + number) for number in range(60)))
    assert all(each.complete for each in game.until_shown())
    assert 60 <= len(game.sent) <= 66
    letters = Counter(letter for _, letter in game.sent)
    assert letters["a"] <= 3


def test_a_lesser_residual_is_shown_until_the_better_one_comes() -> None:
    game = Game("ada")
    game.set(recipe=LESSER)
    game.show(*["ab"] * 3)
    game.set(recipe=CONFIG.recipe)
    game.show(*["ab"] * 40)
    shown = game.until_shown()
    assert all(each.complete for each in shown)
    recipes = [each.parts[0].recipe for each in shown]
    assert recipes[0] == LESSER
    assert recipes[-1] == CONFIG.recipe
    change = recipes.index(CONFIG.recipe)
    assert recipes == [LESSER] * change + [CONFIG.recipe] * (len(recipes) - change), "no flicker"
    assert change / FPS == pytest.approx(BETTER_AFTER, abs=0.1)
    assert game.known["refreshed"] == 2


def test_what_comes_too_late_for_its_frame_is_shown_with_later_ones() -> None:
    """Peers that need longer than a frame has are of use for a picture that stands."""
    game = Game("ada", took=1.5 * CONFIG.deadline)
    game.show(*["ab"] * 30)
    shown = game.until_shown()
    assert not shown[0].complete
    assert all(each.complete for each in shown[15:])
    assert game.core.tables.attempts.late > 0
    assert game.core.tables.attempts.accepted.total() == 0


def test_what_comes_late_from_somebody_who_is_not_examined_is_not_shown() -> None:
    game = Game("ada", "bob", took=1.5 * CONFIG.deadline)
    game.show(*["ab"] * 30)
    assert not any(each.parts for each in game.until_shown())
    game.trust("ada", "bob")
    game.show(*["ab"] * 30)
    assert game.until_shown()[-1].complete


def test_who_is_caught_is_no_longer_shown() -> None:
    game = Game("ada")
    game.show(*["ab"] * 10)
    breakers = game.core.tables.breakers
    for _ in range(30):
        breakers.record("ada", Outcome.BAD, game.now)
    assert breakers.state("ada", game.now) is State.OPEN
    game.core.take_changes()
    assert game.core.known() == (None, None)


def test_a_peer_that_was_shut_out_gets_its_trials_of_a_still_picture() -> None:
    game = Game("ada", "bob")
    game.trust("ada", "bob")
    game.show(*["ab"] * 10)
    breakers = game.core.tables.breakers
    for _ in range(ERRORS_ENOUGH + 20):
        breakers.record("bob", Outcome.BAD, game.now)
    assert breakers.state("bob", game.now) is State.OPEN
    game.show(*["ab"] * round(FPS * (COOLDOWN + 8)))
    assert breakers.state("bob", game.now) is State.CLOSED


def test_newcomers_come_to_be_trusted_over_a_still_picture() -> None:
    game = Game("ada", "bob", "eve")
    game.trust("ada")
    core = game.core
    seconds = 0
    facts = [Facts(each, ready=True) for each in ("ada", "bob", "eve")]
    while not (core.tables.trust.is_trusted("bob") and core.tables.trust.is_trusted("eve")):
        game.show(*["ab"] * round(FPS))
        core.registry_said(facts, frozenset(), game.now)
        for compare in core.take_answers():
            core.compared(compare, compare.answer == compare.examination.known, game.now)
        seconds += 1
        assert seconds < 60, "examinations have come to a stand"
    core.registry_said(facts, frozenset(), game.now)
    sent = len(game.sent)
    game.show(*["ab"] * 300)
    assert len(game.sent) - sent <= 0.01 * 600, "and then there is little to be sent again"


def test_nobody_is_said_to_be_silent_where_nobody_is_asked() -> None:
    game = Game("ada")
    game.show(*["ab"] * 600)
    presence = game.core.tables.presence
    assert presence.sentence(game.now, connected=True) == ""
    assert not presence.is_alone(game.now)
    assert game.core.tables.breakers.state("ada", game.now) is State.CLOSED


def test_nothing_is_given_up_for_a_picture_that_stands_or_begins_to_move() -> None:
    game = Game("ada", config=replace(CONFIG, steady=True))
    moving = [chr(0x10000 + 256 * number) * 2 for number in range(240)]
    game.show(*moving[:90], *["ab"] * 600, *moving[90:])
    shown = game.until_shown()
    assert all(each.complete for each in shown)
    assert {each.frame.plan.recipe for each in shown} == {CONFIG.recipe}
    assert game.core.tables.plans.setting.chunks == {0, 1}


def test_peers_that_die_take_no_picture_along_that_stands() -> None:
    game = Game("ada")
    game.show(*["ab"] * 10)
    game.core.registry_said([], frozenset(), game.now)
    game.took = inf
    game.show(*["ab"] * 90)
    assert all(each.complete for each in game.until_shown())
    game.core.registry_said([Facts("zoe", ready=True)], frozenset(), game.now)
    game.took = 0.010
    game.show("ab", "xy", "xy", "xy")
    assert game.until_shown()[-1].complete


def test_what_is_left_out_is_enhanced_where_it_is_known() -> None:
    game = Game("ada")
    game.show(*["ab"] * 3)
    game.set(chunks=frozenset({0}))
    game.show("ab", "ac", "ab")
    assert [game.letters(each) for each in game.until_shown()[3:]] == ["ab", "a-", "ab"]


def test_the_need_follows_what_is_sent() -> None:
    demand = Demand(60.0)
    now = 0.0
    for _ in range(round(30 * FPS)):
        now += 1 / FPS
        assert not demand.note(0.0, now)
    assert demand.need == pytest.approx(LEAST * 60.0)
    rises = [demand.note(60.0, now + number / FPS) for number in range(FRAMES)]
    assert any(rises)
    assert demand.need == 60.0, "within a few frames"


def test_who_knows_a_residual_is_not_taken_for_fast() -> None:
    game = Game("ada")
    game.show("ab", "cd", "ef")
    game.until_shown()
    before = game.core.tables.health.of("ada", CONFIG.operations.text)
    assert before is not None
    game.work = 0.0
    game.show(*(chr(0x10000 + 256 * number) * 2 for number in range(5)))
    assert all(each.complete for each in game.until_shown())
    after = game.core.tables.health.of("ada", CONFIG.operations.text)
    assert after is not None
    assert after.seconds_per_megapixel == before.seconds_per_megapixel
    assert game.known["by_peers"] == 10


def test_what_finds_no_room_is_needed_all_the_same() -> None:
    game = Game("ada", config=replace(CONFIG, steady=True), took=inf)
    game.show(*(chr(0x10000 + 256 * number) * 2 for number in range(12)))
    assert len(game.sent) < 24, "there is no room for all"
    assert game.core.tables.router._demand.need == FPS * sum(CONFIG.megapixels)


# -- whatever happens ----------------------------------------------------------------------------

LETTERS = st.sampled_from("aAbBc")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            LETTERS, LETTERS,
            st.sampled_from([0.001, 0.02, 0.05, 0.09, 0.2, inf]),
            st.sampled_from([CONFIG.recipe, LESSER]),
            st.sampled_from([frozenset({0, 1}), frozenset({0})]),
            st.sampled_from([False, False, False, True]),
        ),
        max_size=60,
    ),
    st.sampled_from([("ada",), ("ada", "bob", "eve")]),
    st.booleans(),
)  # fmt: skip
def test_whatever_is_shown_was_made_for_what_the_frame_shows(
    frames: list[tuple[str, str, float, Any, frozenset[int], bool]],
    peers: tuple[str, ...],
    paced: bool,
) -> None:
    game = Game(*peers, config=replace(CONFIG, paced=paced))
    for left, right, took, recipe, chunks, lies in frames:
        game.took, game.lies = took, lies
        game.core.tables.plans.setting = Setting(recipe, chunks)
        game.show(left + right)
    shown = game.until_shown()
    assert [each.frame.number for each in shown] == list(range(len(frames)))
    for each in shown:
        plan = each.frame.plan
        assert each.complete == (len(each.parts) == 2)
        for index, part in each.parts.items():
            wanted, got = each.frame.source[index], str(part.residual)
            near = plan.bases.get(index) is Basis.NEAR
            assert got == wanted or (near and got.lower() == wanted.lower())
        for index, way in enumerate(plan.ways):
            known = plan.known.get(index)
            assert (known is not None) == (way in (Way.KNOWN, Way.BOTH))
            if known is not None:
                assert index in each.parts, "what is known is shown"
            if known is not None and plan.bases[index] is not Basis.NEAR:
                assert each.parts[index].recipe.rank <= known.recipe.rank, "and never a lesser one"
    game.at(game.now + 5.0)
    assert game.core.tables.plans._on_the_way == {}
    assert len(game.core.tables.attempts) == 0
    states = game.tally.summary()["frames"]
    assert states[FrameState.COMPLETE.value] == sum(each.complete for each in shown)
