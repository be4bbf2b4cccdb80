"""Where frames come from: a screen, a video file, a test pattern or a game of our own.

A source gives a picture when it is asked; the pacer decides when to ask.  Each kind has its own
module, imported only when it is asked for, so that a pattern needs no screen library.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import cv2
import numpy as np

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Pixels, Size

if TYPE_CHECKING:
    from p2c2g_capture.input.target import Target
    from p2c2g_capture.sound import SoundSource

_log = logging.getLogger(__name__)

SPECS = (
    "auto, screen, screen:MONITOR, screen:X,Y,WxH, screen:window=TITLE, video:FILE, pattern, "
    "pattern:beep, game or game:NAME"
)


class Source(Protocol):
    """Something that gives pictures, all of one size."""

    #: Size of every picture that it gives.
    size: Size
    #: What a person calls it, such as ``pattern`` or ``screen:1``.
    name: str
    #: The file that it plays, if it does.
    film: Path | None = None
    #: What is heard of it, where it makes that itself.
    sound: SoundSource | None = None
    #: The program whose window it is, where that is known.
    pid: int | None = None

    def grab(self, number: int) -> Pixels:
        """Return the picture of tick ``number`` of the pacer (0, 1, 2, …).

        A pattern draws the number, a video picks the picture of that time, a screen gives
        what is there now.  The array has shape (height, width, 3 or 4), ``uint8``, blue,
        green, red and, where there is a fourth, noise.  The source never writes to it again, and
        the caller must not either, since a video may give the same array twice.

        Raises:
            SourceUnavailableError: the source has ended.
        """
        ...

    def wait(self, seconds: float) -> bool:
        """Wait, where it is known, until there is another picture than the last; tell whether.

        A picture that is taken when it was just drawn is younger than one taken at any other time.

        Args:
            seconds: that it waits at most.
        """
        return False

    def notice(self) -> str:
        """Return what a viewer should know of the picture now, one sentence without its end.

        Called from any thread; it waits for nothing.
        """
        return ""

    def target(self) -> Target | None:
        """Return where its game is played; None where there is nothing to play."""
        return None

    def ends(self) -> str:
        """Return what a person loses when it is closed: a game that was started for it; or none."""
        return ""

    def close(self) -> None:
        """Release what the source holds; may be called twice."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_source(
    spec: str,
    size: Size | None = None,
    fps: float = 60.0,
    *,
    cursor: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Source:
    """Open the source that ``spec`` names; the caller closes it.

    Args:
        spec: ``auto`` (the screen where there is one, else the shipped clip), ``screen``
            (its first monitor), ``screen:MONITOR`` (from 1; 0 is all of them),
            ``screen:X,Y,WxH``, ``screen:window=TITLE``, ``video:FILE``, ``pattern``,
            ``pattern:beep`` (which flashes and beeps), ``game`` (one that plays by itself) or
            ``game:NAME`` (by its profile: the one that runs, or one that is started).
        size: of the pictures; None for the source's own.
        fps: ticks a second, from which a video computes the time of tick ``number``.
        cursor: whether a screen's picture has the pointer in it.
        environment: what a game that is started is told besides, such as where to play its sound.

    Raises:
        UsageError: there is no such source, or not in that size.
        SourceUnavailableError: something that it needs is not there now.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise UsageError(f"{fps:g} pictures a second cannot be: give a number above 0, such as 60.")
    try:
        return _open(spec, size, fps, cursor, environment or {})
    except ImportError as missing:
        raise SourceUnavailableError(
            f"{spec} needs the library {missing.name}, which is not installed: "
            'pip install "p2c2g[capture]".'
        ) from missing


def _open(
    spec: str, size: Size | None, fps: float, cursor: bool, environment: Mapping[str, str]
) -> Source:
    kind, colon, rest = spec.lstrip().partition(":")
    if kind != "video":
        # A file's name may end in a space.
        kind, rest = kind.strip(), rest.strip()
    if colon and not rest:
        raise UsageError(f"{spec!r} ends at its colon: give one of {SPECS}.")
    if cursor and kind not in ("screen", "auto") and not (kind == "game" and rest):
        raise UsageError(f"Only a screen has a pointer, and {spec} is none: leave out --cursor.")
    match kind:
        case "screen":
            from p2c2g_capture.sources.screen import ScreenSource

            return ScreenSource.open(rest, size, cursor=cursor)
        case "video":
            if not rest:
                raise UsageError("video needs a file: give video:FILE, such as video:play.mp4.")
            from p2c2g_capture.sources.video import VideoSource

            return VideoSource(Path(rest), size, fps)
        case "game" if not rest:
            from p2c2g_capture.sources.game import GameSource

            return GameSource(None, size, environment=environment)
        case "game":
            from p2c2g_capture.games.played import open_game
            from p2c2g_capture.games.store import ProfileStore

            return open_game(ProfileStore().load(rest), size, environment, cursor=cursor)
        case "pattern" if not rest:
            from p2c2g_capture.sources.pattern import PatternSource

            return PatternSource(size)
        case "pattern" if rest == "beep":
            from p2c2g_capture.sources.flashing import FlashingPattern

            return FlashingPattern(size, fps)
        case "auto" if not rest:
            return _open_auto(size, fps, cursor)
    raise UsageError(f"{spec!r} is not a source: give one of {SPECS}.")


def scaled(pixels: Pixels, size: Size) -> Pixels:
    """Return pixels in another size, or themselves where they have it.

    Smaller ones are averaged over their area, larger ones interpolated linearly.
    """
    here = Size.of(pixels)
    if here == size:
        return pixels
    smaller = size.width <= here.width and size.height <= here.height
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (size.width, size.height), interpolation=way), np.uint8)


def shipped_clip() -> Path:
    """Return the path of the clip of Freedoom that comes with the package."""
    return Path(str(resources.files("p2c2g_capture").joinpath("clips", "freedoom.mp4")))


def _open_auto(size: Size | None, fps: float, cursor: bool) -> Source:
    if sys.platform != "linux" or os.environ.get("DISPLAY"):
        from p2c2g_capture.sources.screen import ScreenSource

        try:
            return ScreenSource.open("", size, cursor=cursor)
        except SourceUnavailableError as why:
            # Such as a DISPLAY without a server over a broken ssh -X.
            _log.warning("The shipped clip is played instead of the screen. %s", why)
    else:
        _log.warning("The shipped clip is played: DISPLAY is not set, so there is no screen.")
    from p2c2g_capture.sources.video import VideoSource

    return VideoSource(shipped_clip(), size, fps)
