"""The residuals that are there already: which is shown, when it is asked for anew, what is kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.media.operations import Pipeline
from p2c2g.media.recipe import Recipe
from p2c2g.session.changes import Nearness, Seen
from p2c2g.session.frames import Basis, Part
from p2c2g.session.known import (
    BETTER_AFTER,
    BETTER_MOST,
    FAINT_AFTER,
    MOST,
    SMALL_AFTER,
    Found,
    Known,
    worth,
)  # fmt: skip
from tests.recipes import USUAL

LESSER = replace(USUAL, quality=50, rank=2)
WEIGHTS = "0123456789abcdef" * 2
OWN = replace(USUAL, operations=Pipeline.parse(f"upscale:2:ml@{WEIGHTS}"))
OPEN = replace(USUAL, operations=Pipeline.parse("upscale:2:ml"))


def part(
    payload: bytes = b"told", recipe: Recipe = USUAL, peer: str = "ada", ran: str = ""
) -> Part[str]:
    return Part(payload, "residual", recipe, peer, ran, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def find(
    known: Known[str], key: bytes, now: float = 0.0, number: int = 9, recipe: Recipe | None = USUAL,
    **near: Any,
) -> Found[str] | None:  # fmt: skip
    return known.find(0, Seen(key, **near), number, now, recipe)


def test_what_was_made_for_the_same_is_shown_again_and_not_asked_for() -> None:
    known: Known[str] = Known(2)
    assert find(known, b"a") is None
    known.learn(0, b"a", part(), 0, 0.0)
    assert known.keys() == (b"a", None)
    assert find(known, b"a", 100.0) == Found(part(), Basis.UNCHANGED, again=False)
    assert find(known, b"b") is None
    assert known.find(1, Seen(b"a"), 9, 0.0, USUAL) is None, "each chunk has its own"


def test_what_was_seen_before_comes_from_the_cache_without_what_it_was_decoded_to() -> None:
    known: Known[str] = Known(1)
    known.learn(0, b"a", part(b"of a"), 0, 0.0)
    known.learn(0, b"b", part(b"of b"), 1, 0.1)
    found = find(known, b"a", number=2)
    assert found == Found(replace(part(b"of a"), residual=None), Basis.CACHED, again=False)
    revived = known.revive(0, found.part, "decoded")
    assert revived.residual == "decoded"
    found = find(known, b"a", number=3)
    assert found == Found(revived, Basis.UNCHANGED, again=False), "once is enough"
    assert find(known, b"b", number=4) is not None
    assert known.keys() == (b"b",)


@pytest.mark.parametrize(
    ("how", "after"), [(Nearness.FAINT, FAINT_AFTER), (Nearness.SMALL, SMALL_AFTER)]
)
def test_nearly_the_same_is_asked_for_anew_after_a_while(how: Nearness, after: float) -> None:
    known: Known[str] = Known(1)
    known.learn(0, b"a", part(), 0, 0.0)
    again = [
        found.again
        for step in range(8)
        if (found := find(known, b"%d" % step, step * after / 4, near=b"a", how=how))
    ]
    assert again == [False, False, False, False, True, False, False, False]
    assert find(known, b"x", near=b"other", how=how) is None, "what it is near to is gone"


def test_what_comes_for_nearly_the_same_takes_its_place() -> None:
    known: Known[str] = Known(1)
    known.learn(0, b"a", part(b"of a"), 0, 0.0)
    assert known.learn(0, b"b", part(b"of b"), 5, 0.1)
    assert known.keys() == (b"b",)
    known.learn(0, b"c", part(b"of c"), 3, 0.2)  # an earlier frame's
    assert known.keys() == (b"b",)
    found = find(known, b"c")
    assert found is not None
    assert found.basis is Basis.CACHED


def test_a_lesser_one_is_asked_for_anew_until_the_better_one_comes() -> None:
    known: Known[str] = Known(1)
    known.learn(0, b"a", part(b"lesser", LESSER), 0, 0.0)
    assert find(known, b"a", 1.0, recipe=LESSER) == Found(
        part(b"lesser", LESSER), Basis.UNCHANGED, again=False
    )
    asked = [
        now / 10 for now in range(100) if (found := find(known, b"a", now / 10)) and found.again
    ]
    assert asked[0] == BETTER_AFTER
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps == pytest.approx([0.5, 1.0, 2.0, 4.0])
    assert find(known, b"a", 1e6, recipe=None) == Found(
        part(b"lesser", LESSER), Basis.UNCHANGED, again=False
    ), "not where it may not be"
    assert known.learn(0, b"a", part(b"better"), 70, 7.0)
    assert find(known, b"a", 1e6) == Found(part(b"better"), Basis.UNCHANGED, again=False)


def test_the_pauses_before_a_better_one_is_asked_for_have_an_end() -> None:
    known: Known[str] = Known(1)
    known.learn(0, b"a", part(b"lesser", LESSER), 0, 0.0)
    asked = [now for now in range(1000) if (found := find(known, b"a", now)) and found.again]
    assert asked[-1] - asked[-2] == BETTER_MOST


def test_what_is_no_better_changes_nothing_so_that_a_still_picture_does_not_shimmer() -> None:
    known: Known[str] = Known(1)
    assert known.learn(0, b"a", part(b"first"), 0, 0.0)
    assert not known.is_wanted(0, b"a", USUAL, "")
    for recipe in (USUAL, LESSER):
        assert not known.learn(0, b"a", part(b"second", recipe), 1, 0.1)
    found = find(known, b"a")
    assert found is not None
    assert found.part.payload == b"first"


def test_of_a_choice_the_larger_net_is_better() -> None:
    ran = ["", "upscale:2:ml-large", "upscale:2:ml-small", "upscale:2:ml-tiny", "upscale:2:base"]
    assert [worth(OPEN, each) for each in ran] == [(0, 0), (0, 0), (0, 0), (0, 1), (0, 2)]
    assert worth(OPEN, "upscale:2:ml-small") < worth(OWN, "upscale:2:ml-small"), "its own is better"
    assert worth(OWN, f"upscale:2:ml-tiny@{WEIGHTS}") == (0, 0)
    assert worth(LESSER, "") > worth(OPEN, "upscale:2:base"), "the recipe goes first"
    known: Known[str] = Known(1)
    known.learn(0, b"a", part(b"tiny", OPEN, ran="upscale:2:ml-tiny"), 0, 0.0)
    found = find(known, b"a", BETTER_AFTER, recipe=OPEN)
    assert found is not None
    assert found.again, "with little to do it may choose a larger one"
    assert known.is_wanted(0, b"a", OPEN, "upscale:2:ml-small")
    assert not known.is_wanted(0, b"a", OPEN, "upscale:2:ml-tiny")


def test_who_is_found_to_lie_is_shown_no_longer() -> None:
    known: Known[str] = Known(2)
    for index, key, peer in ((0, b"a", "liar"), (0, b"b", "ada"), (1, b"c", "liar")):
        known.learn(index, key, part(peer=peer), len(key), 0.0)
    known.forget("liar")
    assert known.keys() == (None, None) or known.keys() == (b"b", None)
    assert find(known, b"a") is None
    assert find(known, b"b") is not None
    assert known.find(1, Seen(b"c"), 9, 0.0, USUAL) is None
    assert (len(known), known.bytes) == (1, 4)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 60)), max_size=60))
def test_the_cache_is_bounded_and_drops_what_was_used_least_lately(
    learnt: list[tuple[int, int, int]],
) -> None:
    known: Known[str] = Known(3, most_bytes=100)
    for number, (index, key, size) in enumerate(learnt):
        known.learn(index, b"%d" % key, part(bytes(size)), number, 0.0)
        held = list(known._cached.values())
        assert sum(len(each.part.payload) for each in held) == known.bytes <= 100
        assert len(known) <= MOST
        assert all(each.part.residual is None for each in held), "payloads alone are small"


def test_of_two_the_one_that_was_used_stays() -> None:
    known: Known[str] = Known(1, most_bytes=8)
    known.learn(0, b"a", part(), 0, 0.0)
    known.learn(0, b"b", part(), 1, 0.0)
    assert find(known, b"a", number=2) is not None
    known.learn(0, b"c", part(), 3, 0.0)
    assert find(known, b"b", number=4) is None
    assert find(known, b"a", number=5) is not None
