"""Canaries: chunks with known answers, bounded and of the present settings."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from p2c2g.verify.canaries import Canaries


def test_canaries_are_of_the_present_settings() -> None:
    canaries, rng = Canaries(), random.Random(1)
    assert canaries.pick("jpeg 85", rng) is None
    canaries.learn("jpeg 85", 3, b"sent", b"answer")
    picked = canaries.pick("jpeg 85", rng)
    assert picked is not None
    assert (picked.chunk, picked.payload, picked.answer) == (3, b"sent", b"answer")
    assert canaries.pick("jpeg 70", rng) is None
    canaries.learn("jpeg 70", 1, b"other", b"answer")
    assert len(canaries) == 1
    assert canaries.pick("jpeg 85", rng) is None


def test_canaries_of_one_chunk() -> None:
    canaries, rng = Canaries(), random.Random(1)
    for chunk in range(4):
        canaries.learn("s", chunk, b"sent", b"answer")
    assert {canaries.pick("s", rng, chunk=2) for _ in range(20)} == {canaries.pick("s", rng, 2)}
    assert canaries.pick("s", rng, chunk=9) is None


def test_the_oldest_canary_goes_first() -> None:
    canaries, rng = Canaries(capacity=2), random.Random(1)
    for number in range(3):
        canaries.learn("s", number, b"sent", b"answer")
    drawn = {canary.chunk for _ in range(50) if (canary := canaries.pick("s", rng))}
    assert drawn == {1, 2}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60)), max_size=60))
def test_canaries_are_bounded_in_number_and_bytes(learnt: list[tuple[int, int]]) -> None:
    canaries = Canaries(capacity=4, most_bytes=100)
    for chunk, size in learnt:
        canaries.learn("s", chunk, bytes(size), bytes(size))
        held = list(canaries._held.values())
        assert len(held) == len(canaries) <= 4
        assert sum(len(each.payload) + len(each.answer) for each in held) <= 100
