"""The sound of one run: chosen before its source is opened, heard from its start to its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from p2c2g.display.hub import Hub
from p2c2g.media.sound import SoundPacket
from p2c2g_capture.sound.choice import SoundChoice
from p2c2g_capture.sound.microphone import VirtualMicrophone
from p2c2g_capture.sound.stream import SoundStream
from p2c2g_capture.sources import Source

logger = logging.getLogger(__name__)


class RunSound:
    """What is heard of a run's source, if anything is.

    Args:
        audio: ``auto``, ``off`` or a device's name.
        spec: of the source.
        is_heard: whether anybody could hear it: a viewer or a recording.
        speaks: whether a viewer may speak.
        clock: the session's clock, in seconds.

    Raises:
        UsageError: there is no such device.
        UnavailableError: a device or a microphone was asked for, and there is no sound server.
    """

    def __init__(
        self,
        audio: str,
        spec: str,
        *,
        is_heard: bool,
        speaks: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._choice = SoundChoice.of(audio, spec, is_heard=is_heard)
        self._stream: SoundStream | None = None
        self._clock = clock
        #: Where its packets are; None where there is no sound.
        self.hub: Hub[SoundPacket] | None = None
        #: What a viewer speaks into; None where none may.
        self.microphone: VirtualMicrophone | None = None
        if speaks:
            try:
                self.microphone = VirtualMicrophone(self._choice.server)
            except BaseException:
                self._choice.close()
                raise

    @property
    def environment(self) -> Mapping[str, str]:
        """Return what a game that is started has to be told."""
        return self._choice.environment

    def open(self, source: Source) -> None:
        """Take the sound of the source, which was opened; nothing is heard yet."""
        if self._choice.why_not:
            logger.warning("%s", self._choice.why_not)
        found = self._choice.open(source, self._clock)
        if found is not None:
            self.hub = Hub()
            self._stream = SoundStream(found, self.hub)

    def start(self) -> None:
        """Begin to listen."""
        if self._stream is not None:
            self._stream.start()

    def figures(self) -> dict[str, object]:
        """Return what a viewer is told: ``sound`` and ``microphone``, where there is any."""
        told: dict[str, object] = {}
        if self._stream is not None:
            told["sound"] = self._stream.figures()
        if self.microphone is not None:
            told["microphone"] = self.microphone.name
        return told

    def notice(self) -> str:
        """Return what a viewer should know of it now, one sentence without its end."""
        return "" if self._stream is None else self._stream.notice()

    def close(self) -> None:
        """End it; a second call does nothing."""
        if self._stream is not None:
            self._stream.close()
        if self.hub is not None:
            self.hub.close()
        if self.microphone is not None:
            self.microphone.close()
        self._choice.close()
