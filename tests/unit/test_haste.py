"""Bytes are given up for time's sake, where that gains any, and come back when there is time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2c2g.session.haste import MOST, PATIENCE, PROOF, SETTLES, Haste

DEADLINE, FPS = 0.1, 30.0


class Played:
    """Frames one after another, of which each took so many seconds."""

    def __init__(self) -> None:
        self.haste, self.now = Haste(DEADLINE), 0.0

    def play(self, seconds: float, *took: float) -> list[int]:
        """Return the rungs that were given up after each frame; what they took goes round."""
        rungs = []
        for number in range(round(seconds * FPS)):
            self.now += 1 / FPS
            self.haste.took(took[number % len(took)], self.now)
            rungs.append(self.haste.rungs)
        return rungs


def test_where_frames_have_the_time_nothing_is_given_up() -> None:
    played = Played()
    assert set(played.play(60.0, 0.05, 0.058)) == {0}


def test_one_slow_frame_now_and_then_costs_nothing() -> None:
    played = Played()
    assert set(played.play(60.0, *[0.05] * 29, 0.09)) == {0}


def test_where_frames_take_long_one_rung_goes_after_the_other() -> None:
    played = Played()
    rungs = played.play(3 * SETTLES, 0.08)
    assert rungs[-1] == MOST
    assert rungs.index(2) - rungs.index(1) >= SETTLES * FPS - 1


def test_frames_that_were_never_complete_are_slow() -> None:
    assert Played().play(3 * SETTLES, float("inf"))[-1] == MOST


def test_what_was_given_up_comes_back_when_all_frames_have_had_the_time_for_a_while() -> None:
    played = Played()
    played.play(3.0, 0.08)
    assert set(played.play(PATIENCE - 1.5, 0.05)) == {MOST}
    assert played.play(2 * PATIENCE + 3.0, 0.05)[-1] == 0


def test_neither_fast_nor_slow_changes_nothing() -> None:
    played = Played()
    played.play(3.0, 0.08)
    assert set(played.play(60.0, 0.07)) == {MOST}


def test_what_came_back_too_soon_waits_for_longer_the_next_time() -> None:
    played = Played()
    played.play(3.0, 0.08)
    first = played.play(PATIENCE + 3.0, 0.05).index(MOST - 1)
    played.play(PROOF - 4.0, 0.08)
    assert played.haste.rungs == MOST
    again = played.play(2 * PATIENCE + 3.0, 0.05).index(MOST - 1)
    assert again >= 1.5 * first


def test_a_line_is_relieved_only_where_bytes_take_time_on_it() -> None:
    played = Played()
    played.play(3.0, 0.08)
    assert played.haste.saves(20_000, 5e6 / 8) == MOST, "32 ms"
    assert played.haste.saves(20_000, 1e9 / 8) == 0, "0.2 ms"
    assert played.haste.saves(20_000, None) == 1, "nobody knows"


def test_what_is_forgotten_says_nothing() -> None:
    played = Played()
    played.play(0.9, 0.05)
    played.play(0.2, 0.08)
    played.haste.forget()
    before = played.haste.rungs
    played.play(0.2, 0.08)
    assert played.haste.rungs == before, "too few frames"


@given(st.lists(st.sampled_from([0.03, 0.065, 0.09, float("inf")]), min_size=1, max_size=400))
def test_whatever_frames_take_it_stays_within_bounds_and_goes_by_single_steps(
    took: list[float],
) -> None:
    played, before = Played(), 0
    for each in took:
        [rungs] = played.play(1 / FPS, each)
        assert 0 <= rungs <= MOST
        assert abs(rungs - before) <= 1
        before = rungs
