"""Opus packets of what was captured."""

from __future__ import annotations

import struct
from typing import Any, cast

from p2c2g.errors import UsageError
from p2c2g.media.sound import PACKET_SAMPLES, RATE, SoundPacket
from p2c2g_capture.sound import Block

#: Bits a second, of both channels: music through it is hard to tell from the original.
BIT_RATE = 96_000


class OpusEncoder:
    """Encodes a block at a time, for little delay and not for few bytes.

    Raises:
        UsageError: PyAV is not installed.
    """

    def __init__(self) -> None:
        try:
            import av
        except ModuleNotFoundError as error:
            raise UsageError(
                'Sound needs PyAV, which is not installed: pip install "p2c2g[capture]".'
            ) from error
        encoder = cast("Any", av.CodecContext.create("libopus", "w"))
        encoder.sample_rate = RATE
        encoder.layout = "stereo"
        encoder.format = "s16"
        encoder.bit_rate = BIT_RATE
        encoder.options = {"application": "lowdelay", "frame_duration": "20"}
        encoder.open()
        self._encoder = encoder
        # One for all blocks: making one takes a fifth of the time of encoding it.
        self._frame = av.AudioFrame(format="s16", layout="stereo", samples=PACKET_SAMPLES)
        self._frame.sample_rate = RATE
        (self._plane,) = self._frame.planes
        #: Samples by which what a decoder gives is behind what went in.
        self.skip = struct.unpack_from("<H", encoder.extradata, 10)[0]
        self._number = 0

    def encode(self, block: Block) -> SoundPacket:
        """Return the packet of a block."""
        self._plane.update(block.samples.tobytes())
        self._frame.pts = self._number * PACKET_SAMPLES
        (packet,) = self._encoder.encode(self._frame)
        made = SoundPacket(self._number, block.captured_at - self.skip / RATE, bytes(packet))
        self._number += 1
        return made
