"""From a name to the film in a file, or to a sentence that says why there is none."""

from __future__ import annotations

import os
import re
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from p2c2g.errors import UsageError

#: FFmpeg would show such files as a video of a text being typed.
_TEXTS = {"tty", "bin", "xbin", "adf", "idf"}
#: Up to this many pixels one thread decodes fast enough; more threads would only waste cores.
_ONE_THREAD = 1280 * 720


def readable(path: Path) -> str:
    """Return a path as it can be printed: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(path).decode(errors="replace")


def open_container(path: Path) -> InputContainer:
    """Open a file.

    Raises:
        UsageError: there is no such file, or nothing that FFmpeg can read in it.
    """
    name = readable(path)
    try:
        _check(path, name)
        # Without the protocol, FFmpeg would take a colon in the name for the end of one.  Old
        # programs wrote the names of songs and films in the code pages of their time.
        return av.open(f"file:{path}", mode="r", metadata_errors="replace")
    except av.FFmpegError as error:
        raise UsageError(
            f"{name} is not a video that can be played: {error.strerror}. If it should be one, it "
            "is cut short or not finished: record or copy it again."
        ) from error
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}.") from error


def _check(path: Path, name: str) -> None:
    if not path.exists():
        if re.match(r"[a-z][a-z0-9+.-]+:/", name):
            raise UsageError(
                f"{name} is an address, and a video is played from a file of this machine: give "
                "video:FILE with its path; a film on the net has to be downloaded first."
            )
        raise UsageError(f"There is no file {name}: give video:FILE with the path of a video.")
    if not path.is_file():
        # A pipe or a camera would have to be played again from its start, too.
        raise UsageError(f"{name} is not a file: give video:FILE with the path of a video.")
    # FFmpeg's own error would not tell a file that is not ours from one that is no video.
    path.open("rb").close()
    if not path.stat().st_size:
        raise UsageError(
            f"{name} is not a video that can be played: it is empty, 0 bytes. Record or copy it "
            "again."
        )


def find_film(container: InputContainer, path: Path) -> VideoStream:
    """Return the stream that a player would show, ready to be decoded.

    Raises:
        UsageError: there is none.
    """
    name = readable(path)
    if container.format.name in _TEXTS:
        raise UsageError(f"{name} is not a video that can be played: it is a text.")
    videos = container.streams.video
    films = [s for s in videos if not s.disposition & Disposition.attached_pic]
    if not films:
        what = "only sound and its cover" if videos else "only sound or data"
        raise UsageError(f"{name} holds no video, {what}: give a file with moving pictures.")
    # The kind of type check that PyAV's own stubs leave out: a stream without a decoder.
    known = [s for s in films if getattr(s, "codec_context", None) is not None]
    if not known:
        raise UsageError(
            f"{name} is not a video that can be played: FFmpeg has no decoder for it. Convert "
            "it to H.264, for example."
        )
    best = container.streams.best("video")
    film = best if isinstance(best, VideoStream) and best in known else known[0]
    if film.codec_context.width * film.codec_context.height > _ONE_THREAD:
        film.thread_type = "AUTO"
    else:
        film.codec_context.thread_count = 1
    return film
