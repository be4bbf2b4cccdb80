"""The thread that listens: it reads a source, encodes, and hands on."""

from __future__ import annotations

import threading
import time

from p2c2g.display.hub import Hub
from p2c2g.media.sound import SoundPacket
from p2c2g.system.threads import SupervisedThread
from p2c2g_capture.sound import SoundSource
from p2c2g_capture.sound.encoder import OpusEncoder


class SoundStream:
    """A source's sound, from its start until it is closed.

    Args:
        source: what is heard; closed with the stream.
        hub: is given the packets.
    """

    def __init__(self, source: SoundSource, hub: Hub[SoundPacket]) -> None:
        self._source = source
        self._hub = hub
        self._encoder = OpusEncoder()
        self._over = threading.Event()
        self._thread = SupervisedThread("sound", self._listen)
        self._packets = 0
        self._cpu = 0.0

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def figures(self) -> dict[str, object]:
        """Return what a viewer is told: ``name``, ``packets`` so far, ``cpu`` seconds for them."""
        return {"name": self._source.name, "packets": self._packets, "cpu": round(self._cpu, 3)}

    def notice(self) -> str:
        """Return what a viewer should know of it now, one sentence without its end."""
        if self._thread.crash is not None:
            return "The sound has broken off"
        return self._source.notice()

    def close(self) -> None:
        """End it; a second call does nothing."""
        self._over.set()
        self._thread.join(5.0)
        self._source.close()

    def _listen(self) -> None:
        while not self._over.is_set():
            block = self._source.read()
            if block is not None:
                self._hub.publish(self._encoder.encode(block))
                self._packets += 1
                self._cpu = time.thread_time()
