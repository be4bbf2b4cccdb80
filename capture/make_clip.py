"""Make the clip that the package ships: some seconds of Freedoom, played by Crispy Doom.

Run it from the repository's root, where Xvfb, crispy-doom and freedoom are installed::

    PYTHONPATH=.:capture python capture/make_clip.py

The play is a demo recorded by the Freedoom project; Crispy Doom draws pictures between its own
35 a second, so it is as smooth as the clip's rate.  Two runs give the same play but not the same
bytes: a game's pictures do not fall on the same microseconds twice.
"""

from __future__ import annotations

import argparse
import sys
from fractions import Fraction
from pathlib import Path

import av

from p2c2g.errors import P2C2GError
from p2c2g.media.frame import Frame, Size
from p2c2g_capture.pacer import Pacer
from p2c2g_capture.sources import shipped_clip
from p2c2g_capture.sources.game import GameSource


def main() -> int:
    """Record, encode and report; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=shipped_clip())
    parser.add_argument("--size", type=Size.parse, default=Size(640, 360))
    parser.add_argument("--fps", type=int, default=60)
    parser.add_argument("--skip", type=float, default=4.0, help="seconds of play to pass over")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--crf", type=int, default=27, help="x264's quality; lower is better")
    args = parser.parse_args()
    try:
        with GameSource("crispy-doom", args.size, smooth=True) as game:
            pacer = Pacer(game, args.fps, args.skip + args.seconds)
            first = round(args.skip * args.fps)
            # Record all, then encode: the encoder must not slow the game down.
            frames = [frame for frame in pacer if frame.number >= first]
    except P2C2GError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    expected = round(args.seconds * args.fps)
    if len(frames) < expected * 0.99 or frames[0].number != first:
        sys.stderr.write(
            f"Only {len(frames)} of {expected} pictures were caught: this machine is busy. "
            "Run it again, or ask for fewer with --fps 30.\n"
        )
        return 1
    args.output.parent.mkdir(parents=True, exist_ok=True)
    # Beside it first: a clip that breaks off must not cost the one that was there.
    part = args.output.with_name(f".{args.output.name}.part")
    try:
        _encode(part, frames, args)
        part.replace(args.output)
    finally:
        part.unlink(missing_ok=True)
    sys.stdout.write(
        f"{args.output}: {args.output.stat().st_size:,} bytes, "
        f"{len(frames)} of {expected} pictures caught\n"
    )
    return 0


def _encode(path: Path, frames: list[Frame], args: argparse.Namespace) -> None:
    """Write frames as an MP4; their numbers are times in ticks of the rate."""
    options = {"movflags": "+faststart"}
    # Without the protocol, FFmpeg would take a colon in the name for the end of one.
    with av.open(f"file:{path}", "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=args.fps)
        stream.width, stream.height = args.size.width, args.size.height
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, args.fps)
        # A key frame each second: a late viewer of the file catches up by seeking.
        stream.options = {"crf": str(args.crf), "preset": "veryslow", "g": str(args.fps)}
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame.pixels[:, :, :3].copy(), format="bgr24")
            picture.pts = frame.number - frames[0].number
            picture.time_base = Fraction(1, args.fps)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    sys.exit(main())
