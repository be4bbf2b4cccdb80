"""The recorder: what it wrote is read back with PyAV."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from p2c2g.display import recorder as recorder_module
from p2c2g.display.hub import Hub
from p2c2g.display.recorder import Recorder
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.media.frame import FrameState, Picture, Pixels, Size
from p2c2g_capture.sources.pattern import PatternSource, read_numbers
from tests.pictures import shown_picture

STATES = (FrameState.COMPLETE, FrameState.DEGRADED)


def picture(number: int, pixels: Pixels, ready_at: float) -> Picture:
    state = STATES[number % 2]
    return shown_picture(number, pixels, state, captured_at=ready_at, ready_at=ready_at)


def read(path: Path) -> list[tuple[float, Pixels]]:
    """Return the time in seconds and the pixels of each frame."""
    with av.open(str(path)) as container:
        return [
            (float(frame.time), frame.to_ndarray(format="bgr24"))
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize("size", [Size(640, 360), Size(641, 361)], ids=str)
def test_every_picture_is_in_the_file_with_its_number_and_its_time(tmp_path, size):
    path = tmp_path / "play.mp4"
    hub, source = Hub(), PatternSource(size)
    # Two clocks' worth of unevenness: a gap in the numbers and one in time.
    numbers = [0, 1, 2, 3, 7, 8, 9, 30, 31, 32]
    times = [1000 + 0.0317 * index + (0.5 if index > 6 else 0) for index in range(len(numbers))]
    with Recorder(path, 30, size) as recorder:
        recorder.start(hub)
        for number, ready_at in zip(numbers, times, strict=True):
            hub.publish(picture(number, source.grab(number), ready_at))
    assert recorder.written == len(numbers)
    assert recorder.dropped == 0

    frames = read(path)
    even = Size(size.width + size.width % 2, size.height + size.height % 2)
    assert {Size.of(pixels) for _, pixels in frames} == {even}
    stamps = [read_numbers(pixels[: size.height, : size.width]) for _, pixels in frames]
    assert stamps == [[number] * 16 for number in numbers]
    expected = [ready_at - times[0] for ready_at in times]
    assert [time for time, _ in frames] == pytest.approx(expected, abs=1 / 90_000)


def test_colours_come_back_as_they_went_in(tmp_path):
    size = Size(320, 180)
    pixels = np.empty((180, 320, 3), np.uint8)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 180, 40)]
    for index, colour in enumerate(colours):
        pixels[:, index * 80 : (index + 1) * 80] = colour
    hub = Hub()
    with Recorder(tmp_path / "colours.mp4", 30, size) as recorder:
        recorder.start(hub)
        hub.publish(picture(0, pixels, 5.0))
    ((_, back),) = read(tmp_path / "colours.mp4")
    for index, colour in enumerate(colours):
        assert back[90, index * 80 + 40].tolist() == pytest.approx(colour, abs=8)
    with av.open(str(tmp_path / "colours.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.pix_fmt, context.colorspace, context.color_range) == ("yuv420p", 1, 1)


def test_pictures_ready_at_the_same_moment_keep_their_order(tmp_path):
    size = Size(640, 360)
    hub, source = Hub(), PatternSource(size)
    with Recorder(tmp_path / "same.mp4", 60, size) as recorder:
        recorder.start(hub)
        for number in range(4):
            hub.publish(picture(number, source.grab(number), 8.0))
    frames = read(tmp_path / "same.mp4")
    assert [read_numbers(pixels)[0] for _, pixels in frames] == [0, 1, 2, 3]


def test_an_encoder_that_is_behind_costs_the_oldest_pictures_and_says_how_many(tmp_path):
    size = Size(640, 360)
    hub, source = Hub(), PatternSource(size)
    many = recorder_module.QUEUE * 8
    pictures = [picture(number, source.grab(number), number / 1000) for number in range(many)]
    with Recorder(tmp_path / "busy.mp4", 1000, size) as recorder:
        recorder.start(hub)
        for each in pictures:
            hub.publish(each)  # faster than any encoder
    numbers = [read_numbers(pixels)[0] for _, pixels in read(tmp_path / "busy.mp4")]
    assert len(numbers) == recorder.written == many - recorder.dropped
    assert numbers == sorted(set(numbers))
    # What waited at the end is the newest.
    assert numbers[-recorder_module.QUEUE :] == list(range(many - recorder_module.QUEUE, many))


def test_a_picture_of_another_size_ends_the_recording_with_what_was_written(tmp_path):
    hub = Hub()
    recorder = Recorder(tmp_path / "sizes.mp4", 30, Size(640, 360))
    recorder.start(hub)
    hub.publish(picture(0, PatternSource(Size(640, 360)).grab(0), 1.0))
    hub.publish(picture(1, PatternSource(Size(320, 180)).grab(1), 1.1))
    with pytest.raises(UnavailableError, match=r"after 1 pictures: picture 1 is 320x180"):
        recorder.close()
    recorder.close()  # said once
    assert len(read(tmp_path / "sizes.mp4")) == 1


def test_a_recording_outlives_a_process_that_is_killed(tmp_path):
    path = tmp_path / "killed.mp4"
    program = """
import sys
from p2c2g_capture.sources.pattern import PatternSource
from p2c2g.display.recorder import Recorder
from p2c2g.display.hub import Hub
from p2c2g.media.frame import Size
from tests.pictures import shown_picture

size, hub = Size(640, 360), Hub()
source = PatternSource(size)
recorder = Recorder(sys.argv[1], 10, size)
recorder.start(hub)
number = 0
while True:
    pixels = source.grab(number)
    hub.publish(shown_picture(number, pixels, source=size, ready_at=number / 10))
    number += 1
    if recorder.written >= 100:  # at 10 a second, some are in the file and not in the encoder
        print("enough", flush=True)
        break
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "enough\n"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    numbers = [read_numbers(pixels)[0] for _, pixels in read(path)]
    assert numbers
    assert numbers == sorted(numbers)


def test_nothing_recorded_leaves_no_file_and_no_error(tmp_path):
    recorder = Recorder(tmp_path / "empty.mp4", 30, Size(64, 64))
    recorder.close()
    recorder.close()
    assert recorder.written == recorder.dropped == 0
    assert not (tmp_path / "empty.mp4").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("play.mkv", "let it end in .mp4"),
        ("play", "let it end in .mp4"),
        ("missing/play.mp4", "cannot be written .No such file or directory."),
    ],
)
def test_a_path_that_cannot_be_is_refused(tmp_path, name, sentence):
    with pytest.raises(UsageError, match=sentence):
        Recorder(tmp_path / name, 30, Size(64, 64))


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UsageError, match="Is a directory"):
        Recorder(tmp_path / "folder.mp4", 30, Size(64, 64))


def test_without_pyav_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match=r'pip install "p2c2g\[capture\]"'):
        Recorder(tmp_path / "play.mp4", 30, Size(64, 64))
