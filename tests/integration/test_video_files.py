"""Names, tags and kinds of files, and which of them is a film."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import av
import cv2
import pytest

from p2c2g.errors import UsageError
from p2c2g.media.frame import Size
from p2c2g_capture.sources import open_source
from p2c2g_capture.sources.video import VideoSource
from tests.films import (
    NUMBERED,
    RATE,
    corners,
    first_of,
    number_of,
    numbered,
    put_cover_first,
    quarters,
    shown,
    write_film,
    write_numbers,
    write_song,
)

# --- names and tags -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "12:30.mp4",
        "game:1.mp4",
        "http:x.mp4",
        "-i.mp4",
        "a film [1080p].mp4",
        " a film.mp4 ",
        "100%03d.mp4",
        "~nobody-of-that-name.mp4",
        "Übung 日本.mp4",
        "quote'\".mp4",
        "file:x.mp4",
        os.fsdecode(b"caf\xe9.mp4"),
    ],
)
def test_a_name_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_numbers(tmp_path / "film.mp4", 3)
    (tmp_path / "film.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with open_source(f"video:{name}", None, RATE) as source:
        assert [number_of(source.grab(tick)) for tick in range(3)] == [0, 1, 2]
        assert source.name.encode(), "it can be printed"
        assert source.name.startswith("video:")


def test_a_percent_sign_in_a_pictures_name_is_no_row_of_pictures(tmp_path: Path) -> None:
    path = tmp_path / "shot%03d.png"
    path.write_bytes(cv2.imencode(".png", quarters(Size(64, 32)))[1].tobytes())
    assert corners(first_of(path)) == ["red", "green", "blue", "white"]


def test_an_address_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for address in ("http://127.0.0.1:9/a.mp4", "rtsp://x/y", f"file://{tmp_path}/a.mp4"):
        with pytest.raises(UsageError, match=r"is an address, .* give video:FILE"):
            open_source(f"video:{address}")


@pytest.mark.parametrize("kind", ["avi", "mkv", "mp4"])
@pytest.mark.parametrize("code_page", ["latin-1", "shift-jis"])
def test_tags_of_old_code_pages_are_no_hindrance(tmp_path: Path, kind: str, code_page: str) -> None:
    title = {"latin-1": "café", "shift-jis": "日本"}[code_page]
    path = write_numbers(
        tmp_path / f"old.{kind}", 3, tags={"title": title, "artist": title}, tags_in=code_page
    )
    assert shown(path, range(3)) == [0, 1, 2]


# --- what is no film ------------------------------------------------------------------------------


def test_a_cover_before_the_film_is_passed_over(tmp_path: Path) -> None:
    path = put_cover_first(write_numbers(tmp_path / "film.mp4", 10))
    with av.open(str(path)) as container:
        assert container.streams[0].codec_context.name == "mjpeg"
    assert shown(path, range(20)) == list(range(10)) * 2


def test_a_song_with_a_cover_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no video, only sound and its cover: give a file"):
        VideoSource(write_song(tmp_path / "song.mp3"))


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "noise", "film.txt"])
def test_an_empty_file_is_called_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match="it is empty, 0 bytes"):
        VideoSource(tmp_path / name)


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "gif"])
def test_a_single_picture_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"still.{kind}"
    if kind == "gif":
        write_film(path, [quarters(Size(64, 32))], codec="gif", pix_fmt="rgb8")
    else:
        path.write_bytes(cv2.imencode(f".{kind}", quarters(Size(64, 32)))[1].tobytes())
    with VideoSource(path, None, RATE) as source:
        first = source.grab(0)
        assert corners(first) == ["red", "green", "blue", "white"]
        path.unlink()  # it is not read again
        assert all(source.grab(tick) is first for tick in (1, 100, 10_000, 3))


def test_a_pipe_a_device_and_a_folder_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", Path("/dev/null"), tmp_path, Path("/dev/stdin/x")):
        with pytest.raises(UsageError, match=r"give video:FILE|cannot be read"):
            VideoSource(path)


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be read: File name too long"):
        VideoSource(Path("x" * 300))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("net.m3u8", b"#EXTM3U\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"),
        (
            "call.sdp",
            b"v=0\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 40000 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        ),
        ("list.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"),
        ("page.html", b"<!doctype html><title>Not found</title>"),
        ("words.srt", b"1\n00:00:00,000 --> 00:00:01,000\nHello\n"),
    ],
)
def test_a_file_that_leads_elsewhere_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=r"is not a video that can be played|holds no video"):
        VideoSource(tmp_path / name)


def test_moving_pictures_win_over_a_single_one(tmp_path: Path) -> None:
    """A file with two videos shows the one that FFmpeg calls its best."""
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        still: Any = container.add_stream("mjpeg", rate=RATE)
        still.width, still.height, still.pix_fmt = 64, 32, "yuvj420p"
        film: Any = container.add_stream("libx264", rate=RATE)
        film.width, film.height, film.pix_fmt = NUMBERED.width, NUMBERED.height, "yuv420p"
        for number, stream in itertools.chain([(0, still)], ((n, film) for n in range(1, 20))):
            pixels = quarters(Size(64, 32)) if stream is still else numbered(number)
            picture = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            picture.pts = number
            container.mux(stream.encode(picture))
        for stream in (still, film):
            container.mux(stream.encode(None))
    assert shown(path, range(5)) == [1, 2, 3, 4, 5]
