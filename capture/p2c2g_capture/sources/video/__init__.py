"""A video file as a source, played again and again: for where there is no screen.

``opening`` finds the film in a file, ``film`` decodes it, ``timeline`` says when each picture
comes on, ``look`` makes what a player would show of it (with ``hdr`` for high dynamic range), and
``source`` gives the picture of a tick.
"""

from p2c2g_capture.sources.video.film import Film
from p2c2g_capture.sources.video.look import Look
from p2c2g_capture.sources.video.source import VideoSource

__all__ = ["Film", "Look", "VideoSource"]
