"""The recorder: writes every picture that is shown to a file, with the times it was shown at.

Where there is sound, the times of both are those of their capture: so they stay together, however
long a picture was on its way.

A thread of its own writes the file from a bounded queue: where a disk or an encoder cannot keep
up, the recording loses its oldest waiting pictures, and the session loses nothing.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from p2c2g.display.hub import Hub, Subscription
from p2c2g.display.soundtrack import SoundTrack
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.media.frame import Size
from p2c2g.media.picture import Picture
from p2c2g.media.sound import SoundPacket
from p2c2g.system import files

logger = logging.getLogger(__name__)

#: Pictures that wait for the encoder; the oldest is dropped when it is full.
QUEUE = 16


@dataclass(frozen=True, slots=True)
class Colours:
    """What a file says of its colours: numbers of ITU-T H.273, and FFmpeg's of their range."""

    primaries: int
    transfer: int
    matrix: int
    range: int


_BT709 = Colours(primaries=1, transfer=1, matrix=1, range=1)
_SRGB = Colours(primaries=1, transfer=13, matrix=0, range=2)


@dataclass(frozen=True, slots=True)
class Format:
    """How pictures become a file of one suffix; the names are FFmpeg's.

    ``ticks`` are those of the file's clock in a second.  ``gop`` is the seconds from one picture
    that stands for itself to the next; 0 where each does.  ``even`` is whether widths and heights
    have to be even; odd ones are padded by a pixel.
    """

    container: str
    codec: str
    pixels: str
    colours: Colours
    ticks: int
    gop: float
    even: bool
    container_options: Mapping[str, str]
    codec_options: Mapping[str, str]
    by_slices: bool = False


#: By the file's suffix.  Both containers are written piece by piece, each at once, so that a
#: recording that is cut off can be played.
FORMATS = {
    ".mp4": Format(
        "mp4", "libx264", "yuv420p", _BT709, ticks=90_000, gop=2.0, even=True,
        # Turned into an ordinary file at the end.
        container_options={"movflags": "hybrid_fragmented", "flush_packets": "1"},
        # Without B-frames, whose reordering would shift the times while in fragments.
        codec_options={"preset": "veryfast", "crf": "20", "bf": "0"},
    ),
    # Without loss: blue, green and red as they were shown, bit for bit.
    ".mkv": Format(
        "matroska", "ffv1", "bgr0", _SRGB, ticks=1000, gop=0.0, even=False,
        container_options={"cluster_time_limit": "1000", "flush_packets": "1"},
        codec_options={"level": "3", "coder": "rice", "slicecrc": "1"},
        by_slices=True,
    ),
}  # fmt: skip


def check_recording(path: Path) -> None:
    """Refuse a recording's path before the session runs; nothing is touched.

    Raises:
        UsageError: its suffix is no format's, or it cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"{str(path)!r} is no recording's name: let it end in .mp4, or in .mkv for one "
            "without loss."
        )
    try:
        files.check_replaceable(path)
    except OSError as error:
        raise UsageError(
            f"The recording {str(path)!r} cannot be written ({error.strerror}): give a file "
            "in a folder that exists and is yours."
        ) from error


class Recorder:
    """Writes a hub's pictures to a file, timed by their ``ready_at``.

    The suffix says how: :data:`FORMATS`.  Until it is closed, the recording is in a partial file
    beside it (``play.partial.mp4`` for ``play.mp4``), which is made at the first picture; only
    then it takes the place of an earlier one.  If the process is killed, that partial file can be
    played except for about its last two seconds.

    Args:
        path: where to write; an existing file is replaced at the end.
        fps: the expected pictures a second; only a hint for the encoder.
        size: of the pictures' pixels.

    Raises:
        UsageError: the path is not one that can be written, or PyAV is not installed.
    """

    def __init__(self, path: str | Path, fps: float, size: Size) -> None:
        self._file = _VideoFile(Path(path), fps, size)
        self._problem: Exception | None = None
        self._subscription: Subscription | None = None
        self._thread: threading.Thread | None = None

    @property
    def written(self) -> int:
        """Return how many pictures the file has been given."""
        return self._file.written

    @property
    def dropped(self) -> int:
        """Return how many pictures were lost because the encoder was behind."""
        return 0 if self._subscription is None else self._subscription.dropped

    def start(self, hub: Hub, sound: Hub[SoundPacket] | None = None) -> None:
        """Record every picture that the hub publishes from now on, until it is closed.

        Args:
            hub: of the pictures.
            sound: of what is heard with them; None where nothing is.
        """
        if sound is not None:
            self._file.track = SoundTrack(sound)
        self._subscription = hub.subscribe(QUEUE, "drop-oldest")
        self._thread = threading.Thread(
            target=self._record, args=(self._subscription,), name="recorder", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Write what still waits, and finish the file; a second call does nothing.

        If there was no picture at all, nothing is touched.

        Raises:
            UnavailableError: the recording could not be written to its end; what was written is
                in the partial file, and an earlier recording is as it was.
        """
        if self._subscription is not None and self._thread is not None:
            self._subscription.close()
            self._thread.join()
        try:
            self._file.close(finish=self._problem is None)
        except self._file.errors as error:
            self._problem = self._problem or error
        problem, self._problem = self._problem, None
        if problem is not None:
            raise UnavailableError(self._broke_off(problem)) from problem

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _record(self, subscription: Subscription) -> None:
        try:
            for picture in subscription:
                self._file.write(picture)
        except self._file.errors as error:
            self._problem = error
            subscription.close()
            # Now, not at the session's end: there may be time to make room for another.
            logger.warning("%s The session goes on.", self._broke_off(error))

    def _broke_off(self, problem: Exception) -> str:
        """Return the sentence about a recording that has no end."""
        partial = self._file.partial
        kept = f"; what was written is in {partial}" if partial is not None and self.written else ""
        return (
            f"The recording {self._file.path} broke off after {self.written} pictures: "
            f"{getattr(problem, 'strerror', None) or problem}{kept}."
        )


class _VideoFile:
    """The file and its encoder; used by one thread at a time."""

    def __init__(self, path: Path, fps: float, size: Size) -> None:
        try:
            import av
        except ModuleNotFoundError as error:
            raise UsageError(
                'Recording needs PyAV, which is not installed: pip install "p2c2g[capture]".'
            ) from error
        check_recording(path)
        self.path = path
        #: Where it is until it is finished; None before the first picture.
        self.partial: Path | None = None
        self.size = size
        self.written = 0
        #: The exceptions that writing may raise.
        self.errors = (OSError, ValueError, av.FFmpegError)
        self._av = av
        self._format = FORMATS[path.suffix.lower()]
        self._rate = Fraction(fps).limit_denominator(1001)
        self._container: Any = None
        self._stream: Any = None
        self._first_at = 0.0
        self._last_tick = -1
        #: The sound, where there is any; to be set before the first picture.
        self.track: SoundTrack | None = None

    def write(self, picture: Picture) -> None:
        """Encode one picture; the first one makes the file.

        Raises one of ``self.errors``: the picture has another size, or the disk is full.
        """
        size, form = picture.output, self._format
        if size != self.size:
            raise ValueError(f"picture {picture.number} is {size}, and the file is {self.size}")
        at = picture.ready_at if self.track is None else picture.captured_at
        if self._container is None:
            self._open()
            self._first_at = at
        pixels = picture.pixels
        if form.even and (size.width % 2 or size.height % 2):
            pixels = np.pad(pixels, ((0, size.height % 2), (0, size.width % 2), (0, 0)), "edge")
        frame = self._av.VideoFrame.from_ndarray(pixels, format="bgr24")
        if form.colours.matrix:
            frame = frame.reformat(format=form.pixels, dst_colorspace=form.colours.matrix)
        else:
            frame = frame.reformat(format=form.pixels)
        # Two pictures may be ready within one tick of each other; a file's times must rise.
        tick = round((at - self._first_at) * form.ticks)
        self._last_tick = max(tick, self._last_tick + 1)
        frame.pts = self._last_tick
        frame.time_base = Fraction(1, form.ticks)
        frame.duration = round(form.ticks / self._rate)
        self._container.mux(self._stream.encode(frame))
        self.written += 1
        if self.track is not None:
            self.track.write(self._container, self._av.Packet, self._first_at, at)

    def close(self, *, finish: bool) -> None:
        """Write what the encoder still holds; put the file in its place if ``finish``."""
        container, self._container = self._container, None
        if self.track is not None:
            self.track.close()
        try:
            if container is not None:
                self._end(container)
        finally:
            if self.partial is not None and not self.written:
                self.partial.unlink(missing_ok=True)
                self.partial = None
        if self.partial is not None and container is not None and finish:
            files.finish(self.partial, self.path)

    def _end(self, container: Any) -> None:
        try:
            container.mux(self._stream.encode(None))
        finally:
            container.close()

    def _open(self) -> None:
        form, rate = self._format, self._rate
        self.partial = files.new_partial(self.path)
        self._container = self._av.open(
            # FFmpeg takes what stands before a colon for a protocol: a name may hold colons.
            f"file:{self.partial.absolute()}",
            "w",
            format=form.container,
            options=dict(form.container_options),
        )
        stream = self._container.add_stream(form.codec, rate=rate, options=dict(form.codec_options))
        stream.width = self.size.width + (form.even and self.size.width % 2)
        stream.height = self.size.height + (form.even and self.size.height % 2)
        stream.pix_fmt = form.pixels
        stream.time_base = Fraction(1, form.ticks)
        context = stream.codec_context
        context.time_base = Fraction(1, form.ticks)
        context.gop_size = max(1, round(form.gop * rate))
        if form.by_slices:
            context.thread_type, context.thread_count = "SLICE", min(4, os.cpu_count() or 1)
        context.color_primaries = form.colours.primaries
        context.color_trc = form.colours.transfer
        context.colorspace = form.colours.matrix
        context.color_range = form.colours.range
        self._stream = stream
        if self.track is not None:
            self.track.add_to(self._container)
