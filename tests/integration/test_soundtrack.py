"""Recordings with sound: read back with PyAV, pictures and sound beside each other."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from p2c2g.display.hub import Hub
from p2c2g.display.recorder import FORMATS, Recorder
from p2c2g.media.frame import Size
from p2c2g.media.picture import FrameState
from p2c2g.media.sound import CHANNELS, PACKET_SAMPLES, PACKET_SECONDS, SoundPacket
from p2c2g_capture.sound import Block
from p2c2g_capture.sound.encoder import OpusEncoder
from tests.pictures import shown_picture
from tests.sounds import flashes_in, heard_in, onsets, tone_block

SIZE = Size(160, 90)
SILENCE = np.zeros((PACKET_SAMPLES, CHANNELS), np.int16)


def record(path: Path, gap: range = range(0), late: float = 0.0) -> None:
    """Record three seconds: white pictures and the tone from 1.0 to 1.2 s, both captured then.

    The sound begins so many seconds after the pictures.
    """
    pictures, sounds, encoder = Hub(), Hub[SoundPacket](), OpusEncoder()
    with Recorder(path, 30, SIZE) as recorder:
        recorder.start(pictures, sounds)
        for number in range(150):
            at = number * PACKET_SECONDS
            captured = 50 + at + late
            is_loud = 1.0 <= at + late < 1.2
            block = tone_block(captured, number) if is_loud else Block(SILENCE, captured)
            packet = encoder.encode(block)
            if number not in gap:
                sounds.publish(packet)
            if number % 10 == 0:
                level = 255 if 1.0 <= at < 1.2 else 16
                pixels = np.full((SIZE.height, SIZE.width, 3), level, np.uint8)
                # Some were long on their way.
                ready = 50 + at + (0.02 if number < 75 else 0.09)
                pictures.publish(
                    shown_picture(
                        number, pixels, FrameState.COMPLETE, captured_at=50 + at, ready_at=ready
                    )
                )
    assert recorder.dropped == 0


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_flash_and_tone_are_at_the_same_time(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"play{suffix}"
    record(path)
    begin, heard = heard_in(path)
    (tone,) = onsets(heard)
    assert abs(begin + tone - flashes_in(path)[0]) < 0.01
    assert abs(flashes_in(path)[0] - 1.0) < 0.01


@pytest.mark.parametrize("suffix", sorted(FORMATS))
@pytest.mark.parametrize("late", [0.011, 0.5])
def test_sound_that_begins_after_its_picture_is_in_its_place(
    tmp_path: Path, suffix: str, late: float
) -> None:
    path = tmp_path / f"play{suffix}"
    record(path, late=late)
    begin, heard = heard_in(path)
    (tone,) = onsets(heard)
    assert begin < 0.01
    # The tone is in whole packets.
    first = next(at for n in range(150) if (at := n * PACKET_SECONDS + late) >= 1.0)
    assert abs(begin + tone - first) < 0.003


def test_what_was_lost_of_the_sound_moves_nothing_after_it(tmp_path: Path) -> None:
    path = tmp_path / "play.mkv"
    record(path, gap=range(15, 30))
    with av.open(str(path)) as file:
        times = [float(frame.time) for frame in file.decode(audio=0)]
    assert max(np.diff(times)) == pytest.approx(0.32, abs=0.011)
    with av.open(str(path)) as file:
        loud = [
            float(frame.time)
            for frame in file.decode(audio=0)
            if np.abs(frame.to_ndarray()).max() > 0.05
        ]
    assert loud[0] == pytest.approx(1.0, abs=0.011)


def test_without_sound_the_file_has_pictures_only(tmp_path: Path) -> None:
    path = tmp_path / "play.mp4"
    hub = Hub()
    with Recorder(path, 30, SIZE) as recorder:
        recorder.start(hub)
        pixels = np.zeros((SIZE.height, SIZE.width, 3), np.uint8)
        hub.publish(shown_picture(0, pixels, FrameState.COMPLETE, captured_at=1.0, ready_at=1.1))
    with av.open(str(path)) as file:
        assert [stream.type for stream in file.streams] == ["video"]
