"""A microphone of this machine that a viewer speaks into: for the voice chat of a game.

A sink that nobody hears takes the voice, and a source of its own gives it to programs that record.
Both are the sound server's: the one that the game was given, or the user's.
"""

from __future__ import annotations

import logging
import os
import subprocess
from contextlib import suppress
from typing import Any, cast

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.media.sound import RATE
from p2c2g.system import processes
from p2c2g_capture.sound.pulse import environment, pactl

logger = logging.getLogger(__name__)

#: Milliseconds of voice that the server keeps in store against what comes late.
_STORE_MS = 60


class VirtualMicrophone:
    """Plays Opus packets into a source of its own.  Used by one thread.

    Args:
        server: the sound server's address; None for the user's own.

    Raises:
        UnavailableError: there is no sound server.
        UsageError: PyAV is not installed.
    """

    def __init__(self, server: str | None = None) -> None:
        try:
            import av
        except ModuleNotFoundError as error:
            raise UsageError(
                'A microphone needs PyAV, which is not installed: pip install "p2c2g[capture]".'
            ) from error
        self._av = av
        self._server = server
        self._sink = f"p2c2g-voice-{os.getpid()}"
        #: What programs that record are to choose.
        self.name = f"p2c2g-microphone-{os.getpid()}"
        self._modules: list[str] = []
        self._player: subprocess.Popen[bytes] | None = None
        self._decoder: Any = None
        #: Packets that were no sound, or that the server did not take.
        self.refused = 0
        try:
            self._load("module-null-sink", f"sink_name={self._sink}", f"rate={RATE}", "channels=1")
            self._load(
                "module-remap-source", f"source_name={self.name}", f"master={self._sink}.monitor",
                "source_properties=device.description=P2C2G-microphone",
            )  # fmt: skip
            if server is not None:
                pactl("set-default-source", self.name, server=server)
        except BaseException:
            self.close()
            raise

    def hear(self, packet: bytes) -> None:
        """Play one Opus packet; what cannot be decoded or taken now is left out."""
        if self._player is None:
            self._begin()
        player = self._player
        if player is None or player.stdin is None:
            return
        try:
            for frame in self._decoder.decode(self._av.Packet(packet)):
                for part in self._resampler.resample(frame):
                    os.write(player.stdin.fileno(), part.to_ndarray().tobytes())
        except (self._av.FFmpegError, ValueError, BlockingIOError):
            self.refused += 1
        except BrokenPipeError:
            self.mute()

    def mute(self) -> None:
        """Forget who spoke; a second call does nothing."""
        player, self._player = self._player, None
        if player is not None:
            processes.stop(player)

    def close(self) -> None:
        """Take the microphone away; a second call does nothing."""
        self.mute()
        while self._modules:
            with suppress(UnavailableError):
                pactl("unload-module", self._modules.pop(), server=self._server)

    def _begin(self) -> None:
        decoder = cast("Any", self._av.CodecContext.create("libopus", "r"))
        decoder.sample_rate = RATE
        decoder.layout = "mono"
        self._decoder = decoder
        self._resampler = self._av.AudioResampler(format="s16", layout="mono", rate=RATE)
        player = processes.start(
            ["pacat", "--playback", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1",
             f"--latency-msec={_STORE_MS}", "--client-name=p2c2g", "-d", self._sink],
            env=environment(self._server),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if player.stdin is not None:
            # The thread that hears serves all viewers: it waits for no sound server.
            os.set_blocking(player.stdin.fileno(), False)
        self._player = player

    def _load(self, *module: str) -> None:
        self._modules.append(pactl("load-module", *module, server=self._server).strip())
