"""The pictures of a video file, as fast as it decodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Pixels
from p2c2g_capture.sources.video import Film, Look
from p2c2g_training.recording import INTERVAL, check_size


def pictures(path: Path, seconds: float) -> Iterator[tuple[float, Pixels]]:
    """Yield (seconds, picture) every :data:`~p2c2g_training.recording.INTERVAL`, from the start.

    Raises:
        UsageError: there is no such file, no video in it, or none that can be decoded.
    """
    with Film(path) as film:
        look, due = None, 0.0
        for picture in film.play():
            if picture.at >= seconds:
                return
            if picture.at < due:
                continue
            try:
                if look is None:
                    look = Look(film, picture.frame)
                    check_size(look.size, film.name)
                yield picture.at, look.pixels(picture.frame)
            except SourceUnavailableError as error:
                raise UsageError(str(error)) from error
            due = picture.at + INTERVAL
