"""A video file as a source, in an endless loop: plays where there is no screen.

The picture of a tick is the one that is on at the tick's time.  Pictures in between are
decoded, since later ones depend on them, but never converted; long gaps are jumped by seeking.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Pixels, Size
from p2c2g_capture.sources import Source, scaled

#: Further behind than this, seconds, seeking to a key frame is cheaper than decoding all.
_SEEK = 2.0
#: Up to this many pixels one thread decodes fast enough; more threads would only waste cores.
_ONE_THREAD = 1280 * 720


class VideoSource(Source):
    """The pictures of a file, scaled to ``size`` and repeated from its start at its end.

    The file's own pace is kept whatever the ticks are: at 60 ticks a second each picture of a
    file of 30 is given twice (the same array), at 10 only every third is given.
    """

    def __init__(self, path: Path, size: Size | None = None, fps: float = 60.0) -> None:
        """Open the file; ``fps`` is the number of ticks a second.

        Raises:
            UsageError: there is no such file, or no video in it.
        """
        self.name = f"video:{path.name}"
        self._path = path
        self._fps = fps
        self._closed = False
        self._container = _open(path)
        try:
            self._stream = _video_of(self._container, path)
            self._pictures = self._decode()
            first = next(self._pictures, None)
            if first is None:
                raise UsageError(
                    f"{path} holds no picture with a time: give a video in a container such as "
                    "MP4 or Matroska."
                )
        except SourceUnavailableError as error:
            self.close()
            raise UsageError(f"{path} is not a video that can be played: {error}") from error
        except BaseException:
            self.close()
            raise
        self.size = size or Size(first.width, first.height)
        self._current = first
        self._next = next(self._pictures, None)
        self._begin = first.time or 0.0
        self._length = self._length_of_file()
        self._pixels = self._convert(first)

    def grab(self, number: int) -> Pixels:
        """Return the picture at ``number / fps`` seconds: (height, width, 3).

        Raises:
            SourceUnavailableError: the file breaks off in the middle, or is closed.
        """
        if self._closed:
            raise SourceUnavailableError(f"{self._path} is closed.")
        shown = self._current
        self._advance_to(number / self._fps)
        if self._current is not shown:
            self._pixels = self._convert(self._current)
        return self._pixels

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._closed = True
        self._container.close()

    def _advance_to(self, moment: float) -> None:
        """Move to the picture that is on at ``moment``, in seconds from the first start."""
        if self._length is not None:
            moment %= self._length
        # The last picture may stay on for long, where the file's sound lasts longer.
        behind = self._next is not None and moment > self._time(self._next) + _SEEK
        if behind or moment < self._time(self._current):
            self._seek(moment)
        while self._next is not None and self._time(self._next) <= moment:
            self._current, self._next = self._next, next(self._pictures, None)
        if self._next is None and self._length is None:
            # The file did not state its length; its last picture now has.
            self._length = self._time(self._current) + self._period
            if moment >= self._length:
                self._advance_to(moment)

    def _seek(self, moment: float) -> None:
        """Go to the last key frame up to ``moment``, which becomes the current picture."""
        base = self._stream.time_base
        assert base is not None  # noqa: S101 - FFmpeg gives every video stream one
        try:
            self._container.seek(round((moment + self._begin) / base), stream=self._stream)
        except av.FFmpegError as error:
            raise SourceUnavailableError(
                f"{self._path} cannot be repeated: {error.strerror}."
            ) from error
        self._pictures = self._decode()
        first = next(self._pictures, None)
        if first is not None:
            self._current, self._next = first, next(self._pictures, None)

    def _decode(self) -> Iterator[VideoFrame]:
        try:
            for picture in self._container.decode(self._stream):
                # A raw stream without a container has no times to go by.
                if picture.time is not None:
                    yield picture
        except av.FFmpegError as error:
            raise SourceUnavailableError(
                f"{self._path} cannot be decoded any further: {error.strerror}."
            ) from error

    def _time(self, picture: VideoFrame) -> float:
        """Return when a picture comes on, in seconds from the file's first."""
        return (picture.time or 0.0) - self._begin

    @property
    def _period(self) -> float:
        rate = self._stream.average_rate or self._stream.guessed_rate
        return 1 / float(rate) if rate else 1 / 25

    def _length_of_file(self) -> float | None:
        """Return how long the video lasts, in seconds, or None where the file does not say."""
        stream = self._stream
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if self._container.duration:
            return self._container.duration / 1_000_000
        return None

    def _convert(self, picture: VideoFrame) -> Pixels:
        # FFmpeg knows the file's colours; OpenCV scales in half FFmpeg's time.
        return scaled(np.asarray(picture.to_ndarray(format="bgr24"), np.uint8), self.size)


def _open(path: Path) -> InputContainer:
    if not path.exists():
        raise UsageError(f"There is no file {path}: give video:FILE with the path of a video.")
    if not path.is_file():
        raise UsageError(f"{path} is not a file: give video:FILE with the path of a video.")
    try:
        return av.open(str(path), mode="r")
    except av.FFmpegError as error:
        raise UsageError(f"{path} is not a video that can be played: {error.strerror}.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error


def _video_of(container: InputContainer, path: Path) -> VideoStream:
    if container.format.name == "tty":
        # FFmpeg would show a text file as a video of it being typed.
        raise UsageError(f"{path} is not a video that can be played: it is a text.")
    if not container.streams.video:
        raise UsageError(f"{path} holds no video, only sound or data: give a file with pictures.")
    stream = container.streams.video[0]
    if stream.codec_context.width * stream.codec_context.height > _ONE_THREAD:
        stream.thread_type = "AUTO"
    else:
        stream.codec_context.thread_count = 1
    return stream
