"""One pass through a film: its pictures in order, whatever a few of them have suffered."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

import av
from av.format import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from p2c2g.errors import UsageError
from p2c2g_capture.sources.video.opening import find_film, open_container, readable
from p2c2g_capture.sources.video.timeline import Stamps, Timeline

logger = logging.getLogger(__name__)

#: So many times in a row may reading fail before the rest of a file is given up.
_FAILED_READS = 100
#: Pictures a second of a file that does not say, such as a single picture.
_USUAL_RATE = 25.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, when it comes on and how long it stays, in seconds from the first."""

    frame: VideoFrame
    at: float
    lasts: float

    @property
    def ends(self) -> float:
        """Return when the next one is due."""
        return self.at + self.lasts


class Film:
    """A video file that is open, and its pictures from where it stands."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            UsageError: there is no such file, or no video in it.
        """
        self._path = path
        self.name = readable(path)
        self._container = open_container(path)
        try:
            self.stream: VideoStream = find_film(self._container, path)
        except BaseException:
            self._container.close()
            raise
        rate = float(self.stream.guessed_rate or self.stream.average_rate or 0)
        self._rate = rate if 0.001 <= rate <= 1000 else _USUAL_RATE
        self._jumps = bool(self._container.format.flags & cast(int, Flags.ts_discont.value))
        self._timeline = Timeline(self._rate, self._jumps)
        #: The stamp of the first picture of all, in seconds.
        self._first: float | None = None
        #: Whether a picture of it could not be decoded.
        self.is_damaged = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._container.close()

    @property
    def can_seek(self) -> bool:
        """Say whether its stamps tell the way to a moment."""
        return self._first is not None and not (self._jumps or self._timeline.has_jumped)

    def play(self) -> Iterator[Picture]:
        """Yield the pictures of a film that was just opened.

        Raises:
            UsageError: none of them can be decoded.
        """
        is_empty = True
        for picture in self.pictures():
            is_empty = False
            yield picture
        if is_empty:
            raise UsageError(
                f"{self.name} is not a video that can be played: none of its pictures can be "
                "decoded. Copy or convert it again, to H.264 for example."
            )

    def pictures(self) -> Iterator[Picture]:
        """Yield the pictures from here on; what cannot be decoded is left out."""
        for frame in self._decode():
            stamps = _stamps(frame)
            if self._first is None:
                self._first = stamps.pts
            yield Picture(frame, *self._timeline.place(stamps))

    def rewind(self) -> bool:
        """Go back to the first picture; False where that cannot be done in place."""
        base = self.stream.time_base
        if not self.can_seek or self._first is None or not base:
            return False
        try:
            self._container.seek(round(self._first / base), stream=self.stream)
        except av.FFmpegError:
            return False
        self._timeline = Timeline(self._rate, self._jumps)
        self._timeline.start_at(self._first)
        return True

    def reopened(self) -> Film:
        """Return the same file, opened again; this one is closed.

        Raises:
            UsageError: the file is no longer there.
        """
        self.close()
        again = Film(self._path)
        again.is_damaged = self.is_damaged
        return again

    def sought(self, moment: float) -> Film | None:
        """Return the film opened again at the last key frame up to ``moment``, if it can be.

        What it really came to, the first of its pictures says.
        """
        base = self.stream.time_base
        if not self.can_seek or self._first is None or not base:
            return None
        other = None
        try:
            other = Film(self._path)
            other._container.seek(round((self._first + moment) / base), stream=other.stream)
        except (av.FFmpegError, UsageError):
            # An index that is missing, or a file that is gone: the way straight on is left.
            if other is not None:
                other.close()
            return None
        other._first = self._first
        other._timeline.start_at(self._first)
        other.is_damaged = self.is_damaged
        return other

    def _decode(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            try:
                yield from self.stream.decode(packet)
            except av.EOFError:
                return
            except av.FFmpegError as error:
                self._say_damaged(error)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        failed, more = 0, True
        while more and failed < _FAILED_READS:
            try:
                for packet in self._container.demux(self.stream):
                    failed = 0
                    yield packet
                more = False
            except av.FFmpegError as error:
                # Reading goes on behind what could not be read.
                failed += 1
                self._say_damaged(error)

    def _say_damaged(self, error: av.FFmpegError) -> None:
        if not self.is_damaged:
            self.is_damaged = True
            logger.warning(
                "%s is damaged (%s): what cannot be decoded is left out.",
                self.name,
                error.strerror,
            )


def _stamps(frame: VideoFrame) -> Stamps:
    base = frame.time_base
    if not base:
        return Stamps(None, None, None)
    pts, dts = frame.pts, frame.dts
    return Stamps(
        None if pts is None else float(pts * base),
        None if dts is None else float(dts * base),
        float(frame.duration * base) if frame.duration else None,
    )
