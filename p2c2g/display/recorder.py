"""The recorder: writes every picture that is shown to an MP4 file, with the times it was shown at.

A thread of its own writes the file from a bounded queue: where a disk or an encoder cannot keep
up, the recording loses its oldest waiting pictures, and the session loses nothing.
"""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import numpy as np

from p2c2g.display.hub import Hub, Subscription
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.media.frame import Picture, Size

#: Pictures that wait for the encoder; the oldest is dropped when it is full.
QUEUE = 16
#: Ticks a second of the file's clock.
TICKS = 90_000

_BT709 = 1  # the number of its primaries, transfer and matrix in ITU-T H.273
_LIMITED_RANGE = 1


class Recorder:
    """Writes a hub's pictures to an H.264 MP4 file, timed by their ``ready_at``.

    If the process is killed, the file can be played except for about its last two seconds.
    Odd widths and heights are padded by a pixel, since 4:2:0 video needs even ones.

    Args:
        path: where to write; an existing file is replaced.
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

    def start(self, hub: Hub) -> None:
        """Record every picture that the hub publishes from now on, until it is closed."""
        self._subscription = hub.subscribe(QUEUE, "drop-oldest")
        self._thread = threading.Thread(
            target=self._record, args=(self._subscription,), name="recorder", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Write what still waits, and finish the file; a second call does nothing.

        If there was no picture at all, no file is left.

        Raises:
            UnavailableError: the recording could not be written to its end.
        """
        if self._subscription is not None and self._thread is not None:
            self._subscription.close()
            self._thread.join()
        try:
            self._file.close()
        except self._file.errors as error:
            self._problem = self._problem or error
        problem, self._problem = self._problem, None
        if problem is not None:
            raise UnavailableError(
                f"The recording {self._file.path} broke off after {self.written} pictures: "
                f"{problem}."
            ) from problem

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


class _VideoFile:
    """The file and its encoder; used by one thread at a time."""

    def __init__(self, path: Path, fps: float, size: Size) -> None:
        try:
            import av
            from av.video.reformatter import Colorspace
        except ModuleNotFoundError as error:
            raise UsageError(
                'Recording needs PyAV, which is not installed: pip install "p2c2g[capture]".'
            ) from error
        if path.suffix.lower() != ".mp4":
            raise UsageError(f"{str(path)!r} is not an MP4 file's name: let it end in .mp4.")
        self.path = path
        self.size = size
        self.written = 0
        #: The exceptions that writing may raise.
        self.errors = (OSError, ValueError, av.FFmpegError)
        self._av = av
        self._matrix = int(Colorspace.ITU709)
        self._first_ready_at = 0.0
        self._last_tick = -1
        self._is_open = True
        try:
            # Fails now, not at the first picture, which is when FFmpeg itself opens the file.
            path.open("wb").close()
        except OSError as error:
            raise UsageError(
                f"The recording {str(path)!r} cannot be written ({error.strerror}): give a file "
                "in a folder that exists and is yours."
            ) from error
        self._container = av.open(
            str(path),
            "w",
            format="mp4",
            # Written in fragments, each at once, and turned into an ordinary file at the end.
            options={"movflags": "hybrid_fragmented", "flush_packets": "1"},
        )
        rate = Fraction(fps).limit_denominator(1001)
        self._nominal_ticks = round(TICKS / rate)
        # Without B-frames, whose reordering would shift the times while in fragments.
        self._stream = self._container.add_stream(
            "libx264", rate=rate, options={"preset": "veryfast", "crf": "20", "bf": "0"}
        )
        self._stream.width = size.width + size.width % 2
        self._stream.height = size.height + size.height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = Fraction(1, TICKS)
        context = self._stream.codec_context
        context.time_base = Fraction(1, TICKS)
        context.gop_size = max(1, round(2 * rate))
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED_RANGE

    def write(self, picture: Picture) -> None:
        """Encode one picture.

        Raises one of ``self.errors``: the picture has another size, or the disk is full.
        """
        size = picture.output
        if size != self.size:
            raise ValueError(f"picture {picture.number} is {size}, and the file is {self.size}")
        if not self.written:
            self._first_ready_at = picture.ready_at
        pixels = picture.pixels
        if size.width % 2 or size.height % 2:
            pixels = np.pad(pixels, ((0, size.height % 2), (0, size.width % 2), (0, 0)), "edge")
        frame = self._av.VideoFrame.from_ndarray(pixels, format="bgr24").reformat(
            format="yuv420p", dst_colorspace=self._matrix
        )
        # Two pictures may be ready within one tick of each other; a file's times must rise.
        tick = round((picture.ready_at - self._first_ready_at) * TICKS)
        self._last_tick = max(tick, self._last_tick + 1)
        frame.pts = self._last_tick
        frame.time_base = Fraction(1, TICKS)
        frame.duration = self._nominal_ticks
        self._container.mux(self._stream.encode(frame))
        self.written += 1

    def close(self) -> None:
        """Write what the encoder still holds, and finish the file."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            if self.written:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
        if not self.written:
            self.path.unlink()
