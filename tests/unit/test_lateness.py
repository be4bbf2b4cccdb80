"""Whether chunks are late again and again, or were once."""

from __future__ import annotations

import pytest

from p2c2g.session.lateness import Lateness


def played(
    *frames: tuple[int, int], fps: float = 10.0, begin: float = 0.0
) -> tuple[Lateness, float]:
    """Have frames shown of which each waited for some chunks and lacked some; return when it is."""
    lateness, now = Lateness(), begin
    for awaited, missing in frames:
        now += 1 / fps
        lateness.shown(awaited, missing, now)
    return lateness, now


def test_one_frame_that_lacks_something_is_no_habit() -> None:
    lateness, now = played(*[(8, 0)] * 30, (8, 8), *[(8, 0)] * 9)
    assert lateness.share(now) == 0


def test_half_of_a_second_is_one_and_so_is_a_little_again_and_again() -> None:
    lateness, now = played(*[(8, 0)] * 30, *[(8, 4), (8, 0)] * 5)
    assert lateness.share(now) == pytest.approx(0.25, abs=0.03)
    lateness, now = played(*([(8, 0)] * 8 + [(8, 8)] * 2) * 4)
    assert lateness.share(now) == pytest.approx(0.2, abs=0.03)


def test_where_nothing_is_ever_in_time_it_is_late() -> None:
    lateness, now = played(*[(8, 8)] * 30)
    assert lateness.share(now) == 1


def test_what_is_forgotten_says_nothing() -> None:
    lateness, now = played(*[(8, 8)] * 30)
    lateness.forget()
    assert lateness.share(now) == 0
