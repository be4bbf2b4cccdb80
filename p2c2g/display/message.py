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

from p2c2g.media.codecs import codec
from p2c2g.media.frame import Rect
from p2c2g.media.picture import Picture

#: JPEG quality of what is sent.
QUALITY = 90


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
    """Lay out a picture's tiles for a browser."""
    payloads = [codec("jpeg").encode(each, QUALITY) for each in (picture.pixels, picture.base)]
    whole = Rect(0, 0, picture.output.width, picture.output.height)
    tiles = [
        {
            "target": _rect(whole),
            "media_type": "image/jpeg",
            "enhanced": [0, len(payloads[0])],
            "base_media_type": "image/jpeg",
            "base": [len(payloads[0]), len(payloads[1])],
            "base_crop": _rect(whole),
        }
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
