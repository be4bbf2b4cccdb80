"""One picture as one binary message for a browser; pure.

.. code-block:: text

    4 bytes    length of the header, little-endian
    header     JSON, UTF-8
    payloads   encoded images, one after the other

The header holds ``number``, ``state`` ("complete" or "degraded"), ``source`` and ``output``
(``[width, height]`` in pixels), ``age_ms`` (from the capture to this message) and ``tiles``.
A tile holds ``target`` (its place in the output), ``enhanced`` (``[offset, length]`` of its
image in the payloads, null where the base layer replaces it) with its ``media_type``,
``base`` (``[offset, length]``) with its ``base_media_type``, and ``base_crop``: the part of
the base image that corresponds to ``target``.  Rectangles are ``[x, y, width, height]``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from p2c2g.media.codecs import Codec, codec
from p2c2g.media.frame import Picture, Rect, Tile

#: JPEG quality for payloads of a codec that browsers cannot show.
FALLBACK_QUALITY = 90


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
        header = json.dumps({**self.header, "age_ms": age_ms}, separators=(",", ":")).encode()
        return b"".join((struct.pack("<I", len(header)), header, *self.payloads))


def pack(picture: Picture) -> PackedPicture:
    """Lay out a picture's tiles for a browser.

    Payloads are sent as they are where a browser can show their codec, else as JPEG.

    Raises:
        UsageError: the picture's codec is unknown.
        CodecError: a base payload is not an image of the picture's codec.
    """
    own = codec(picture.codec)
    shown = own if own.media_type.startswith("image/") else None
    media_type = (shown or codec("jpeg")).media_type
    payloads: list[bytes] = []
    length = 0

    def add(payload: bytes) -> list[int]:
        nonlocal length
        payloads.append(payload)
        length += len(payload)
        return [length - len(payload), len(payload)]

    tiles = [
        {
            "target": _rect(tile.chunk.target),
            "media_type": media_type,
            "enhanced": None
            if tile.enhanced is None
            else add(tile.enhanced if shown else _enhanced_as_jpeg(picture, tile)),
            "base_media_type": media_type,
            "base": add(tile.base if shown else _base_as_jpeg(own, tile)),
            "base_crop": _rect(_base_crop(tile)),
        }
        for tile in picture.tiles
    ]
    header = {
        "number": picture.number,
        "state": picture.state.value,
        "source": [picture.source.width, picture.source.height],
        "output": [picture.output.width, picture.output.height],
        "tiles": tiles,
    }
    return PackedPicture(picture.number, picture.captured_at, header, tuple(payloads))


def _rect(rect: Rect) -> list[int]:
    return [rect.x, rect.y, rect.width, rect.height]


def _base_crop(tile: Tile) -> Rect:
    rect, padded = tile.chunk.rect, tile.chunk.padded
    return Rect(rect.x - padded.x, rect.y - padded.y, rect.width, rect.height)


def _enhanced_as_jpeg(picture: Picture, tile: Tile) -> bytes:
    return codec("jpeg").encode(tile.chunk.target.of(picture.pixels), FALLBACK_QUALITY)


def _base_as_jpeg(own: Codec, tile: Tile) -> bytes:
    return codec("jpeg").encode(own.decode(tile.base), FALLBACK_QUALITY)
