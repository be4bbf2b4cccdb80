"""Flicker: changes between enhanced and base, a chunk and second."""

from __future__ import annotations

import pytest

from p2c2g.session.flicker import Flicker

FPS = 30


def played(frames: list[set[int]], count: int = 4) -> Flicker:
    flicker = Flicker()
    for number, enhanced in enumerate(frames):
        flicker.shown(enhanced, range(count), number / FPS)
    return flicker


def test_the_same_chunks_in_every_frame_do_not_flicker() -> None:
    assert played([{1, 2}] * 90).in_all() == 0.0


def test_every_second_frame_flickers_as_fast_as_the_frames() -> None:
    flicker = played([{0, 1, 2, 3}, set()] * 60)
    assert flicker.in_all() == pytest.approx(FPS)
    assert flicker.of_late(119 / FPS, 2.0) == pytest.approx(FPS)


def test_one_chunk_that_comes_and_goes_counts_as_two_changes_of_that_many_chunks() -> None:
    flicker = played([{0, 1}] * 30 + [{0, 1, 2}] * 30 + [{0, 1}] * 31)
    assert flicker.changes == 2
    assert flicker.in_all() == pytest.approx(2 / 4 / 3)
    assert flicker.of_late(90 / FPS, 0.5) == 0.0


def test_of_nothing_there_is_none() -> None:
    assert Flicker().in_all() == Flicker().of_late(1.0, 2.0) == 0.0
