"""Make the clip that the package ships: some seconds of Freedoom, drawn by dsda-doom.

Run it from the repository's root, where dsda-doom and freedoom are installed::

    PYTHONPATH=.:capture python capture/make_clip.py

The play is a demo recorded by the Freedoom project.  dsda-doom draws it picture by picture, 60 a
second, at 1280x720, and no clock is involved: two runs give the same pictures.  They are scaled
down by area to half, as a game's frames are that teach nets, and encoded in full colour resolution
at a high quality: what is lost here would look like a net's fault.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from p2c2g.errors import P2C2GError, SourceUnavailableError
from p2c2g.media.frame import Pixels, Size
from p2c2g.system import processes
from p2c2g_capture.sources import shipped_clip

#: Where Debian's package freedoom has the game's data, and its first demo is in there.
GAME = Path("/usr/share/games/doom/freedoom1.wad")
FPS = 60
#: How the game draws: in software, and every picture goes to a pipe instead of an encoder.
CONFIG = """\
videomode "Software"
screen_resolution "{size}"
use_fullscreen 0
cap_fps {fps}
cap_videocommand "cat > {pipe}"
cap_soundcommand "cat > /dev/null"
cap_muxcommand "true"
cap_remove_tempfiles 0
cap_wipescreen 0
"""


def main() -> int:
    """Draw, encode and report; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=shipped_clip())
    parser.add_argument("--demo", default="demo1", help="lump of the game's data")
    parser.add_argument("--large", type=Size.parse, default=Size(1280, 720), help="as it is drawn")
    parser.add_argument("--skip", type=float, default=5.0, help="seconds of play to pass over")
    parser.add_argument("--seconds", type=float, default=9.0)
    parser.add_argument("--crf", type=int, default=14, help="x264's quality; lower is better")
    args = parser.parse_args()
    args.output.parent.mkdir(parents=True, exist_ok=True)
    # Beside it first: a clip that breaks off must not cost the one that was there.
    part = args.output.with_name(f".{args.output.name}.part")
    try:
        with drawn(args.demo, args.large) as pictures:
            first = round(args.skip * FPS)
            _encode(part, islice(pictures, first, first + round(args.seconds * FPS)), args)
        part.replace(args.output)
    except P2C2GError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    finally:
        part.unlink(missing_ok=True)
    sys.stdout.write(f"{args.output}: {args.output.stat().st_size:,} bytes\n")
    return 0


@contextmanager
def drawn(demo: str, size: Size) -> Iterator[Iterator[Pixels]]:
    """Play a demo; give its pictures, (height, width, 3) BGR, one after the other.

    Raises:
        SourceUnavailableError: the game is not installed.
    """
    program = processes.find("dsda-doom")
    if program is None or not GAME.is_file():
        raise SourceUnavailableError("The clip needs the game: apt-get install dsda-doom freedoom.")
    with tempfile.TemporaryDirectory(prefix="p2c2g-clip-") as home:
        pipe, lump = Path(home, "pipe"), Path(home, f"{demo}.lmp")
        lump.write_bytes(lump_of(GAME.read_bytes(), demo))
        os.mkfifo(pipe)
        config = Path(home, "config")
        config.write_text(CONFIG.format(size=size, fps=FPS, pipe=pipe))
        command = [str(program), "-iwad", str(GAME), "-config", str(config), "-nosound",
                   "-geom", f"{size}w", "-width", str(size.width), "-height", str(size.height),
                   "-timedemo", str(lump), "-viddump", "clip"]  # fmt: skip
        env = {**os.environ, "HOME": home, "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
        process = processes.start(
            command, env=env, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            with pipe.open("rb") as stream:
                yield _read(stream.read, size)
        finally:
            processes.stop(process)


def _read(read: Callable[[int], bytes], size: Size) -> Iterator[Pixels]:
    count = size.width * size.height * 3
    while len(data := read(count)) == count:
        rgb = np.frombuffer(data, np.uint8).reshape(size.height, size.width, 3)
        yield np.ascontiguousarray(rgb[:, :, ::-1])


def lump_of(wad: bytes, name: str) -> bytes:
    """Return a lump of a WAD file, whose directory has 16 bytes for each: place, length, name."""
    count, begin = (int.from_bytes(wad[at : at + 4], "little") for at in (4, 8))
    for at in range(begin, begin + 16 * count, 16):
        if wad[at + 8 : at + 16].rstrip(b"\0").lower() == name.encode():
            place, length = (int.from_bytes(wad[i : i + 4], "little") for i in (at, at + 4))
            return wad[place : place + length]
    raise SourceUnavailableError(f"There is no {name} in {GAME}: give demo1, demo2 or demo3.")


def _encode(path: Path, pictures: Iterator[Pixels], args: argparse.Namespace) -> None:
    """Write pictures as an MP4 at half their size."""
    size = Size(args.large.width // 2, args.large.height // 2)
    options = {"movflags": "+faststart"}
    # Without the protocol, FFmpeg would take a colon in the name for the end of one.
    with av.open(f"file:{path}", "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = size.width, size.height
        stream.pix_fmt = "yuv444p"
        stream.time_base = Fraction(1, FPS)
        # A key frame each second: a late viewer of the file catches up by seeking.
        stream.options = {"crf": str(args.crf), "preset": "veryslow", "g": str(FPS)}
        for number, large in enumerate(pictures):
            small = cv2.resize(large, (size.width, size.height), interpolation=cv2.INTER_AREA)
            picture = av.VideoFrame.from_ndarray(np.asarray(small, np.uint8), format="bgr24")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    sys.exit(main())
