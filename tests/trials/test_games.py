"""Free games, each started by its profile, found, played by a seeded hand through the viewer's own
sockets, and heard.  ``make trials ARGS="-k games"`` prints a line for each that is installed."""

from __future__ import annotations

import json
import os
import random
import re
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep
from typing import Any, cast

import av
import cv2
import numpy as np
import pytest
import simplejpeg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from p2c2g_capture.games.found import running
from p2c2g_capture.games.played import file_of
from p2c2g_capture.games.profile import GameProfile
from p2c2g_capture.games.programs import ThisMachine
from p2c2g_capture.games.store import ProfileStore
from p2c2g_capture.input.events import Event, Kind, pack
from p2c2g_capture.input.keys import NUMBERS

pytestmark = [pytest.mark.trial, pytest.mark.needs("Xvfb", "pulseaudio")]

CAPTURE = "from p2c2g_capture.cli import main; main()"
#: Seconds for what leads into play, and of play.
SETTLE, PLAY = 12.0, 20.0


class Player:
    """A seeded hand, an eye and an ear on a session."""

    def __init__(self, page: str, token: str, seed: int) -> None:
        self._socket = page.replace("http", "ws")
        self._token = token
        self._random = random.Random(seed)
        self._sequence = 0
        self._over = threading.Event()
        self.pictures: list[tuple[float, np.ndarray]] = []
        self.loudest = 0.0
        self._threads = [threading.Thread(target=each) for each in (self._look, self._listen)]
        for each in self._threads:
            each.start()
        self._stack = ExitStack()
        self._input = self._stack.enter_context(connect(self._socket + "input"))
        self._input.send(json.dumps({"token": token}))
        self._input.send(json.dumps({"take": True}))
        # Who does not read what it is told is hung up on.
        self._threads.append(threading.Thread(target=lambda: [None for _ in self._input]))
        self._threads[-1].start()

    def press(self, key: str, seconds: float) -> None:
        self._send(Kind.KEY_DOWN, NUMBERS[key])
        end = monotonic() + seconds
        while monotonic() < end:
            sleep(0.04)
            self._send(Kind.BEAT)
        self._send(Kind.KEY_UP, NUMBERS[key])

    def wander(self) -> None:
        """Move the pointer somewhere, and press its button now and then."""
        x, y = self._random.random(), self._random.random()
        self._send(Kind.MOVE_TO, 0, x, y)
        if self._random.random() < 0.3:
            self._send(Kind.BUTTON_DOWN, 0)
            sleep(0.08)
            self._send(Kind.BUTTON_UP, 0)

    def play(self, profile: GameProfile, seconds: float) -> None:
        end = monotonic() + seconds
        while monotonic() < end:
            if profile.input.keys:
                key = self._random.choice(profile.input.keys)
                self.press(key, self._random.uniform(0.2, 0.9))
            if profile.input.mouse == "points":
                self.wander()

    def close(self) -> None:
        self._over.set()
        self._stack.close()
        for each in self._threads:
            each.join()

    def _send(self, kind: Kind, number: int = 0, x: float = 0.0, y: float = 0.0) -> None:
        self._sequence += 1
        event = Event(kind, number, x, y, sequence=self._sequence, at=monotonic() * 1e3)
        self._input.send(pack([event]))

    def _look(self) -> None:
        with connect(self._socket + "ws", max_size=None) as socket:
            socket.send('{"draws":false,"base":false}')
            while not self._over.is_set():
                try:
                    data = socket.recv(1.0)
                except TimeoutError:
                    continue
                except ConnectionClosed:
                    return
                if isinstance(data, str):
                    continue
                length = int.from_bytes(data[:4], "little")
                header = json.loads(data[4 : 4 + length])
                at, size = header["picture"]
                jpeg = data[4 + length :][at : at + size]
                grey = simplejpeg.decode_jpeg(jpeg, "GRAY")[:, :, 0]
                self.pictures.append((monotonic(), grey[::4, ::4].astype(np.int16)))
                socket.send(json.dumps({"shown": header["number"]}))

    def _listen(self) -> None:
        decoder = cast("Any", av.CodecContext.create("libopus", "r"))
        decoder.sample_rate, decoder.layout = 48_000, "stereo"
        with connect(self._socket + "sound") as socket:
            while not self._over.is_set():
                try:
                    data = socket.recv(1.0)
                except TimeoutError:
                    continue
                except ConnectionClosed:
                    return
                assert isinstance(data, bytes)
                struct.unpack("<Idd", data[:20])
                for frame in decoder.decode(av.Packet(data[20:])):
                    loud = float(np.abs(frame.to_ndarray()).max())
                    self.loudest = max(self.loudest, loud)


@contextmanager
def session(profile: GameProfile, home: Path) -> Iterator[tuple[str, str, subprocess.Popen[str]]]:
    """Run the real command on a game; give the page and the token to play by."""
    with subprocess.Popen(
        [sys.executable, "-c", CAPTURE, "run", f"--source=game:{profile.name}", "--port=0",
         "--where=here", "--ops=upscale:2", "--fps=15"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")},
    ) as process:  # fmt: skip
        lines = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if found := re.search(r"Play at (\S+)#play=(\S+)", line):
                    threading.Thread(target=process.stdout.read, daemon=True).start()
                    yield found[1], found[2], process
                    return
            raise AssertionError("".join(lines))
        finally:
            process.terminate()
            process.wait(30)


def profiles() -> list[GameProfile]:
    return [each for each in ProfileStore().all() if file_of(each) is not None]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("profile", profiles(), ids=lambda each: each.name)
def test_games_are_found_played_and_heard(profile: GameProfile, tmp_path: Path) -> None:
    with session(profile, tmp_path) as (page, token, process):
        player = Player(page, token, seed=7)
        try:
            sleep(SETTLE / 3)
            for key in profile.input.opening:
                player.press(key, 0.15)
                sleep(1.0)
            sleep(SETTLE / 3)
            found = running([profile], ThisMachine().programs(), [])
            began = monotonic()
            player.play(profile, PLAY)
            assert process.poll() is None, "the session has ended"
            seen = [pixels for at, pixels in player.pictures if at >= began]
        finally:
            player.close()
    moves = [float(np.abs(then - before).mean()) for before, then in pairwise(seen)]
    changed = float(np.abs(seen[-1] - seen[0]).mean()) if seen else 0.0
    sys.stdout.write(
        f"\n{profile.name}: found {bool(found)}, {len(seen) / PLAY:.0f} pictures a second, "
        f"{sum(each > 0.5 for each in moves)} of {len(moves)} changed, "
        f"first to last {changed:.1f}, loudest {player.loudest / 32768:.2f}\n"
    )
    folder = Path(os.environ.get("P2C2G_TRIALS", tmp_path))
    for when, pixels in (("first", seen[0]), ("last", seen[-1])):
        cv2.imwrite(str(folder / f"{profile.name}-{when}.png"), pixels.astype(np.uint8))
    assert found
    assert changed > 1.0, "nothing that was pressed changed the picture"
