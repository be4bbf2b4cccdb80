"""Sound of PulseAudio, and of PipeWire where it stands in for that.

The server's own programs do it: ``pactl`` says what there is, ``parec`` listens.  A game that we
start plays into a sink of its own, which nobody hears but us: into a server of our own where one
can be started, else into the user's.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from p2c2g.errors import UnavailableError
from p2c2g.media.sound import CHANNELS, PACKET_SAMPLES, RATE
from p2c2g.system import processes
from p2c2g.system.scratch import Scratch
from p2c2g_capture.sound import Block, SoundSource
from p2c2g_capture.sound.clock import SampleClock

logger = logging.getLogger(__name__)

#: What has to be installed.
PROGRAMS = "pulseaudio-utils"
_BLOCK_BYTES = PACKET_SAMPLES * CHANNELS * 2
#: Seconds that the server may take to answer, and a new one to come up.
_ANSWER, _START = 5.0, 10.0
#: Seconds from an end of the sound that nobody asked for to the next try.
_AGAIN = 1.0
#: As C's ``struct timeval``: half a second, for which a block is waited for.
_WAIT = struct.pack("@ll", 0, 500_000)
#: Milliseconds that the server may gather before it gives them.
_LATENCY_MS = 10


class PulseSource(SoundSource):
    """What a device plays or hears, or one program plays.

    It goes on where the server was away: after a second it is tried again.

    Args:
        name: what a person calls it.
        target: parec's arguments that say what is listened to, such as ``-d DEVICE``; asked for
            again at each try, None where there is nothing now.
        server: the server's address; None for the user's own.
        clock: the session's clock, in seconds.
    """

    def __init__(
        self,
        name: str,
        target: Callable[[], Sequence[str] | None],
        server: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._target = target
        self._server = server
        self._clock = clock
        self._times = SampleClock(RATE)
        self._closed = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._ear: socket.socket | None = None
        self._block = bytearray(_BLOCK_BYTES)
        self._filled = 0
        self._silent_since: float | None = None

    def notice(self) -> str:
        """Say that there is no sound, where there is none for a while."""
        since = self._silent_since
        if since is None or self._clock() - since < 3 * _AGAIN:
            return ""
        return f"There is no sound of {self.name}: the sound server does not give it"

    def read(self) -> Block | None:
        """Wait for twenty milliseconds, half a second at most."""
        ear = self._ear or self._begin()
        if ear is None:
            self._closed.wait(_AGAIN / 2)
            return None
        # The kernel waits for the whole of it: parec gives half of one at a time.
        try:
            more = ear.recv_into(memoryview(self._block)[self._filled :], flags=socket.MSG_WAITALL)
        except BlockingIOError:
            return None
        if not more:
            self._end()
            return None
        self._filled += more
        if self._filled < _BLOCK_BYTES:
            return None
        self._filled = 0
        self._silent_since = None
        samples = np.frombuffer(bytes(self._block), np.int16).reshape(-1, CHANNELS)
        return Block(samples, self._times.came(PACKET_SAMPLES, self._clock()))

    def close(self) -> None:
        """Stop listening, once nobody reads."""
        self._closed.set()
        self._stop()

    def _begin(self) -> socket.socket | None:
        now = self._clock()
        if self._closed.is_set():
            return None
        if self._silent_since is None:
            self._silent_since = now
        target = self._target()
        if target is None:
            return None
        self._times.begin_anew()
        self._filled = 0
        ear, mouth = socket.socketpair()
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _WAIT)
        self._ear = ear
        with mouth:
            self._process = self._listener(target, mouth)
        return ear

    def _listener(self, target: Sequence[str], mouth: socket.socket) -> subprocess.Popen[bytes]:
        return processes.start(
            ["parec", "--raw", "--format=s16le", f"--rate={RATE}", f"--channels={CHANNELS}",
             f"--latency-msec={_LATENCY_MS}", "--client-name=p2c2g", *target],
            env=environment(self._server),
            stdout=mouth.fileno(),
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _end(self) -> None:
        """Note that nothing more comes of this try."""
        self._stop()
        self._closed.wait(_AGAIN)

    def _stop(self) -> None:
        process, self._process = self._process, None
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.close()
        if process is not None:
            logger.debug("parec ended with %s", processes.stop(process))


class GameSink:
    """A place of its own for the sound of a game that we start.

    Raises:
        UnavailableError: there is no sound server, and none can be started.
    """

    def __init__(self) -> None:
        self._scratch: Scratch | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        self._module: str | None = None
        self._server: str | None = None
        self._sink = f"p2c2g-{os.getpid()}"
        try:
            if processes.find("pulseaudio") is not None:
                self._start_server()
            else:
                self._borrow()
        except BaseException:
            self.close()
            raise

    @property
    def told(self) -> dict[str, str]:
        """Return what a program has to be told to play into it."""
        told = {"SDL_AUDIODRIVER": "pulse", "PULSE_SINK": self._sink, "PULSE_LATENCY_MSEC": "20"}
        if self._server is not None:
            told["PULSE_SERVER"] = self._server
        elif (runtime := os.environ.get("XDG_RUNTIME_DIR")) is not None:
            told["XDG_RUNTIME_DIR"] = runtime
        return told

    @property
    def server(self) -> str | None:
        """Return its address; None for the user's own."""
        return self._server

    def listen(self, name: str, clock: Callable[[], float] = time.monotonic) -> PulseSource:
        """Return what is played into it."""
        monitor = ("-d", f"{self._sink}.monitor")
        return PulseSource(name, lambda: monitor, self._server, clock)

    def close(self) -> None:
        """Take it away; a second call does nothing."""
        daemon, self._daemon = self._daemon, None
        module, self._module = self._module, None
        scratch, self._scratch = self._scratch, None
        if daemon is not None:
            processes.stop(daemon)
        if module is not None:
            with suppress(UnavailableError):
                pactl("unload-module", module)
        if scratch is not None:
            scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start_server(self) -> None:
        self._scratch = Scratch("sound")
        folder = self._scratch.path
        socket, log = folder / "native", folder / "log"
        self._server = f"unix:{socket}"
        with log.open("wb") as output:
            self._daemon = processes.start(
                ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
                 "--disallow-exit", "--disable-shm=true",
                 # Its folder is open to nobody else.
                 "-L", f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
                 "-L", f"module-null-sink sink_name={self._sink} rate={RATE} channels={CHANNELS}"],
                env={**environment(None), "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder),
                     "PULSE_RUNTIME_PATH": str(folder)},
                stdout=output,
                stderr=output,
            )  # fmt: skip
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline and self._daemon.poll() is None:
            with suppress(UnavailableError):
                if self._sink in pactl("list", "short", "sinks", server=self._server):
                    return
            time.sleep(0.05)
        raise UnavailableError(
            f"The game's sound server does not start: {processes.last_line(log) or 'it is silent'}."
        )

    def _borrow(self) -> None:
        """Have a sink in the user's own server, and remove those that dead sessions left."""
        for line in pactl("list", "short", "modules").splitlines():
            index, name, told = (*line.split("\t"), "", "")[:3]
            owner = told.partition("sink_name=p2c2g-")[2].split(" ")[0]
            if name == "module-null-sink" and owner.isdecimal() and not _is_alive(int(owner)):
                with suppress(UnavailableError):
                    pactl("unload-module", index)
        self._module = pactl(
            "load-module", "module-null-sink", f"sink_name={self._sink}", f"rate={RATE}",
            f"channels={CHANNELS}",
        ).strip()  # fmt: skip


def pactl(*args: str, server: str | None = None) -> str:
    """Return what the server answers.

    Raises:
        UnavailableError: there is none, or it refuses.
    """
    path = processes.find("pactl")
    if path is None or processes.find("parec") is None:
        raise UnavailableError(f"Sound needs pactl and parec: apt-get install {PROGRAMS}.")
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            [path, *args], env=environment(server), capture_output=True, text=True,
            timeout=_ANSWER, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise UnavailableError("The sound server does not answer.") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it does not say why"])[-1]
        raise UnavailableError(f"The sound server cannot be used: {said}.")
    return done.stdout


def devices(server: str | None = None) -> list[str]:
    """Return the names of what can be listened to.

    Raises:
        UnavailableError: there is no server.
    """
    lines = pactl("list", "short", "sources", server=server).splitlines()
    return [line.split("\t")[1] for line in lines if line.count("\t")]


def stream_of(pid: int, server: str | None = None) -> str | None:
    """Return the number of what a program plays, its newest one; None where it plays nothing.

    Raises:
        UnavailableError: there is no server.
    """
    listed: Any = json.loads(pactl("--format=json", "list", "sink-inputs", server=server) or "[]")
    found = [
        str(each["index"])
        for each in listed
        if each.get("properties", {}).get("application.process.id") == str(pid)
    ]
    return found[-1] if found else None


def environment(server: str | None) -> Mapping[str, str]:
    """Return what a program of the sound server is started with."""
    told = {name: value for name, value in os.environ.items() if name != "PULSE_SERVER"}
    if server is not None:
        told["PULSE_SERVER"] = server
    elif "PULSE_SERVER" in os.environ:
        told["PULSE_SERVER"] = os.environ["PULSE_SERVER"]
    # Else programs of it write a cookie into the user's home.
    return {**told, "LC_ALL": "C"}


def _is_alive(pid: int) -> bool:
    return Path("/proc", str(pid)).exists()
