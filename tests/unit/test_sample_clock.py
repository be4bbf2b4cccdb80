"""When samples were captured, told from the lumps that they come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2c2g_capture.sound.clock import WINDOW, SampleClock

RATE = 48_000


def test_what_comes_late_was_captured_when_it_was_due():
    clock = SampleClock(RATE)
    lates = [0.0, 0.004, 0.03, 0.001, 0.012]
    times = [clock.came(480, 10 + (n + 1) * 0.01 + late) for n, late in enumerate(lates)]
    assert [round(at, 6) for at in times] == [10.0, 10.01, 10.02, 10.03, 10.04]


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=300))
def test_no_sample_is_from_the_future_and_time_never_leaps(lates: list[float]):
    clock, now, last = SampleClock(RATE), 0.0, None
    for number, late in enumerate(lates):
        now = max(now, (number + 1) * 0.01 + late)
        at = clock.came(480, now)
        assert at + 0.01 <= now + 1e-9
        assert abs(at - number * 0.01) <= 0.2 + 1e-9
        if last is not None:
            assert at >= last - 0.2
        last = at


def test_a_card_that_runs_slow_is_followed():
    clock, slow = SampleClock(RATE), 1.0002
    for number in range(3000):
        now = 5 + (number + 1) * 0.01 * slow
        at = clock.came(480, now)
    assert now - 0.01 - at <= WINDOW * 0.0002 + 1e-6


def test_another_stream_begins_at_its_own_time():
    clock = SampleClock(RATE)
    clock.came(480, 1.0)
    clock.begin_anew()
    assert round(clock.came(480, 70.0), 6) == 69.99
