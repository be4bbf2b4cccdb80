"""Flashes, and the sound that goes with them."""

from __future__ import annotations

import numpy as np

from p2c2g.media.frame import Size
from p2c2g.media.sound import PACKET_SECONDS, RATE
from p2c2g_capture.sound.beeps import BEEP_SECONDS, Beeps
from p2c2g_capture.sources.flashing import INTERVAL, FlashingPattern
from tests.sounds import onsets, tone_parts


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False


def samples_of(beeps: Beeps, clock: Clock, seconds: float) -> np.ndarray:
    end, blocks = clock.now + seconds, []
    while clock.now < end:
        block = beeps.read()
        assert block is not None
        blocks.append(block)
    starts = [block.captured_at for block in blocks]
    assert np.allclose(np.diff(starts), PACKET_SECONDS)
    return np.concatenate([block.samples[:, 0] for block in blocks]) / 32768


def test_a_beep_begins_when_it_was_asked_for():
    clock = Clock()
    beeps = Beeps(clock, clock.wait)
    begin = clock.now
    beeps.beep(begin + 0.2034)
    heard = samples_of(beeps, clock, 0.6)
    (onset,) = onsets(heard)
    assert abs(onset - 0.2034) < 0.001
    assert abs(np.count_nonzero(heard) / RATE - BEEP_SECONDS) < 0.005
    assert tone_parts(heard)[21:30].min() > 0.98


def test_after_a_sleep_of_the_machine_it_goes_on_from_now():
    clock = Clock()
    beeps = Beeps(clock, clock.wait)
    beeps.read()
    clock.now += 30
    block = beeps.read()
    assert block is not None
    assert clock.now - block.captured_at < 0.1


def test_a_closed_one_gives_nothing():
    beeps = Beeps()
    beeps.close()
    assert beeps.read() is None


def test_each_flash_has_a_beep_at_its_own_time():
    clock = Clock()
    source = FlashingPattern(Size(320, 180), 30.0, clock)
    asked: list[float] = []
    source.sound.beep = asked.append  # type: ignore[method-assign]
    flashes = []
    was_white = False
    for number in range(120):
        pixels = source.grab(number)
        is_white = bool((pixels == 255).all())
        if is_white and not was_white:
            flashes.append(clock.now)
        was_white = is_white
        clock.now += 1 / 30
    assert flashes == asked
    assert len(flashes) == 3
    assert np.allclose(np.diff(flashes), INTERVAL, atol=0.05)
