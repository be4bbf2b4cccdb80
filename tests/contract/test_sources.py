"""What every source promises, whichever it is, and how each says no."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Size
from p2c2g_capture.ownnets import nets_of_clip
from p2c2g_capture.sources import Source, open_source, shipped_clip
from p2c2g_capture.sources.pattern import PatternSource, read_numbers
from p2c2g_capture.sources.xvfb import VirtualDisplay

#: Where a file keeps its times and its length differs between containers.
CONTAINERS = ["mp4", "mkv", "avi"]
PICTURES, RATE = 50, 25


def write_video(path: Path, pictures: int = PICTURES, rate: int = RATE) -> Path:
    """Write a video of the test pattern, each picture numbered, a key frame every ten."""
    source = PatternSource()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = source.size.width, source.size.height
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "20", "g": "10"}
        for number in range(pictures):
            picture = av.VideoFrame.from_ndarray(source.grab(number), format="bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    return {kind: write_video(folder / f"numbers.{kind}") for kind in CONTAINERS}


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualDisplay]:
    with VirtualDisplay(Size(800, 600)) as display:
        monkeypatch.setenv("DISPLAY", display.name)
        yield display


Opener = Callable[[Size | None], Source]


@pytest.fixture(
    params=[
        "pattern",
        "video",
        "clip",
        pytest.param("screen", marks=pytest.mark.needs("Xvfb")),
        pytest.param("screen:10,20,400x300", marks=pytest.mark.needs("Xvfb")),
        pytest.param("auto", marks=pytest.mark.needs("Xvfb")),
        pytest.param("game", marks=pytest.mark.needs("Xvfb", "chocolate-doom", "freedoom1")),
        pytest.param(
            "game:crispy-doom", marks=pytest.mark.needs("Xvfb", "crispy-doom", "freedoom1")
        ),
    ]
)
def opener(request: pytest.FixtureRequest, videos: dict[str, Path]) -> Opener:
    spec = {"video": f"video:{videos['mp4']}", "clip": f"video:{shipped_clip()}"}.get(
        request.param, request.param
    )
    if request.param.startswith("screen") or request.param == "auto":
        request.getfixturevalue("screen")
    return lambda size: open_source(spec, size, 60.0)


def test_every_picture_has_the_size_that_it_says(opener: Opener) -> None:
    with opener(None) as source:
        for number in (0, 1, 2, 7, 60, 61):
            pixels = source.grab(number)
            assert Size.of(pixels) == source.size
            assert pixels.dtype == np.uint8
            assert pixels.shape[2] in (3, 4)
            assert pixels.flags.c_contiguous


@pytest.mark.parametrize("size", [Size(480, 270), Size(1024, 576)], ids=str)
def test_a_size_that_is_asked_for_is_given(opener: Opener, size: Size) -> None:
    with opener(size) as source:
        assert source.size == size
        assert Size.of(source.grab(0)) == size


def test_it_has_a_name(opener: Opener) -> None:
    with opener(None) as source:
        assert source.name.partition(":")[0] in {"pattern", "video", "screen", "game"}


def test_a_picture_is_never_written_to_again(opener: Opener) -> None:
    with opener(None) as source:
        first = source.grab(0)
        before = first.copy()
        for number in range(1, 30):
            source.grab(number)
        assert np.array_equal(first, before)


def test_close_may_come_twice_and_ends_it(opener: Opener) -> None:
    source = opener(None)
    source.close()
    source.close()
    if source.name != "pattern":  # which holds nothing that could be closed
        with pytest.raises(SourceUnavailableError, match="closed"):
            source.grab(0)


# --- video ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("fps", [10, 25, 60])
def test_a_video_keeps_its_own_pace_for_three_loops(
    videos: dict[str, Path], kind: str, fps: int
) -> None:
    length = PICTURES / RATE
    with open_source(f"video:{videos[kind]}", None, fps) as source:
        for number in range(int(3 * length * fps)):
            # A thousandth later than the tick, where rounding cannot move it to a neighbour.
            moment = number / fps % length
            expected = int(moment * RATE + 1e-6) % PICTURES
            seen = set(read_numbers(source.grab(number)))
            near = {expected, (expected - 1) % PICTURES, (expected + 1) % PICTURES}
            assert len(seen) == 1
            assert seen <= (near if _on_the_edge(moment) else {expected}), number


def _on_the_edge(moment: float) -> bool:
    """Say whether a moment is where one picture gives way to the next."""
    return abs(moment * RATE - round(moment * RATE)) < 0.05


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_video_jumps_forwards_and_backwards(videos: dict[str, Path], kind: str) -> None:
    length = PICTURES / RATE
    with open_source(f"video:{videos[kind]}", None, 1000) as source:
        for moment in (0.5, 1.9, 0.02, 1.5, 3_600 * length + 0.7, 0.1):
            seen = set(read_numbers(source.grab(round(moment * 1000))))
            assert seen == {int(moment % length * RATE)}, moment


def test_the_same_picture_is_converted_once(videos: dict[str, Path]) -> None:
    with open_source(f"video:{videos['mp4']}", None, 100) as source:
        assert source.grab(1) is source.grab(2)
        assert source.grab(2) is not source.grab(5)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no file .*nothing\.mp4"):
        open_source(f"video:{tmp_path}/nothing.mp4")


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a file"):
        open_source(f"video:{tmp_path}")


@pytest.mark.parametrize("content", [b"", b"hello, this is no video\n" * 100])
def test_a_file_that_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not a video that can be played"):
        open_source(f"video:{path}")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(UsageError, match="holds no video"):
        open_source(f"video:{path}")


def test_a_video_cut_short_is_refused(tmp_path: Path, videos: dict[str, Path]) -> None:
    path = tmp_path / "half.mp4"
    content = videos["mp4"].read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UsageError, match="is not a video that can be played"):
        open_source(f"video:{path}")


def test_the_shipped_clip_is_as_promised() -> None:
    path = shipped_clip()
    assert path.stat().st_size <= 6_000_000
    assert path.with_suffix(".LICENSE").is_file()
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        assert video.codec_context.name == "h264"
        assert Size(video.width, video.height) == Size(640, 360)
        assert container.duration is not None
        assert 8_000_000 <= container.duration <= 12_000_000
    (net,) = nets_of_clip(path)
    assert net.method == "ml-tiny"
    assert net.card["db_over_best"] >= 1


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    ["", "camera", "pattern:3", "auto:1", "video", "screen:", "game:", "pattern:", "Screen"],
)
def test_a_name_that_is_no_source_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="give"):
        open_source(spec)


@pytest.mark.parametrize("part", ["one", "1,2", "1,2,3x", "window", "window=", "0,0,0x10", "-1"])
def test_a_part_that_is_no_part_of_a_screen_is_refused(part: str) -> None:
    with pytest.raises(UsageError, match="give"):
        open_source(f"screen:{part}")


def test_an_unknown_game_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="There is no game 'tetris': give one of chocolate-doom"):
        open_source("game:tetris")


@pytest.mark.parametrize("size", [Size(100, 100), Size(8000, 4000)], ids=str)
def test_a_game_of_a_size_that_cannot_be_is_refused(size: Size) -> None:
    with pytest.raises(UsageError, match="320x200 to 3840x2160"):
        open_source("game", size)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_pace_that_cannot_be_is_refused(fps: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        open_source("pattern", fps=fps)


def test_no_screen_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(SourceUnavailableError, match="DISPLAY is not set"):
        open_source("screen")


def test_a_screen_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":31999")
    with pytest.raises(SourceUnavailableError, match=":31999 does not answer"):
        open_source("screen")


@pytest.mark.parametrize("display", [None, ":31999"])
def test_auto_without_a_screen_is_the_shipped_clip_and_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, display: str | None
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    with open_source("auto") as source:
        assert source.name == "video:freedoom.mp4"
        assert source.grab(0).std() > 10
    assert "The shipped clip is played" in caplog.text
    assert (f"{display} does not answer" if display else "DISPLAY is not set") in caplog.text


def test_missing_programs_are_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2c2g.system.processes.find", lambda program: None)
    with pytest.raises(SourceUnavailableError, match="apt-get install chocolate-doom freedoom"):
        open_source("game")
    with pytest.raises(SourceUnavailableError, match="apt-get install xvfb"):
        VirtualDisplay(Size(640, 360))


@pytest.mark.parametrize(
    ("library", "spec", "modules"),
    [
        ("av", "video:x.mp4", ["video"]),
        ("mss", "screen", ["screen", "grabber"]),
        ("Xlib", "screen:window=game", ["window"]),
    ],
)
def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, library: str, spec: str, modules: list[str]
) -> None:
    for module in modules:
        here = f"p2c2g_capture.sources.{module}"
        for name in [each for each in sys.modules if each == here or each.startswith(f"{here}.")]:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SourceUnavailableError, match=rf'{library}.* pip install "p2c2g\[capture'):
        open_source(spec)
