"""Which sound goes with a source: what ``--audio`` says, and what this machine has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from p2c2g.errors import UnavailableError, UsageError
from p2c2g_capture.sound import SoundSource
from p2c2g_capture.sound.pulse import GameSink, PulseSource, devices, stream_of
from p2c2g_capture.sources import Source

#: Gives seconds of the session's clock.
Clock = Callable[[], float]

#: For ``--audio``, besides a device's name.
AUTO, OFF = "auto", "off"


@dataclass(slots=True, eq=False)
class SoundChoice:
    """What is to be heard.

    ``environment`` is for a game that we start.  ``why_not`` is the sentence where there is none
    though there might be one; empty where nobody wants it.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    why_not: str = ""
    _find: Callable[[Source, Clock], SoundSource | None] = lambda _, __: None
    _sink: GameSink | None = None

    @classmethod
    def of(cls, audio: str, spec: str, *, is_heard: bool) -> Self:
        """Choose the sound for a source, before that is opened.

        Args:
            audio: ``auto``, ``off`` or a device's name.
            spec: of the source, as :func:`p2c2g_capture.sources.open_source` takes it.
            is_heard: whether anybody could hear it.

        Raises:
            UsageError: there is no such device.
            UnavailableError: a device was asked for, and there is no sound server.
        """
        if audio == OFF or (audio == AUTO and not is_heard):
            return cls()
        if audio != AUTO:
            known = devices()
            if audio not in known:
                raise UsageError(
                    f"--audio {audio!r} is no device of this machine: give {AUTO}, {OFF} or one of "
                    f"{', '.join(known) or 'none that there is'}."
                )
            return cls(
                _find=lambda _, clock: PulseSource(audio, lambda: ("-d", audio), clock=clock)
            )
        kind = spec.strip().partition(":")[0]
        try:
            if kind == "game":
                sink = GameSink()
                return cls(
                    environment=sink.told,
                    _find=lambda source, clock: (
                        sink.listen(source.name, clock)
                        if source.name.startswith("game")
                        else _of_screen(source, clock)  # It ran already.
                    ),
                    _sink=sink,
                )
            if kind in ("screen", AUTO) and devices():
                return cls(_find=_of_screen)
        except UnavailableError as error:
            return cls(why_not=f"There is no sound. {error}")
        return cls(_find=lambda source, _: source.sound)

    def open(self, source: Source, clock: Clock) -> SoundSource | None:
        """Return the sound of the source that was opened; None where it has none."""
        return self._find(source, clock)

    @property
    def server(self) -> str | None:
        """Return the address of the game's own sound server; None where there is none."""
        return None if self._sink is None else self._sink.server

    def close(self) -> None:
        """Release what it holds, after its sound; a second call does nothing."""
        if self._sink is not None:
            self._sink.close()


def _of_screen(source: Source, clock: Clock) -> SoundSource | None:
    """Return what a window's program plays, or all that this machine plays."""
    if source.film is not None:
        return source.sound  # There was no screen: the shipped clip is played.
    pid = source.pid
    if pid is None:
        return PulseSource("this machine", lambda: ("-d", "@DEFAULT_MONITOR@"), clock=clock)
    return PulseSource(source.name, lambda: _stream(pid), clock=clock)


def _stream(pid: int) -> Sequence[str] | None:
    try:
        found = stream_of(pid)
    except UnavailableError:
        return None
    return None if found is None else (f"--monitor-stream={found}",)
