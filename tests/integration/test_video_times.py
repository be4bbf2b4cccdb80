"""Films with damage, and when each picture is shown."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Size
from p2c2g_capture.sources import shipped_clip
from p2c2g_capture.sources.video import VideoSource
from tests.films import (
    NUMBERED,
    RATE,
    damage,
    number_of,
    pictures_of,
    shown,
    write_numbers,
)

# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi"])
def test_the_rest_of_a_damaged_film_is_played(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_numbers(
        tmp_path / f"bad.{kind}",
        100,
        options={"g": "10"},
        muxer={"cluster_time_limit": "400"} if kind == "mkv" else None,
    )
    damage(path, 0.5)
    with caplog.at_level(logging.WARNING):
        numbers = shown(path, range(200))
    assert set(range(30)) | set(range(70, 100)) <= set(numbers)
    assert set(range(30)) | set(range(70, 100)) <= set(numbers[100:]), "in each pass"
    assert sum("is damaged" in record.getMessage() for record in caplog.records) <= 1


def test_a_film_that_breaks_off_is_repeated_from_there(tmp_path: Path) -> None:
    path = write_numbers(
        tmp_path / "half.mp4", 50, options={"g": "10"}, muxer={"movflags": "+faststart"}
    )
    data = path.read_bytes()
    start, size = pictures_of(data)
    path.write_bytes(data[: start + size * 3 // 5])
    numbers = shown(path, range(100))
    length = numbers.index(0, 1)
    assert 10 < length < 40
    assert numbers[:length] == list(range(length))
    assert numbers[length : 2 * length] == list(range(length)), "it does not stand still"


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi"])
def test_no_part_of_a_file_makes_a_traceback(tmp_path: Path, kind: str) -> None:
    whole = write_numbers(tmp_path / f"whole.{kind}", 20, options={"g": "5"}).read_bytes()
    path = tmp_path / f"part.{kind}"
    for length in (1, 16, 100, 500, len(whole) // 3, len(whole) * 2 // 3, len(whole) - 1):
        path.write_bytes(whole[:length])
        with contextlib.suppress(UsageError), VideoSource(path, NUMBERED, RATE) as source:
            for tick in range(50):
                source.grab(tick)


def test_nothing_but_damage_is_refused(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "bad.mp4", 10)
    data = path.read_bytes()
    start, size = pictures_of(data)
    path.write_bytes(data[:start] + b"\xff" * size + data[start + size :])
    with pytest.raises(UsageError, match="none of its pictures can be decoded"):
        VideoSource(path)


def test_a_film_that_is_gone_at_its_end_ends_the_source(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "film.ts", 10)
    with VideoSource(path, None, RATE) as source:
        path.unlink()
        assert number_of(source.grab(9)) == 9
        with pytest.raises(SourceUnavailableError, match="cannot be repeated: There is no file"):
            source.grab(10)


# --- times ----------------------------------------------------------------------------------------


class Clock:
    """A clock that a grab finds so many seconds later each time that it looks."""

    def __init__(self, step: float) -> None:
        self._step, self._now = step, 0.0

    def __call__(self) -> float:
        self._now += self._step
        return self._now


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("rate", [25, 30, 60])
def test_every_picture_is_shown_once_in_each_pass(tmp_path: Path, kind: str, rate: int) -> None:
    path = write_numbers(tmp_path / f"loop.{kind}", 150, rate)
    numbers = shown(path, range(4 * 150), rate)
    assert numbers == list(range(150)) * 4


@pytest.mark.parametrize("fps", [60, 30])
def test_the_shipped_clip_repeats_without_a_fault(fps: int) -> None:
    with av.open(str(shipped_clip())) as container:
        pictures = container.streams.video[0].frames
    ticks = pictures * fps // 60
    with VideoSource(shipped_clip(), Size(64, 36), fps) as source:
        first = [source.grab(tick) for tick in range(ticks)]
        again = [source.grab(ticks + tick) for tick in range(ticks)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_film_with_b_frames_keeps_its_order(tmp_path: Path) -> None:
    for kind in ("mp4", "mkv", "avi", "ts", "h264"):
        path = write_numbers(
            tmp_path / f"b.{kind}", 30, options={"preset": "medium", "bf": "3", "g": "15"}
        )
        assert shown(path, range(90)) == list(range(30)) * 3, kind


@pytest.mark.parametrize("offset", [0.0, 1.0, 3600.0, 90_000.0])
def test_clocks_that_start_again_or_jump_go_on(tmp_path: Path, offset: float) -> None:
    parts = [
        write_numbers(
            tmp_path / f"{first}.ts", 50, first=first, times=[n / RATE + start for n in range(50)]
        )
        for first, start in ((0, 10.0), (50, offset), (100, 10.0))
    ]
    path = tmp_path / "all.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    numbers = shown(path, range(400))
    counts = {number: numbers.count(number) for number in range(150)}
    assert set(counts) == set(numbers)
    assert numbers[:300] == sorted(numbers[:150]) + sorted(numbers[:150]), "each part, in order"
    # A picture may be lost where two parts meet.
    assert len(set(numbers)) >= 146


def test_a_long_still_in_a_film_is_kept(tmp_path: Path) -> None:
    times = [0, 0.04, 6.0, 6.04, 66.0, 66.04]
    for kind in ("mp4", "mkv"):
        path = write_numbers(tmp_path / f"vfr.{kind}", 6, times=times)
        at = [0.02, 3, 5.9, 6.01, 30, 65.9, 66.01]
        assert shown(path, range(0), RATE) == []
        # It gives up nothing for a machine that stands still in between.
        with VideoSource(path, None, 100, clock=lambda: 0.0) as source:
            numbers = [number_of(source.grab(round(moment * 100))) for moment in at]
        assert numbers == [0, 1, 1, 2, 3, 3, 4]


def test_a_film_without_times_is_played_at_its_rate(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "raw.h264", 25)
    assert shown(path, range(75)) == list(range(25)) * 3


def test_decoding_goes_on_where_no_key_frame_is_on_the_way(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "long.mp4", 1500, options={"g": "9999", "sc_threshold": "0"})
    decoded = []
    source = VideoSource(path, None, RATE, clock=lambda: 0.0)
    pictures = source._film.pictures

    def counted() -> Any:
        for picture in pictures():
            decoded.append(picture.at)
            yield picture

    source._film.pictures = counted  # type: ignore[method-assign]
    with source:
        assert number_of(source.grab(1000)) == 1000
        assert number_of(source.grab(1100)) == 1100
        assert not decoded, "it was not begun again"


def test_a_key_frame_on_the_way_is_taken(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "film.mp4", 1500, options={"g": "50"})
    with VideoSource(path, None, RATE, clock=Clock(0.1)) as source:
        # The clock would let it decode five pictures.
        assert number_of(source.grab(1404)) == 1404


def test_a_film_that_is_too_far_behind_goes_on_from_where_it_is(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "long.mp4", 1500, options={"g": "9999", "sc_threshold": "0"})
    with VideoSource(path, None, RATE, clock=Clock(0.1)) as source:
        here = number_of(source.grab(1000))
        assert 0 < here < 20, "it gave up catching up"
        assert [number_of(source.grab(1000 + n)) for n in range(1, 10)] == [
            here + n for n in range(1, 10)
        ]
