"""A video file as a source, in an endless loop: plays where there is no screen.

The picture of a tick is the one that is on at the tick's time.  Pictures in between are
decoded, since later ones depend on them, but never converted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Pixels, Size
from p2c2g_capture.sources import Source
from p2c2g_capture.sources.video.film import Film, Picture
from p2c2g_capture.sources.video.look import Look

#: A picture may come so many seconds early: times in files and ticks are rounded.
_EARLY = 0.001
#: Further behind than this, seconds, a key frame on the way may be cheaper than decoding all.
_SEEK = 2.0
#: Once that far behind, seconds, one grab decodes for no longer than the second number; the film
#: then goes on from where it has come to, as one that was paused.
_BEHIND, _PATIENCE = 1.0, 0.5


class VideoSource(Source):
    """The pictures of a file as a player would show them, repeated from its start at its end.

    The file's own pace is kept whatever the ticks are: at 60 ticks a second each picture of a
    file of 30 is given twice (the same array), at 10 only every third is given.
    """

    def __init__(
        self,
        path: Path,
        size: Size | None = None,
        fps: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the file; ``fps`` is the number of ticks a second, ``clock`` returns seconds.

        Raises:
            UsageError: there is no such file, or no video in it.
        """
        path = _expanded(path)
        self._fps = fps
        self._clock = clock
        self._closed = False
        self.film = path
        self._film = Film(path)
        self.name = f"video:{self._film.name.rpartition('/')[2]}"
        try:
            self._pictures: Iterator[Picture] = self._film.play()
            self._current = next(self._pictures)
            self._next = next(self._pictures, None)
            #: A single picture never has to be decoded again.
            self._is_still = self._next is None
            self._look = Look(self._film, self._current.frame, size)
            self.size = self._look.size
            self._pixels = self._look.pixels(self._current.frame)
        except SourceUnavailableError as error:
            self.close()
            raise UsageError(str(error)) from error
        except BaseException:
            self.close()
            raise
        #: When the present pass began, in the ticks' seconds.
        self._began = 0.0
        #: How long a pass is, in seconds, once one has been seen.
        self._length: float | None = None

    def grab(self, number: int) -> Pixels:
        """Return the picture at ``number / fps`` seconds: (height, width, 3).

        Raises:
            SourceUnavailableError: the file cannot be played again, or is closed.
        """
        if self._closed:
            raise SourceUnavailableError(f"{self._film.name} is closed.")
        if self._is_still:
            return self._pixels
        shown = self._current
        self._advance_to(number / self._fps)
        if self._current is not shown:
            self._pixels = self._look.pixels(self._current.frame)
        return self._pixels

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._closed = True
        self._film.close()

    def _advance_to(self, moment: float) -> None:
        """Move to the picture that is on at ``moment``, in seconds from the first start."""
        if moment - self._began < self._current.at - _EARLY:
            self._go_back(moment)
        limit = self._clock() + _PATIENCE
        sought = False
        while True:
            within = moment - self._began + _EARLY
            if self._next is None:
                self._length = self._current.ends
            if self._length is not None and within >= self._length:
                self._began += within // self._length * self._length
                self._restart()
                sought = False
            elif self._next is None or self._next.at > within:
                return
            elif within - self._current.at > _SEEK and not sought:
                sought = True
                self._seek(within)
            else:
                self._current, self._next = self._next, next(self._pictures, None)
                behind = within - self._current.at
                if behind > _BEHIND and self._clock() > limit:
                    self._began += behind
                    return

    def _go_back(self, moment: float) -> None:
        """Begin the pass again, or the earlier one in which ``moment`` lies."""
        if moment < self._began:
            length = self._length
            passes = math.floor((moment - self._began) / length) if length else 0
            self._began = self._began + passes * length if length else 0.0
        self._restart()

    def _restart(self) -> None:
        """Make the film's first picture the current one."""
        film = self._film
        first = None
        if film.rewind():
            self._pictures = film.pictures()
            first = next(self._pictures, None)
        if first is None or first.at > _EARLY:
            # It has no index, or times that cannot be sought.
            try:
                self._film = film.reopened()
                self._pictures = self._film.play()
                first = next(self._pictures)
            except UsageError as error:
                raise SourceUnavailableError(f"The video cannot be repeated: {error}") from error
        self._current, self._next = first, next(self._pictures, None)

    def _seek(self, moment: float) -> None:
        """Go on at the last key frame up to ``moment``, unless that is a way back."""
        other = self._film.sought(moment)
        if other is None:
            return
        pictures = other.pictures()
        first = next(pictures, None)
        if first is None or not self._current.at < first.at <= moment:
            other.close()
            return
        self._film.close()
        self._film, self._pictures = other, pictures
        self._current, self._next = first, next(pictures, None)


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        # ~ and a name that is no user's: a file may be called that.
        return path
