"""Canaries: chunks with known answers, bounded, each for frames of its own recipe."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from p2c2g.verify.canaries import Canaries
from tests.recipes import USUAL

LESSER = replace(USUAL, quality=70)


def test_a_canary_is_picked_for_its_own_recipe_alone() -> None:
    canaries, rng = Canaries(), random.Random(1)
    assert canaries.pick(USUAL, rng) is None
    canaries.learn(USUAL, 3, b"sent", b"answer")
    picked = canaries.pick(USUAL, rng)
    assert picked is not None
    assert (picked.chunk, picked.payload, picked.answer) == (3, b"sent", b"answer")
    assert picked.recipe == USUAL
    assert canaries.pick(LESSER, rng) is None
    canaries.learn(LESSER, 3, b"sent", b"other")
    assert len(canaries) == 2
    for recipe, answer in ((USUAL, b"answer"), (LESSER, b"other")):
        drawn = {each.answer for _ in range(20) if (each := canaries.pick(recipe, rng))}
        assert drawn == {answer}


def test_canaries_of_one_chunk() -> None:
    canaries, rng = Canaries(), random.Random(1)
    for chunk in range(4):
        canaries.learn(USUAL, chunk, b"sent", b"answer")
    assert {canaries.pick(USUAL, rng, chunk=2) for _ in range(20)} == {canaries.pick(USUAL, rng, 2)}
    assert canaries.pick(USUAL, rng, chunk=9) is None


def test_the_oldest_canary_goes_first() -> None:
    canaries, rng = Canaries(capacity=2), random.Random(1)
    for number in range(3):
        canaries.learn(USUAL, number, b"sent", b"answer")
    drawn = {canary.chunk for _ in range(50) if (canary := canaries.pick(USUAL, rng))}
    assert drawn == {1, 2}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60)), max_size=60))
def test_canaries_are_bounded_in_number_and_bytes(learnt: list[tuple[int, int]]) -> None:
    canaries = Canaries(capacity=4, most_bytes=100)
    for chunk, size in learnt:
        canaries.learn(USUAL, chunk, bytes(size), bytes(size))
        held = list(canaries._held.values())
        assert len(held) == len(canaries) <= 4
        assert sum(len(each.payload) + len(each.answer) for each in held) <= 100
