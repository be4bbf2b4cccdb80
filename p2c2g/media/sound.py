"""The sound that goes with the pictures: what a packet of it is.

Opus in stereo at 48 kHz, twenty milliseconds a packet.  Half of that would be ten milliseconds
sooner, and take twice the processor, most of which goes into waking up.  Each packet carries the
time of its first sample by the session's clock, as a frame carries that of its capture: so a viewer
can play it with its picture, whenever either comes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

#: Samples a second, of each of so many channels; and how many are in a packet.
RATE, CHANNELS, PACKET_SAMPLES = 48_000, 2, 960
#: Seconds that a packet lasts.
PACKET_SECONDS = PACKET_SAMPLES / RATE
#: The most that Opus makes of a packet, in bytes (RFC 6716, section 3.4).
MAX_PACKET_BYTES = 1275
#: Before the Opus packet: its number, when its first sample was captured, and when it was sent,
#: both in milliseconds of the session's clock.  Little-endian.
_HEADER = struct.Struct("<Idd")


@dataclass(frozen=True, slots=True)
class SoundPacket:
    """Twenty milliseconds of sound.

    ``number`` rises by one; a gap is sound that was lost.  ``captured_at`` is the time of the first
    sample that a decoder gives for it, in seconds of the session's clock.  ``data`` is one Opus
    packet.
    """

    number: int
    captured_at: float
    data: bytes

    def message(self, now: float) -> bytes:
        """Return it as it travels to a viewer; ``now`` is in seconds of the session's clock."""
        return _HEADER.pack(self.number, self.captured_at * 1e3, now * 1e3) + self.data
