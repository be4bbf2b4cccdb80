"""What a player would show of a decoded picture: its colours, upright, its pixels square."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import MAX_EDGE, Pixels, Size
from p2c2g_capture.sources import scaled
from p2c2g_capture.sources.video.film import Film
from p2c2g_capture.sources.video.hdr import rendering_for

logger = logging.getLogger(__name__)

#: Pixels that are so much wider than high, or the other way round, are a wrong tag.
_LONGEST_PIXEL = 10
#: Shapes that differ by less are one shape, rounded.
_SAME_SHAPE = 0.01

# Numbers of ITU-T H.273, as FFmpeg has them: the matrix from red, green, blue to brightness and
# colour.
_YCGCO = 8
#: Those that FFmpeg's scaler takes.
_OF_THE_SCALER = {0, 1, 2, 4, 5, 6, 7, 9}
#: Those nearest to BT.2020's: of constant luminance, ICtCp, IPT.
_LIKE_BT2020 = {10, 13, 14, 15}
#: From Y, Cg, Co to blue, green, red.
_FROM_YCGCO = np.array([[1, -1, -1], [1, 1, 0], [1, -1, 1]], np.float64)


@dataclass(frozen=True, slots=True)
class Turn:
    """How a picture has to be turned to stand upright: transposed first, then mirrored."""

    transposed: bool = False
    #: Left and right, or top and bottom, changed.
    mirrored: bool = False
    upended: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Turn:
        """Read a frame's display matrix; turns that are not quarters are rounded to one."""
        try:
            data = cast(Any, frame.side_data)["DISPLAYMATRIX"]
        except KeyError:
            return cls()
        numbers = np.frombuffer(bytes(data), np.int32)
        if numbers.size < 5:
            return cls()
        # (x, y) is shown at (a x + c y, b x + d y), and the edge then moved to 0.
        a, b, _, c, d = (int(number) for number in numbers[:5])
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    def size(self, size: Size) -> Size:
        """Return the size of what it makes of a picture of that size; its own inverse."""
        return Size(size.height, size.width) if self.transposed else size

    def apply(self, pixels: Pixels) -> Pixels:
        """Return pixels turned."""
        if self.transposed:
            pixels = np.asarray(cv2.transpose(pixels), np.uint8)
        if self.mirrored or self.upended:
            axes = -1 if self.mirrored and self.upended else 1 if self.mirrored else 0
            pixels = np.asarray(cv2.flip(pixels, axes), np.uint8)
        return pixels


def square(size: Size, pixel: Fraction | None) -> Size:
    """Return the size in square pixels of a picture whose pixels have that width by height.

    It is never smaller: pixels that are too wide make the picture wider, narrow ones higher.
    """
    if not pixel or pixel <= 0 or max(pixel, 1 / pixel) > _LONGEST_PIXEL:
        return size
    if pixel > 1:
        wanted = Size(2 * round(size.width * pixel / 2), size.height)
    else:
        wanted = Size(size.width, 2 * round(size.height / pixel / 2))
    if pixel == 1 or max(wanted.width, wanted.height) > MAX_EDGE:
        return size
    return wanted


class Look:
    """Make every picture of a film look as the first: one size, upright, ordinary colours."""

    def __init__(self, film: Film, first: VideoFrame, size: Size | None = None) -> None:
        """Take a film, its first picture, and a size to give instead of the film's own."""
        self._name = film.name
        self._pixel = film.stream.sample_aspect_ratio
        self._first = self._upright(first, Turn.of(first))
        self.size = size or self._first
        self._has_said: set[str] = set()

    def pixels(self, frame: VideoFrame) -> Pixels:
        """Return a picture in :attr:`size`: (height, width, 3), blue, green, red.

        Raises:
            SourceUnavailableError: FFmpeg cannot convert such pictures.
        """
        turn = Turn.of(frame)
        fitted = self._fitted(self._upright(frame, turn))
        try:
            pixels = turn.apply(self._coloured(frame, turn.size(fitted)))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceUnavailableError(
                f"{self._name} has pictures of a kind that cannot be shown "
                f"({frame.format.name}): convert it to H.264, for example."
            ) from error
        if fitted == self.size:
            return np.ascontiguousarray(pixels)
        whole = np.zeros((self.size.height, self.size.width, 3), np.uint8)
        top = (self.size.height - fitted.height) // 2
        left = (self.size.width - fitted.width) // 2
        whole[top : top + fitted.height, left : left + fitted.width] = pixels
        return whole

    def _upright(self, frame: VideoFrame, turn: Turn) -> Size:
        return turn.size(square(Size(frame.width, frame.height), self._pixel))

    def _fitted(self, upright: Size) -> Size:
        """Return the size in which a picture is shown, which has bars if it changed its shape."""
        first, size = self._first, self.size
        across, down = first.width / upright.width, first.height / upright.height
        if abs(across / down - 1) < _SAME_SHAPE:
            return size
        scale = min(across, down)
        return Size(
            max(1, round(size.width * upright.width * scale / first.width)),
            max(1, round(size.height * upright.height * scale / first.height)),
        )

    def _coloured(self, frame: VideoFrame, size: Size) -> Pixels:
        rendering = rendering_for(frame.color_trc, frame.color_primaries)
        matrix = frame.colorspace
        if not frame.format.is_rgb and matrix not in _OF_THE_SCALER:
            if matrix == _YCGCO:
                return scaled(_from_ycgco(frame), size)
            self._say(
                f"has colours that FFmpeg cannot convert (matrix {matrix}): they are shown as the "
                "nearest kind that it can."
            )
            frame.colorspace = Colorspace.BT2020 if matrix in _LIKE_BT2020 else Colorspace.ITU709
        if rendering is None:
            # FFmpeg knows the file's colours; OpenCV scales in half FFmpeg's time.
            return scaled(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8), size)
        if rendering.name:
            self._say(
                f"is HDR ({rendering.name}): it is shown with the range of an ordinary screen."
            )
        codes = np.asarray(frame.to_ndarray(format="rgb48le"), np.uint16)
        return rendering.render(codes, size)

    def _say(self, what: str) -> None:
        if what not in self._has_said:
            self._has_said.add(what)
            logger.warning("%s %s", self._name, what)


def _from_ycgco(frame: VideoFrame) -> Pixels:
    """Return blue, green, red of a picture in YCgCo (H.273, equations 48 to 51)."""
    is_full = frame.color_range == ColorRange.JPEG
    kept = ColorRange.JPEG if is_full else ColorRange.MPEG
    # A matrix that the scaler takes, the same before and after: nothing is converted by it.
    frame.colorspace = Colorspace.ITU709
    planes = frame.reformat(format="yuv444p", src_color_range=kept, dst_color_range=kept)
    codes = np.moveaxis(np.asarray(planes.to_ndarray(), np.uint8), 0, -1)
    black, grey = (0, 128) if is_full else (16, 128)
    spans = np.array([255, 255, 255] if is_full else [219, 224, 224]) / 255
    matrix = _FROM_YCGCO / spans
    offset = matrix @ np.array([black, grey, grey])
    whole = np.column_stack([matrix, -offset])
    return np.asarray(cv2.transform(np.ascontiguousarray(codes), whole), np.uint8)
