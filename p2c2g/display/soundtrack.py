"""The sound of a recording: the packets that viewers get, put into the file as they are."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from p2c2g.display.hub import Hub
from p2c2g.media.sound import PACKET_SAMPLES, RATE, SoundPacket

#: Packets that wait for the file: ten seconds.
QUEUE = 500
#: Samples by which a packet may be later than the end of the one before: more is a gap.
LEEWAY = RATE // 50
#: Silence in stereo as Opus has it (RFC 6716, section 3.1), and so many samples of it each.
_SILENCE = ((b"\xfc\xff\xfe", 960), (b"\xe4\xff\xfe", 120))


class SoundTrack:
    """The second stream of a recording's file.

    Args:
        hub: where the packets come from.
    """

    def __init__(self, hub: Hub[SoundPacket]) -> None:
        self._subscription = hub.subscribe(QUEUE, "drop-oldest")
        self._waiting: SoundPacket | None = None
        self._stream: Any = None
        self._next = -math.inf

    def add_to(self, container: Any) -> None:
        """Make the stream in a file that is being opened."""
        # Its encoder encodes nothing: it only says what packets of its kind are.
        self._stream = container.add_stream(
            "libopus", rate=RATE, options={"application": "lowdelay", "frame_duration": "20"}
        )
        self._stream.layout = "stereo"
        self._stream.format = "s16"

    def write(self, container: Any, packet_of: Any, first_at: float, until: float) -> None:
        """Write what was captured until a time.

        Args:
            container: the file.
            packet_of: makes PyAV's packet of bytes.
            first_at: when the file's first picture was captured, by the session's clock.
            until: likewise; later packets wait.
        """
        while packet := self._waiting or self._subscription.take():
            self._waiting = packet
            if packet.captured_at > until:
                return
            self._waiting = None
            if self._next < 0:
                self._begin(container, packet_of, round((packet.captured_at - first_at) * RATE))
            at = round((packet.captured_at - first_at) * RATE)
            if 0 <= at - self._next <= LEEWAY or 0 < self._next - at <= LEEWAY:
                at = int(self._next)
            if at < max(0, self._next):
                continue  # From before the first picture, or from a clock that was set back.
            self._put(container, packet_of(packet.data), at, PACKET_SAMPLES)

    def _begin(self, container: Any, packet_of: Any, at: int) -> None:
        """Fill the time until the first packet: MP4 in fragments has each stream begin at 0."""
        begin = 0
        for silence, samples in _SILENCE:
            while at - begin >= samples:
                self._put(container, packet_of(silence), begin, samples)
                begin += samples

    def _put(self, container: Any, packet: Any, at: int, samples: int) -> None:
        packet.stream = self._stream
        packet.time_base = Fraction(1, RATE)
        packet.pts = packet.dts = at
        packet.duration = samples
        container.mux(packet)
        self._next = at + samples

    def close(self) -> None:
        """Leave the hub."""
        self._subscription.close()
