"""One picture as one binary message for a browser; pure.

.. code-block:: text

    4 bytes    length of the header, little-endian
    header     JSON, UTF-8
    payloads   one after the other

The header holds ``number``, ``state`` ("complete" or "degraded"), ``output`` (``[width, height]``
in pixels), ``captured_ms`` (the capture, by the session's clock, as a packet of sound has it) and
``age_ms`` (from the capture to this message).  Payloads are named by
``[offset, length]``, rectangles are ``[x, y, width, height]``.  The rest depends on who makes the
picture:

-   a browser that draws gets ``own``, the frame's own pixels, with their ``media_type``
    (``image/jpeg``, or :data:`RGBA` for four bytes a pixel, row by row), and ``residuals``, each
    with its ``target``, ``payload`` and ``media_type``;
-   for any other the session composes: ``picture`` and, where it was asked for, ``base`` are
    JPEGs.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import simplejpeg

from p2c2g.display.terms import terms
from p2c2g.media.codecs import codec
from p2c2g.media.greys import grey
from p2c2g.media.picture import Picture
from p2c2g.media.residual import Form

#: JPEG quality of pictures that the session composes.
QUALITY = 90
#: And of a frame's own pixels, without subsampling of colours: the browser enlarges them.
OWN_QUALITY = 95
#: No image, but pixels as they are; not a registered type.
RGBA = "rgba"
_JPEG = "image/jpeg"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a viewer asks for: to draw by itself, or composed pictures, perhaps with their base."""

    draws: bool
    base: bool


@dataclass(frozen=True, slots=True)
class PackedPicture:
    """A picture ready to be sent to any number of viewers; only its age is not yet filled in."""

    number: int
    captured_at: float
    header: Mapping[str, object]
    payloads: tuple[bytes, ...]

    def message(self, now: float) -> bytes:
        """Return the whole message; ``now`` is in seconds of the clock of ``captured_at``."""
        age_ms = round((now - self.captured_at) * 1000, 2)
        times = {"captured_ms": round(self.captured_at * 1000, 2), "age_ms": age_ms}
        header = json.dumps({**self.header, **times}, separators=(",", ":")).encode()
        return b"".join((struct.pack("<I", len(header)), header, *self.payloads))


def can_be_drawn(picture: Picture) -> bool:
    """Tell whether a browser that draws can make a picture: of residuals in luma."""
    shown = (tile.form for tile in picture.tiles if tile.residual is not None)
    return not picture.form.in_colour and not any(form.in_colour for form in shown)


def terms_of(picture: Picture) -> dict[str, Any]:
    """Return what a browser has to know before it can make a picture."""
    return terms(picture.source, picture.output, *picture.scale, picture.form.gain)


def own_pixels(picture: Picture) -> bytes:
    """Return a frame's own pixels, as :data:`RGBA`."""
    rgba = cv2.COLOR_BGR2RGBA if picture.frame.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    pixels: Any = cv2.cvtColor(picture.frame, rgba)
    data: bytes = pixels.tobytes()
    return data


def own_jpeg(picture: Picture) -> bytes:
    """Return a frame's own pixels as a JPEG without subsampling."""
    order = "BGRX" if picture.frame.shape[2] == 4 else "BGR"
    pixels = np.ascontiguousarray(picture.frame)
    data: bytes = simplejpeg.encode_jpeg(pixels, OWN_QUALITY, order, "444", fastdct=False)
    return data


def composed(picture: Picture) -> bytes:
    """Return the enhanced picture as a JPEG."""
    return codec("jpeg").encode(picture.pixels, QUALITY)


def base(picture: Picture) -> bytes:
    """Return the base layer as a JPEG."""
    return codec("jpeg").encode(picture.base, QUALITY)


def residuals(picture: Picture) -> tuple[bytes | None, ...]:
    """Return the tiles' residuals as images: as they came, or as PNG where they are none.

    Raises:
        CodecError: one is no picture of its codec.
    """
    return tuple(
        None if tile.residual is None else _image(tile.residual, tile.form)
        for tile in picture.tiles
    )


def _image(residual: bytes, form: Form) -> bytes:
    found = grey(form.codec)
    if _is_image(found.media_type):
        return residual
    return grey("png").encode(found.decode(residual), 100)


def drawn_message(
    picture: Picture, own: bytes, media_type: str, parts: Sequence[bytes | None]
) -> PackedPicture:
    """Lay out what a browser makes a picture of.

    Args:
        picture: the picture.
        own: its own pixels.
        media_type: of those.
        parts: its residuals, as :func:`residuals` gives them.
    """
    payloads = _Payloads()
    header = {
        "own": payloads.add(own),
        "media_type": media_type,
        "residuals": [
            {
                "target": [(at := tile.chunk.target).x, at.y, at.width, at.height],
                "payload": payloads.add(part),
                "media_type": _kind(tile.form),
            }
            for tile, part in zip(picture.tiles, parts, strict=True)
            if part is not None
        ],
    }
    return _packed(picture, header, payloads)


def composed_message(picture: Picture, whole: bytes, under: bytes | None) -> PackedPicture:
    """Lay out a picture that the session composed, and its base where it is wanted."""
    payloads = _Payloads()
    header = {
        "picture": payloads.add(whole),
        "base": None if under is None else payloads.add(under),
        "media_type": _JPEG,
    }
    return _packed(picture, header, payloads)


class _Payloads:
    def __init__(self) -> None:
        self.all: list[bytes] = []
        self._length = 0

    def add(self, payload: bytes) -> list[int]:
        self.all.append(payload)
        self._length += len(payload)
        return [self._length - len(payload), len(payload)]


def _packed(picture: Picture, header: Mapping[str, object], payloads: _Payloads) -> PackedPicture:
    common = {
        "number": picture.number,
        "state": picture.state.value,
        "output": [picture.output.width, picture.output.height],
    }
    return PackedPicture(
        picture.number, picture.captured_at, {**common, **header}, tuple(payloads.all)
    )


def _kind(form: Form) -> str:
    kind = grey(form.codec).media_type
    return kind if _is_image(kind) else "image/png"


def _is_image(media_type: str) -> bool:
    return media_type.startswith("image/")
