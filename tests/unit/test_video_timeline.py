"""When pictures come on, whatever the clock of their file does."""

from __future__ import annotations

import pytest

from p2c2g_capture.sources.video.timeline import Stamps, Timeline

RATE = 25.0


def placed(
    stamps: list[float | None],
    dts: list[float | None] | None = None,
    rate: float = RATE,
    jumps: bool = False,
) -> list[float]:
    """Return when pictures with these stamps come on, in hundredths of a second."""
    timeline = Timeline(rate, jumps)
    pairs = zip(stamps, dts or stamps, strict=True)
    return [round(100 * timeline.place(Stamps(pts, d, None))[0], 3) for pts, d in pairs]


def test_the_first_picture_is_at_zero_whatever_its_stamp() -> None:
    assert placed([7.4, 7.44, 7.48]) == [0, 4, 8]
    assert placed([-0.08, -0.04, 0.0]) == [0, 4, 8]


def test_milliseconds_are_put_back_to_the_rate() -> None:
    at = placed([0, 0.017, 0.033, 0.05, 0.067, 0.083], rate=60)
    assert at == pytest.approx([100 * n / 60 for n in range(6)], abs=1e-3)


def test_an_uneven_rate_is_kept() -> None:
    assert placed([0, 0.013, 0.2, 3.7]) == [0, 1.3, 20, 370]


def test_a_picture_without_a_stamp_follows_the_one_before() -> None:
    assert placed([None, None, None]) == [0, 4, 8]
    assert placed([0, None, 0.08, 0.12]) == [0, 4, 8, 12]
    assert placed([None, 5.0, 5.04]) == [0, 4, 8]


@pytest.mark.parametrize("start", [0.0, 0.96, 3600.0, 95_443.7])
def test_a_clock_that_starts_again_or_jumps_goes_on(start: float) -> None:
    timeline = Timeline(RATE, jumps=True)
    stamps = [1.0, 1.04, 1.08, start, start + 0.04, start + 0.08]
    at = [timeline.place(Stamps(s, s, None))[0] for s in stamps]
    assert at == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.2])
    assert timeline.has_jumped


def test_a_gap_is_a_gap_where_clocks_do_not_jump() -> None:
    timeline = Timeline(RATE, jumps=False)
    at = [timeline.place(Stamps(s, s, None))[0] for s in (0.0, 0.04, 60.0, 60.04)]
    assert at == pytest.approx([0, 0.04, 60, 60.04])
    assert not timeline.has_jumped


def test_slow_pictures_of_a_broadcast_are_no_jumps() -> None:
    assert placed([0, 5, 10, 15], rate=0.2, jumps=True) == [0, 500, 1000, 1500]


def test_pictures_in_the_wrong_order_do_not_move_the_clock() -> None:
    """As in old AVI files: what was decoded later shows that nothing has started again."""
    at = placed([0, 0.12, 0.04, 0.08, 0.16, 0.2], [0, 0.04, 0.08, 0.12, 0.16, 0.2])
    assert at == [0, 12, 12, 12, 16, 20]


def test_the_last_pictures_of_a_part_may_come_out_behind_the_next_ones_first_packets() -> None:
    at = placed([1.0, 1.04, 1.08, 0.0, 0.04], [0.92, 0.96, -0.08, -0.04, 0.0])
    assert at == [0, 4, 8, 12, 16]


@pytest.mark.parametrize(
    ("duration", "expected"), [(None, 0.04), (0.5, 0.5), (0.0, 0.04), (1e6, 0.04), (0.0401, 0.04)]
)
def test_how_long_a_picture_stays(duration: float | None, expected: float) -> None:
    assert Timeline(RATE, False).place(Stamps(3.0, 3.0, duration))[1] == pytest.approx(expected)


def test_a_pass_in_the_middle_keeps_the_clock_of_the_first() -> None:
    timeline = Timeline(RATE, jumps=False)
    timeline.start_at(1.0)
    assert timeline.place(Stamps(11.0, 11.0, None))[0] == pytest.approx(10)
