"""The pictures of a video file, as fast as it decodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels
from p2c2g_capture.sources.video import VideoSource
from p2c2g_training.recording import INTERVAL, check_size


def pictures(path: Path, seconds: float) -> Iterator[tuple[float, Pixels]]:
    """Yield (seconds, picture) every :data:`~p2c2g_training.recording.INTERVAL`, from the start.

    Raises:
        UsageError: there is no such file, no video in it, or it breaks off at once.
    """
    # It has the messages for everything that can be wrong with a file.
    with VideoSource(path) as checked:
        check_size(checked.size, str(path))
    begin, due, given = None, 0.0, 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for picture in container.decode(stream):
                if picture.time is None:
                    continue
                begin = picture.time if begin is None else begin
                now = picture.time - begin
                if now >= seconds:
                    return
                if now < due:
                    continue
                yield now, np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
                given, due = given + 1, now + INTERVAL
    except (av.FFmpegError, OSError) as error:
        # What was decoded so far serves as a shorter video.
        if not given:
            raise UsageError(f"{path} cannot be decoded: {error}.") from error
