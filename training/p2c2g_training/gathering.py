"""Where a game's frames come from: the screen while it is played, a video, a folder of pictures."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from pathlib import Path

import cv2
from rich.console import Console

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Pixels, Size
from p2c2g_capture.sources import open_source
from p2c2g_training.home import digest
from p2c2g_training.recording import (
    INTERVAL,
    MAX_FRAMES,
    MAX_PIXELS,
    Folder,
    Recording,
    check_size,
    fitting,
    load_checked,
    paced,
)
from p2c2g_training.shown import Shown
from p2c2g_training.video import pictures

#: Seconds of play that are recorded, and of a video that are read, where not given.
SECONDS, VIDEO_SECONDS = 90.0, 1200.0
#: The size of sources that have none of their own.
DRAWN = Size(1280, 720)


class Stopped(Exception):  # noqa: N818 - it is not an error
    """The gamer stopped it; everything so far is kept."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where frames come from: one of the three; a screen where none is given."""

    source: str = "screen"
    video: Path | None = None
    folder: Path | None = None
    seconds: float | None = None
    resolution: Size | None = None

    @property
    def asked(self) -> float:
        """Return how many seconds of it are asked for."""
        return self.seconds or (SECONDS if self.video is None else VIDEO_SECONDS)

    @property
    def name(self) -> str:
        """Return a name that differs between origins."""
        if self.folder is not None:
            return f"frames:{self.folder.resolve()}"
        return f"video:{self.video.resolve()}" if self.video is not None else self.source


@dataclass(frozen=True, slots=True)
class Gathered:
    """Frames in the order of time: their files, and the numbers of frames of each scene."""

    files: tuple[Path, ...]
    scenes: tuple[int, ...]

    @property
    def digest(self) -> str:
        """Return a hash that differs from that of other frames."""
        return digest(list(self.files))

    def load(self) -> list[Pixels]:
        """Return the frames: (h, w, 3) BGR each.

        Raises:
            UsageError: one cannot be read, or is too small to teach.
        """
        return load_checked(self.files)


def gather(origin: Origin, folder: Folder, console: Console, stop: threading.Event) -> Gathered:
    """Return a game's frames; an interrupted recording goes on.

    Raises:
        UsageError: there is no such source.
        SourceUnavailableError: it cannot be opened, or ended before there was a frame.
        Stopped: the gamer stopped the recording.
    """
    if origin.folder is not None:
        if not origin.folder.is_dir():
            raise UsageError(f"{origin.folder} is not a folder: give one with PNG files.")
        files = sorted(origin.folder.glob("*.png"))
        return _chosen(files, (len(files),), console)
    recording = folder.read()
    if recording.frames and recording.source != origin.name:
        console.print(f"The frames from {recording.source} are replaced by those of {origin.name}.")
        recording = replace(recording, scenes=(), seconds=0.0, whole=False)
    enough = recording.whole and recording.asked >= origin.asked
    recording = replace(recording, source=origin.name, asked=origin.asked)
    if enough:
        console.print(f"The {recording.frames} frames recorded before are used.")
    else:
        recording = _record(origin, folder, recording, console, stop)
    if stop.is_set():
        raise Stopped
    if folder.thinned:
        console.print(f"Every second frame was left out now and then: {folder.thinned} in all.")
    return _chosen(folder.files(), recording.scenes, console)


def _record(
    origin: Origin, folder: Folder, recording: Recording, console: Console, stop: threading.Event
) -> Recording:
    if origin.video is not None:
        # Decoding is quick: an interrupted video starts from its beginning again.
        recording = replace(recording, scenes=(), seconds=0.0)
    whole = origin.asked
    left = whole - recording.seconds
    before = recording.seconds
    with ExitStack() as stack:
        frames = stack.enter_context(_opened(origin, left, stop))
        if not recording.frames:
            # What was recorded before stays until there is something in its place.
            first = next(frames, None)
            frames = chain(() if first is None else (first,), frames)
            for file in folder.files():
                file.unlink()
        what = "Looking at the video" if origin.video is not None else "Recording: play"
        shown = stack.enter_context(Shown(console, what))

        def tell(count: int, now: float) -> None:
            shown.at(min(1.0, (before + now) / whole), f"{count} frames")

        return folder.extend(recording, frames, tell, stop.is_set)


@contextmanager
def _opened(
    origin: Origin, seconds: float, stop: threading.Event
) -> Iterator[Iterator[tuple[float, Pixels]]]:
    if origin.video is not None:
        yield pictures(origin.video, seconds)
        return
    drawn = origin.source.partition(":")[0] in {"game", "pattern"}
    size = origin.resolution or (DRAWN if drawn else None)
    with open_source(origin.source, size, fps=1 / INTERVAL) as source:
        check_size(source.size, source.name)
        yield _until_it_ends(paced(source.grab, seconds, time.monotonic, stop.wait))


def _until_it_ends(frames: Iterator[tuple[float, Pixels]]) -> Iterator[tuple[float, Pixels]]:
    """Treat a game that was closed as the end of the recording, if there was a picture."""
    given = 0
    try:
        for frame in frames:
            yield frame
            given += 1
    except SourceUnavailableError:
        if not given:
            raise


def _chosen(files: Sequence[Path], scenes: Sequence[int], console: Console) -> Gathered:
    """Return as many of the frames as memory allows, evenly over their time."""
    if not files:
        return Gathered((), ())
    first = cv2.imread(str(files[0]))
    pixels = first.shape[0] * first.shape[1] if first is not None else 1
    kept = fitting(len(files), pixels)
    if len(kept) < len(files):
        console.print(
            f"Of {len(files)} frames {len(kept)} are used, evenly over the time: no more than "
            f"{MAX_FRAMES}, and {MAX_PIXELS // 1_000_000} megapixels in all, fit in memory."
        )
    ends = list(accumulate(scenes))
    counts = [0] * len(ends)
    for index in kept:
        counts[bisect_right(ends, index)] += 1
    return Gathered(tuple(files[index] for index in kept), tuple(counts))
