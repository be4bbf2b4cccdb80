"""A session's pool: enough peers and the best of them, and no coming and going."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.peers.candidate import Candidate
from p2c2g.routing.pool import BETTER, STAY, TRY, SessionPool, share
from tests.effort import examples

SPEED = settings(deadline=None, derandomize=True, max_examples=examples(100))
DEADLINE = 0.1
#: Megapixels of a chunk, so that a peer's reach is its round trip and a quarter of its
#: seconds a megapixel.
CHUNK = 0.25


def peer(name: str, speed: float = 10.0, score: float = 50.0, **told: float) -> Candidate:
    """Return a peer of so many megapixels a second, 20 ms away."""
    seconds_per_megapixel = 1 / speed
    worst = told.pop("seconds_per_megapixel_p95", seconds_per_megapixel)
    return Candidate(
        name,
        seconds_per_megapixel=seconds_per_megapixel,
        seconds_per_megapixel_p95=worst,
        score=score,
        **told,
    )  # type: ignore[arg-type]


class Changes(NamedTuple):
    """Who joined and who left, by id."""

    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class Watched(SessionPool):
    """A pool whose updates tell what changed."""

    def update(self, *args: Any, **how: Any) -> Changes:  # type: ignore[override]
        before = {each.id: None for each in self.members}
        super().update(*args, **how)
        after = {each.id: None for each in self.members}
        joined = (each for each in after if each not in before)
        left = (each for each in before if each not in after)
        return Changes(tuple(joined), tuple(sorted(left)))


def pool(**told: float) -> Watched:
    told = {"least": 2, "most": 8, "spare": 1.5, **told}
    return Watched(CHUNK, **told)  # type: ignore[arg-type]


def names(members: SessionPool) -> list[str]:
    return sorted(each.id for each in members.members)


@st.composite
def everybody(draw: st.DrawFn) -> list[Candidate]:
    random = Random(draw(st.integers(0, 100_000)))
    return [
        peer(
            f"peer{number}",
            random.uniform(1, 60),
            random.choice((50.0, random.uniform(0, 100))),
            slots=random.randint(1, 4),
            rtt=random.uniform(0, 0.12),
            others=random.choice((0, 0, 1, 4)),
        )
        for number in range(draw(st.integers(0, 30)))
    ]


def is_fit(each: Candidate) -> bool:
    return each.rtt + each.seconds_per_megapixel_p95 * CHUNK <= DEADLINE


def run(
    members: Watched, ranked: Sequence[Candidate], need: float, begin: float, updates: int
) -> list[Changes]:
    return [members.update(ranked, need, DEADLINE, begin + n) for n in range(updates)]


@SPEED
@given(ranked=everybody(), need=st.floats(0, 2000))
def test_enough_where_the_peers_suffice_and_never_nobody(
    ranked: list[Candidate], need: float
) -> None:
    members = pool()
    fit = sorted(map(share, filter(is_fit, ranked)), reverse=True)
    for now in range(12):
        members.update(ranked, need, DEADLINE, float(now))
        assert all(map(is_fit, members.members))
        assert min(2, len(fit)) <= len(members.members) <= 8
        assert members.capacity >= min(need * 1.5, sum(fit[:8])) * (1 - 1e-9)


@SPEED
@given(ranked=everybody(), need=st.floats(0, 2000))
def test_under_constant_input_it_comes_to_rest(ranked: list[Candidate], need: float) -> None:
    members = pool()
    run(members, ranked, need, 0.0, 60)
    before = members.members
    assert set(run(members, ranked, need, 60.0, 30)) == {Changes()}
    assert members.members is before


@SPEED
@given(ranked=everybody(), need=st.floats(1, 500), seed=st.integers(0, 99))
def test_a_need_that_trembles_calls_nobody_back(
    ranked: list[Candidate], need: float, seed: int
) -> None:
    members, random = pool(), Random(seed)
    run(members, ranked, need * 1.08, 0.0, 40)
    joined, left = list[str](), list[str]()
    for now in range(40, 140):
        changes = members.update(ranked, need * random.uniform(1.0, 1.08), DEADLINE, float(now))
        joined += changes.joined
        left += changes.left
    assert not set(joined) & set(left)
    assert len(set(left)) == len(left)


@SPEED
@given(
    worlds=st.lists(everybody(), min_size=1, max_size=6),
    needs=st.lists(st.floats(0, 1000), min_size=6, max_size=6),
)
def test_changes_say_what_changed(worlds: list[list[Candidate]], needs: list[float]) -> None:
    members, told = pool(), set[str]()
    for now, (ranked, need) in enumerate(zip(worlds, needs, strict=False)):
        changes = members.update(ranked, need, DEADLINE, now * 2.0)
        assert not told & set(changes.joined)
        assert set(changes.left) <= told
        told = (told | set(changes.joined)) - set(changes.left)
        assert told == {each.id for each in members.members}
        # The candidates of now, not those of the last world.
        assert all(any(each is one for one in ranked) for each in members.members)


def test_the_best_in_rank_join_first_and_of_equals_the_fastest() -> None:
    ranked = [
        peer("poor", 40, 20),
        peer("slow", 10, 51),
        peer("fast", 30, 50),
        peer("good", 10, 90),
    ]
    members = pool()
    assert members.update(ranked, 20.0, DEADLINE, 0.0) == Changes(("good", "fast"))
    assert members.update(ranked, 30.0, DEADLINE, 1.0) == Changes(("slow",))


def test_the_members_are_the_same_object_until_somebody_comes_or_goes() -> None:
    ranked = [peer(f"peer{n}") for n in range(6)]
    members = pool()
    members.update(ranked, 10.0, DEADLINE, 0.0)
    before = members.members
    ranked.reverse()
    members.update(ranked, 11.0, DEADLINE, 1.0)
    assert members.members is before
    members.update(ranked, 30.0, DEADLINE, 2.0)
    assert members.members is not before


def test_one_that_became_another_object_is_taken_over() -> None:
    ranked = [peer("ada"), peer("bob")]
    members = pool()
    members.update(ranked, 10.0, DEADLINE, 0.0)
    ranked[0] = replace(ranked[0])
    assert members.update(ranked, 10.0, DEADLINE, 1.0) == Changes()
    assert any(each is ranked[0] for each in members.members)


def test_who_is_no_longer_ranked_leaves_at_once() -> None:
    ranked = [peer("ada"), peer("bob"), peer("cleo")]
    members = pool()
    members.update(ranked[:2], 10.0, DEADLINE, 0.0)
    assert members.update(ranked[1:], 10.0, DEADLINE, 0.1) == Changes(("cleo",), ("ada",))


def test_who_cannot_make_the_deadline_leaves_at_once_and_is_not_asked_back_soon() -> None:
    ada, *_ = ranked = [peer("ada", score=90), peer("bob"), peer("cleo")]
    members = pool()
    members.update(ranked, 1.0, DEADLINE, 0.0)
    assert names(members) == ["ada", "bob"]
    ada.rtt = 0.2
    assert members.update(ranked, 1.0, DEADLINE, 1.0) == Changes(("cleo",), ("ada",))
    ada.rtt = 0.02
    for now in (1.5, 2.5, 0.9 + STAY):
        assert members.update(ranked, 1.0, DEADLINE, now) == Changes()
    assert members.update(ranked, 1.0, DEADLINE, 1.0 + STAY) == Changes(("ada",), ("bob",))


def test_where_nobody_else_is_there_it_is_asked_back_at_once() -> None:
    ada = peer("ada")
    members = pool()
    members.update([ada], 1.0, DEADLINE, 0.0)
    ada.rtt = 0.2
    assert members.update([ada], 1.0, DEADLINE, 1.0) == Changes((), ("ada",))
    ada.rtt = 0.02
    assert members.update([ada], 1.0, DEADLINE, 1.1) == Changes(("ada",))


def test_who_is_out_of_reach_is_tried_now_and_then_where_there_is_no_other_way() -> None:
    """Nothing is known of it but what was: it may only have been cold."""
    members = pool()
    ada = peer("ada")
    members.update([ada], 1.0, DEADLINE, 0.0, is_only_way=True)
    cold = replace(ada, rtt=DEADLINE)
    for now in (0.5, 1.0, 0.4 + STAY):
        members.update([cold], 1.0, DEADLINE, now, is_only_way=True)
        assert names(members) == []
    members.update([cold], 1.0, DEADLINE, 0.6 + STAY)
    assert names(members) == [], "a queue for all brings the news"
    members.update([cold], 1.0, DEADLINE, 0.6 + STAY, is_only_way=True)
    assert names(members) == ["ada"]
    ends = 0.6 + STAY + TRY
    members.update([cold], 1.0, DEADLINE, ends - 0.1, is_only_way=True)
    assert names(members) == ["ada"]
    members.update([cold], 1.0, DEADLINE, ends, is_only_way=True)
    assert names(members) == [], "it was far indeed"
    members.update([cold], 1.0, DEADLINE, ends + STAY, is_only_way=True)
    members.update([ada], 1.0, DEADLINE, ends + STAY + TRY, is_only_way=True)
    assert names(members) == ["ada"], "it has shown that it is near"


def test_who_is_out_of_reach_takes_nobodys_place() -> None:
    members = pool()
    far = [peer(f"far{number}", rtt=DEADLINE) for number in range(4)]
    members.update([peer("ada"), *far], 1.0, DEADLINE, 0.0, is_only_way=True)
    assert names(members) == ["ada", "far0"], "as few as there may be"
    members.update([peer("ada"), peer("bob"), *far], 1.0, DEADLINE, TRY, is_only_way=True)
    assert names(members) == ["ada", "bob"]


def test_who_is_not_needed_leaves_after_a_while() -> None:
    ranked = [peer(f"peer{n}", score=50.0 + 10 * n) for n in range(6)]
    members = pool()
    members.update(ranked, 40.0, DEADLINE, 0.0)
    assert len(members.members) == 6
    assert members.update(ranked, 10.0, DEADLINE, 10.0) == Changes()
    assert members.update(ranked, 10.0, DEADLINE, 9.9 + STAY) == Changes()
    left = members.update(ranked, 10.0, DEADLINE, 10.0 + STAY).left
    assert left == ("peer0", "peer1", "peer2", "peer3")


def test_a_lull_that_ends_sends_nobody_away() -> None:
    ranked = [peer(f"peer{n}") for n in range(6)]
    members = pool()
    members.update(ranked, 40.0, DEADLINE, 0.0)
    for begin in (10.0, 20.0, 30.0):
        assert members.update(ranked, 10.0, DEADLINE, begin) == Changes()
        assert members.update(ranked, 10.0, DEADLINE, begin + STAY * 0.9) == Changes()
        assert members.update(ranked, 40.0, DEADLINE, begin + STAY * 0.95) == Changes()


@pytest.mark.parametrize(("more", "leaves"), [(BETTER - 1, ()), (BETTER, ("ada",))])
def test_who_falls_in_rank_leaves_for_one_who_is_much_better(
    more: float, leaves: tuple[str, ...]
) -> None:
    ada, _, cleo = ranked = [peer("ada"), peer("bob"), peer("cleo", score=40.0)]
    members = pool()
    members.update(ranked, 1.0, DEADLINE, 0.0)
    assert names(members) == ["ada", "bob"]
    ada.score = cleo.score - more
    assert members.update(ranked, 1.0, DEADLINE, STAY - 0.1) == Changes()
    assert members.update(ranked, 1.0, DEADLINE, STAY).left == leaves


def test_rank_costs_no_capacity_that_is_needed() -> None:
    ranked = [peer("ada", 30.0, 20.0), peer("bob", 30.0)]
    members = pool(most=2)
    members.update(ranked, 40.0, DEADLINE, 0.0)
    ranked.append(peer("cleo", 10.0, 100.0))
    assert run(members, ranked, 40.0, 1.0, 10) == [Changes()] * 10


def test_what_other_sessions_have_there_counts_for_less() -> None:
    ranked = [peer("shared", 30.0, others=3), peer("free", 10.0), peer("too", 10.0)]
    members = pool()
    members.update(ranked, 10.0, DEADLINE, 0.0)
    assert names(members) == ["free", "too"]


def test_the_deadline_is_for_a_chunk_of_its_size() -> None:
    slow = [
        peer("slow", speed=10.0, seconds_per_megapixel_p95=0.3)
    ]  # a round trip of 20 ms, 300 ms a megapixel
    small, large = SessionPool(0.25), SessionPool(0.30)
    small.update(slow, 1.0, DEADLINE, 0.0)
    large.update(slow, 1.0, DEADLINE, 0.0)
    assert (names(small), names(large)) == (["slow"], [])
