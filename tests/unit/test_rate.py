"""The rate: lowered by a machine that loses frames, and back when it has time again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2c2g.session.frames import TOLERANCE
from p2c2g.session.rate import LEAST, PATIENCE, PATIENCE_MOST, Rate

FPS = 30.0


class Play:
    """Frames of one machine, whose ticks and lateness are as told."""

    def __init__(self, fps: float = FPS) -> None:
        self.rate = Rate(fps)
        self.fps = fps
        self.number = 0
        self.now = 0.0

    def play(
        self, seconds: float, *, missed: float = 0.0, late: float = 0.0, spent: float = 0.002,
        shown_in: float = 0.0,
    ) -> None:  # fmt: skip
        """Play on, with shares of frames before which a tick was missed, and that were late."""
        until, missing, being_late = self.now + seconds, 0.0, 0.0
        while self.now < until:
            missing, being_late = missing + missed, being_late + late
            self.number += self.rate.every + (missing >= 1)
            self.now = self.number / self.fps
            self.rate.captured(self.number, spent, self.now)
            self.rate.showed(shown_in)
            self.rate.let_go(2 * TOLERANCE if being_late >= 1 else 0.0)
            missing, being_late = missing % 1, being_late % 1


def test_a_quick_machine_takes_every_tick() -> None:
    play = Play()
    play.play(60.0)
    assert (play.rate.every, play.rate.is_busy, play.rate.sentence()) == (1, False, "")


def test_a_machine_that_misses_ticks_takes_fewer_and_says_so() -> None:
    play = Play()
    play.play(3.5, missed=0.4)
    assert play.rate.every == 2
    assert play.rate.sentence() == (
        "This machine is too busy: it takes 15 pictures a second instead of 30"
    )


def test_a_stall_or_two_are_no_habit() -> None:
    play = Play()
    for _ in range(20):
        play.play(1.5)
        play.number += 60
        play.now += 2.0
    assert play.rate.every == 1


def test_frames_that_are_passed_over_count_too() -> None:
    play = Play()
    for _ in range(70):
        play.rate.passed_over()
        play.play(1 / FPS)
    assert play.rate.every > 1


def test_frames_that_are_late_alone_are_told_and_no_reason_for_fewer() -> None:
    play = Play()
    play.play(10.0, late=0.3)
    assert play.rate.every == 1
    assert play.rate.sentence() == "This machine is too busy: pictures come late"
    play.play(PATIENCE + 3.0)
    assert play.rate.sentence() == ""


def test_it_comes_back_step_by_step_where_there_is_room() -> None:
    play = Play()
    play.play(10.0, missed=0.9)
    assert play.rate.every == FPS // LEAST
    play.play(PATIENCE + 2.0)
    assert play.rate.every == 2
    play.play(2 * PATIENCE + 4.0)
    assert play.rate.every == 1
    assert play.rate.sentence() == ""


def test_it_stays_while_a_frame_takes_longer_than_there_would_be() -> None:
    for slow in ({"spent": 0.04}, {"shown_in": 0.04}):
        play = Play()
        play.play(3.5, missed=0.4)
        play.play(60.0, **slow)
        assert play.rate.every == 2


def test_a_machine_that_is_only_just_too_slow_does_not_go_to_and_fro() -> None:
    play = Play()
    changes, before = 0, 1
    while play.now < 600.0:
        play.play(1 / FPS, missed=1.0 if play.rate.every == 1 else 0.0)
        changes += play.rate.every != before
        before = play.rate.every
    assert changes <= 2 * (600 / PATIENCE_MOST + 6)


@given(
    st.floats(1, 240),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.3)), max_size=20),
)
def test_it_never_goes_below_what_can_be_watched(
    fps: float, moods: list[tuple[float, float, float]]
) -> None:
    play = Play(fps)
    for missed, late, spent in moods:
        play.play(2.0, missed=missed, late=late, spent=spent)
        assert play.rate.every >= 1
        assert play.rate.every == 1 or fps / play.rate.every >= LEAST
        assert play.rate.every == 1 or play.rate.is_busy
