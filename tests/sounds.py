"""What the tests of sound share: how a tone is found in samples."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from p2c2g.media.sound import PACKET_SAMPLES, RATE
from p2c2g_capture.sound import Block
from p2c2g_capture.sound.beeps import TONE

Track = npt.NDArray[np.float64]


def tone_parts(samples: Track, seconds: float = 0.01) -> Track:
    """Return how much of each ten milliseconds is the beeps' tone, of one channel: 0 to 1."""
    length = round(RATE * seconds)
    whole = samples[: len(samples) // length * length].reshape(-1, length)
    wave = np.exp(-2j * np.pi * TONE * np.arange(length) / RATE)
    power = (whole**2).mean(axis=1)
    tone = 2 * np.abs((whole * wave).mean(axis=1)) ** 2
    return np.where(power > 1e-6, tone / np.maximum(power, 1e-9), 0.0)


def onsets(samples: Track, level: float = 0.05) -> list[float]:
    """Return when sounds begin, in seconds: louder than ``level`` after 50 ms that were not."""
    loud = np.flatnonzero(np.abs(samples) > level)
    if not len(loud):
        return []
    first = np.insert(np.diff(loud) > RATE // 20, 0, True)
    return [float(at) / RATE for at in loud[first]]


def heard_in(path: Path) -> tuple[float, Track]:
    """Return when the sound of a file begins, in seconds, and its left channel.

    Where a machine stood still the file has a gap, which is silence here.
    """
    with av.open(str(path)) as file:
        frames = list(file.decode(audio=0))
    begin = float(frames[0].time)
    parts: list[Track] = []
    length = 0
    for frame in frames:
        gap = round((float(frame.time) - begin) * RATE) - length
        for part in (np.zeros(gap if gap > RATE // 50 else 0), frame.to_ndarray()[0]):
            parts.append(part.astype(np.float64))
            length += len(part)
    return begin, np.concatenate(parts)


def flashes_in(path: Path) -> list[float]:
    """Return when each white picture of a file is shown, in seconds."""
    with av.open(str(path)) as file:
        return [
            float(frame.time)
            for frame in file.decode(video=0)
            if frame.to_ndarray(format="gray").min() > 200
        ]


def tone_block(at: float, number: int) -> Block:
    """Return a block of the tone, at a time of the clock."""
    times = (number * PACKET_SAMPLES + np.arange(PACKET_SAMPLES)) / RATE
    wave = (np.sin(2 * np.pi * TONE * times) * 12_000).astype(np.int16)
    return Block(np.stack([wave, wave], axis=1), at)
