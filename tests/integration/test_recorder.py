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
from p2c2g.display.recorder import FORMATS, Recorder
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.picture import FrameState, Picture
from p2c2g_capture.sources.pattern import PatternSource, read_numbers
from tests.pictures import shown_picture

SMALL = Size(320, 180)
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


@pytest.mark.parametrize("suffix", sorted(FORMATS))
@pytest.mark.parametrize("size", [Size(640, 360), Size(641, 361)], ids=str)
def test_every_picture_is_in_the_file_with_its_number_and_its_time(tmp_path, size, suffix):
    path = tmp_path / f"play{suffix}"
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
    assert {Size.of(pixels) for _, pixels in frames} == {even if suffix == ".mp4" else size}
    stamps = [read_numbers(pixels[: size.height, : size.width]) for _, pixels in frames]
    assert stamps == [[number] * 16 for number in numbers]
    expected = [ready_at - times[0] for ready_at in times]
    assert [time for time, _ in frames] == pytest.approx(expected, abs=1 / FORMATS[suffix].ticks)


@pytest.mark.parametrize("size", [Size(1, 1), Size(2, 2), Size(37, 5), Size(320, 181)], ids=str)
def test_a_recording_without_loss_gives_back_what_was_shown_bit_for_bit(tmp_path, size):
    random = np.random.default_rng(size.width)
    shape = (size.height, size.width, 3)
    noise = [random.integers(0, 256, shape, np.uint8) for _ in range(4)]
    plain = [np.full(shape, level, np.uint8) for level in (0, 255)]
    slopes = (
        np.arange(size.width * size.height * 3, dtype=np.uint32).reshape(shape).astype(np.uint8)
    )
    given = [*noise, *plain, slopes, noise[0]]
    hub = Hub()
    with Recorder(tmp_path / "exact.mkv", 30, size) as recorder:
        recorder.start(hub)
        for number, pixels in enumerate(given):
            hub.publish(picture(number, pixels, number / 30))
    back = read(tmp_path / "exact.mkv")
    assert len(back) == len(given)
    for (_, pixels), shown in zip(back, given, strict=True):
        np.testing.assert_array_equal(pixels, shown)


def test_every_picture_of_a_recording_without_loss_stands_for_itself(tmp_path):
    hub, source = Hub(), PatternSource(SMALL)
    with Recorder(tmp_path / "keys.MKV", 30, SMALL) as recorder:
        recorder.start(hub)
        for number in range(4):
            hub.publish(picture(number, source.grab(number), number / 30))
    with av.open(str(tmp_path / "keys.MKV")) as container:
        assert container.streams.video[0].codec_context.name == "ffv1"
        assert all(frame.key_frame for frame in container.decode(video=0))


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_an_earlier_recording_stays_until_the_new_one_is_finished(tmp_path, suffix):
    path, pixels = tmp_path / f"play{suffix}", PatternSource(SMALL).grab(0)
    path.write_bytes(b"the earlier one")
    hub = Hub()
    recorder = Recorder(path, 30, SMALL)
    recorder.start(hub)
    assert list(tmp_path.iterdir()) == [path]
    hub.publish(picture(0, pixels, 1.0))
    while not recorder.written:
        pass
    assert set(tmp_path.iterdir()) == {path, tmp_path / f"play.partial{suffix}"}
    assert path.read_bytes() == b"the earlier one"
    recorder.close()
    assert list(tmp_path.iterdir()) == [path]
    assert len(read(path)) == 1


def test_without_a_picture_the_earlier_recording_stays(tmp_path):
    path = tmp_path / "play.mp4"
    path.write_bytes(b"the earlier one")
    with Recorder(path, 30, SMALL) as recorder:
        recorder.start(Hub())
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"the earlier one"


def test_two_recordings_of_one_name_and_what_a_killed_one_left_keep_apart(tmp_path):
    path, pixels = tmp_path / "play.mp4", PatternSource(SMALL).grab(0)
    (tmp_path / "play.partial.mp4").write_bytes(b"of a killed one")
    hub = Hub()
    with Recorder(path, 30, SMALL) as one, Recorder(path, 30, SMALL) as other:
        one.start(hub)
        other.start(hub)
        hub.publish(picture(0, pixels, 1.0))
    assert len(read(path)) == 1
    assert (tmp_path / "play.partial.mp4").read_bytes() == b"of a killed one"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "name", ["file:x.mp4", "12:30.mp4", "concat:a|b.mkv", "%d #1?.mp4", "-.mp4"]
)
def test_a_name_is_a_name_and_no_protocol(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.mp4").write_bytes(b"another")
    hub = Hub()
    with Recorder(name, 30, SMALL) as recorder:
        recorder.start(hub)
        hub.publish(picture(0, PatternSource(SMALL).grab(0), 1.0))
    assert {path.name for path in tmp_path.iterdir()} == {"x.mp4", name}
    assert (tmp_path / "x.mp4").read_bytes() == b"another"


def test_a_full_disk_is_told_at_once_and_costs_no_earlier_recording(tmp_path):
    """A limit on a file's size stands in for the disk."""
    program = """
import logging, resource, signal, sys
from p2c2g.display.hub import Hub
from p2c2g.display.recorder import FORMATS, Recorder
from p2c2g.errors import UnavailableError
from p2c2g.media.frame import Size
from p2c2g_capture.sources.pattern import PatternSource
from tests.pictures import shown_picture

class Told(logging.Handler):
    def emit(self, record):
        print("told", record.getMessage(), flush=True)
        hub.close()

logging.getLogger("p2c2g").addHandler(Told())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
hub, source = Hub(), PatternSource(Size(640, 360))
recorder = Recorder(sys.argv[1], 30, Size(640, 360))
recorder.start(hub)
number = 0
while hub.latest is None or not hub.latest.number == number - 2:
    hub.publish(shown_picture(number, source.grab(number), ready_at=number / 30))
    number += 1
try:
    recorder.close()
except UnavailableError as error:
    print("ended", error, flush=True)
"""
    path = tmp_path / "play.mkv"
    path.write_bytes(b"the earlier one")
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=100
    )
    told, ended = done.stdout.splitlines()
    assert "broke off after" in told
    assert "The session goes on." in told
    assert "play.partial.mkv" in ended
    assert path.read_bytes() == b"the earlier one"
    assert read(tmp_path / "play.partial.mkv")


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
    assert [path.name for path in tmp_path.iterdir()] == ["sizes.partial.mp4"]
    assert len(read(tmp_path / "sizes.partial.mp4")) == 1


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_a_recording_outlives_a_process_that_is_killed(tmp_path, suffix):
    path = tmp_path / f"killed{suffix}"
    path.write_bytes(b"the earlier one")
    program = """
import sys
from p2c2g_capture.sources.pattern import PatternSource
from p2c2g.display.recorder import FORMATS, Recorder
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
        break
while recorder.written + recorder.dropped < number:
    pass  # Else it may be killed in the middle of writing two seconds of MP4.
print("enough", flush=True)
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
    assert path.read_bytes() == b"the earlier one"
    partial = tmp_path / f"killed.partial{suffix}"
    numbers = [read_numbers(pixels)[0] for _, pixels in read(partial)]
    assert numbers
    assert numbers == sorted(numbers)


def test_nothing_recorded_leaves_no_file_and_no_error(tmp_path):
    recorder = Recorder(tmp_path / "empty.mp4", 30, SMALL)
    recorder.close()
    recorder.close()
    assert recorder.written == recorder.dropped == 0
    assert not (tmp_path / "empty.mp4").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("play.avi", "let it end in .mp4, or in .mkv for one without loss"),
        ("play", "let it end in .mp4"),
        ("missing/play.mp4", "cannot be written .No such file or directory."),
    ],
)
def test_a_path_that_cannot_be_is_refused(tmp_path, name, sentence):
    with pytest.raises(UsageError, match=sentence):
        Recorder(tmp_path / name, 30, SMALL)


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UsageError, match="Is a directory"):
        Recorder(tmp_path / "folder.mp4", 30, SMALL)


def test_without_pyav_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match=r'pip install "p2c2g\[capture\]"'):
        Recorder(tmp_path / "play.mp4", 30, SMALL)
