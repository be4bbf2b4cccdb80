"""The pacer against a clock that only its own sleeps and a slow world move."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Frame, Pixels, Size
from p2c2g_capture.pacer import Pacer
from p2c2g_capture.sources import Source


class Clock:
    """Seconds that pass only when somebody sleeps or works."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0, "a sleep of nothing is a busy loop"
        self.naps.append(seconds)
        self.now += seconds

    def work(self, seconds: float) -> None:
        self.now += seconds


class Slow(Source):
    """A source whose grab takes as long as it is told."""

    size = Size(2, 2)
    name = "slow"

    def __init__(self, grab: Callable[[int], object] = lambda number: None) -> None:
        self.numbers: list[int] = []
        self._grab = grab

    def grab(self, number: int) -> Pixels:
        self.numbers.append(number)
        self._grab(number)
        return np.full((2, 2, 3), number % 256, np.uint8)

    def close(self) -> None:
        pass


def pacer(clock: Clock, source: Source, fps: float, seconds: float | None = None) -> Pacer:
    return Pacer(source, fps, seconds, clock=clock, sleep=clock.sleep)


def test_an_idle_world_gets_every_tick_on_time() -> None:
    clock = Clock()
    frames = list(pacer(clock, Slow(), fps=50, seconds=1))
    assert [frame.number for frame in frames] == list(range(50))
    for frame in frames:
        assert frame.captured_at == pytest.approx(1000 + frame.number / 50, abs=1e-9)


def test_the_frame_carries_the_sources_pixels_and_both_times() -> None:
    clock = Clock()
    source = Slow(lambda number: clock.work(0.004))
    frames = list(pacer(clock, source, fps=10, seconds=0.3))
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [0, 1, 2]
    assert all(frame.grabbed_at - frame.captured_at == pytest.approx(0.004) for frame in frames)


def test_a_slow_grab_leaves_a_gap_and_no_burst() -> None:
    clock = Clock()
    source = Slow(lambda number: clock.work(0.35 if number == 2 else 0.001))
    frames = list(pacer(clock, source, fps=10, seconds=1))
    assert [frame.number for frame in frames] == [0, 1, 2, 5, 6, 7, 8, 9]
    assert frames[3].captured_at == pytest.approx(1000.55, abs=1e-6)  # at once: 5 was due
    assert frames[4].captured_at == pytest.approx(1000.6, abs=1e-6)  # back on the beat


def test_a_slow_consumer_leaves_a_gap_too() -> None:
    clock = Clock()
    numbers = []
    for frame in pacer(clock, Slow(), fps=10, seconds=1):
        numbers.append(frame.number)
        if frame.number == 3:
            clock.work(0.45)
    assert numbers == [0, 1, 2, 3, 7, 8, 9]


class Drawing(Slow):
    """A source that has another picture at the times that it is told, and knows."""

    def __init__(self, clock: Clock, times: list[float]) -> None:
        super().__init__()
        self._clock, self._times = clock, times

    def wait(self, seconds: float) -> bool:
        until = self._clock.now + seconds
        drawn = next((each for each in self._times if each > self._clock.now - 1e-9), math.inf)
        self._clock.now = max(self._clock.now, min(drawn, until))
        self._times = [each for each in self._times if each > self._clock.now + 1e-9]
        return drawn <= until


def test_a_picture_is_taken_when_it_was_drawn_and_no_tick_is_lost_by_waiting() -> None:
    clock = Clock()
    source = Drawing(clock, [1000.013, 1000.042, 1000.071])
    frames = list(pacer(clock, source, fps=50, seconds=0.1))
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    # Within its tick at the latest: where nothing is drawn, at its end.
    at = [round(frame.captured_at - 1000, 6) for frame in frames]
    assert at == [0.013, 0.04, 0.042, 0.071, 0.1]


def test_a_slow_tick_does_not_wait_for_longer_than_a_stop_may_take() -> None:
    clock = Clock()
    frames = list(pacer(clock, Drawing(clock, []), fps=1, seconds=2))
    assert [round(frame.captured_at - 1000, 6) for frame in frames] == [0.05, 1.05]


def test_who_has_missed_ticks_waits_for_nothing() -> None:
    clock = Clock()
    source = Drawing(clock, [])
    times = []
    for frame in pacer(clock, source, fps=100, seconds=0.1):
        times.append(round(frame.captured_at - 1000, 6))
        clock.work(0.025)
    assert times == [0.01, 0.035, 0.06, 0.085]


def test_due_counts_what_was_grabbed_and_what_was_missed() -> None:
    clock = Clock()
    pace = pacer(clock, Slow(), fps=10, seconds=2)
    assert pace.due == 0
    seen = []
    for frame in pace:
        seen.append(pace.due)
        if frame.number == 3:
            clock.work(0.45)
            seen.append(pace.due)
    assert seen[:6] == [1, 2, 3, 4, 8, 8]
    assert pace.due == 20


def test_due_stands_still_after_the_end() -> None:
    clock = Clock()
    pace = pacer(clock, Slow(), fps=10)
    for frame in pace:
        if frame.number == 4:
            pace.stop()
    clock.work(60)
    assert pace.due == 5


def test_a_tick_missed_at_the_very_end_is_due_but_not_grabbed() -> None:
    clock = Clock()
    source = Slow(lambda number: clock.work(5))
    pace = pacer(clock, source, fps=10, seconds=1)
    assert [frame.number for frame in pace] == [0]
    assert pace.due == 10


def test_a_tick_left_out_at_the_very_end_is_due_too() -> None:
    pace = pacer(Clock(), Slow(), fps=10, seconds=1)
    pace.every = 3
    assert [frame.number for frame in pace] == [0, 3, 6, 9]
    pace.every = 2
    assert [frame.number for frame in pace] == [0, 2, 4, 6, 8]
    assert pace.due == 10


@pytest.mark.parametrize(
    ("fps", "seconds", "count"),
    [(30, 0.1, 3), (60, 10, 600), (60, 0.001, 1), (0.5, 4, 2), (23.976, 1, 24), (10, 0.25, 3)],
)
def test_seconds_end_the_run_after_their_ticks(fps: float, seconds: float, count: int) -> None:
    assert len(list(pacer(Clock(), Slow(), fps, seconds))) == count


def test_stop_before_the_start_gives_nothing() -> None:
    pace = pacer(Clock(), Slow(), 60)
    pace.stop()
    assert list(pace) == []


def test_stop_during_a_long_wait_is_noticed_within_a_nap() -> None:
    clock = Clock()
    pace = Pacer(Slow(), 0.01, clock=clock, sleep=lambda seconds: (clock.sleep(seconds), stop()))

    def stop() -> None:
        if clock.now > 1001:
            pace.stop()

    assert [frame.number for frame in pace] == [0]
    assert clock.now < 1001.2
    assert max(clock.naps) <= 0.05


def test_stop_from_another_thread_ends_a_real_run() -> None:
    first = threading.Event()
    frames: list[Frame] = []
    pace = Pacer(Slow(), 200)

    def consume() -> None:
        for frame in pace:
            frames.append(frame)
            first.set()

    thread = threading.Thread(target=consume)
    thread.start()
    assert first.wait(60)
    pace.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert frames  # The first has a later number where this thread had to wait for a processor.


def test_an_error_of_the_source_ends_the_run() -> None:
    def fail(number: int) -> None:
        if number == 2:
            raise SourceUnavailableError("gone")

    clock = Clock()
    pace = pacer(clock, Slow(fail), 10)
    with pytest.raises(SourceUnavailableError, match="gone"):
        list(pace)
    clock.work(9)
    assert pace.due == 3


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["fps", "seconds"])
def test_numbers_that_cannot_be_are_refused(name: str, value: float) -> None:
    arguments = {"fps": 60.0, "seconds": 1.0} | {name: value}
    with pytest.raises(UsageError, match=f"{name} cannot be .*above 0"):
        Pacer(Slow(), arguments["fps"], arguments["seconds"])


@given(
    fps=st.floats(0.5, 500),
    count=st.integers(1, 60),
    start=st.floats(0, 1e7),
    delays=st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 0.2)), max_size=60),
    oversleep=st.floats(0, 0.01),
)
def test_whatever_the_world_does(
    fps: float,
    count: int,
    start: float,
    delays: list[tuple[float, float]],
    oversleep: float,
) -> None:
    clock = Clock(start)
    grabs, breaks = iter([a for a, _ in delays]), iter([b for _, b in delays])
    source = Slow(lambda number: clock.work(next(grabs, 0.0)))
    pace = Pacer(
        source,
        fps,
        count / fps,
        clock=clock,
        sleep=lambda seconds: clock.sleep(max(seconds, 1e-9) + oversleep),
    )
    last = -1
    ended = start
    for frame in pace:
        assert frame.number > last
        assert frame.number < count
        # Never early, and the newest that was due: the next tick was still to come.
        assert frame.captured_at >= start + frame.number / fps
        assert frame.captured_at < start + (frame.number + 1) / fps
        assert pace.due == min(count, ticks(start, fps, clock.now))
        last = frame.number
        clock.work(next(breaks, 0.0))
        ended = clock.now
    assert source.numbers == sorted(set(source.numbers))
    assert last + 1 <= pace.due <= count
    assert pace.due >= min(count, ticks(start, fps, ended))


def ticks(start: float, fps: float, now: float) -> int:
    """Count the ticks due by now, the slow and plain way."""
    number = 0
    while start + number / fps <= now:
        number += 1
    return number
