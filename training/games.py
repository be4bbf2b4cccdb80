"""The free games whose pictures teach the nets, and how each is started and played.

A seeded :class:`Hand` plays by pressing keys from a short list: not cleverly, but the picture
moves through menus and play.  Neither frames nor game files are part of this repository or of the
weights; the licences are those of the programs and of their art, for the cards.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from Xlib import XK, X
from Xlib import display as xdisplay
from Xlib.ext import xtest

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g.system import processes
from p2c2g_capture.sources.screen import ScreenSource
from p2c2g_capture.sources.xvfb import VirtualDisplay

#: The size at which games are drawn for training.
SIZE = Size(1280, 720)

_SUPERTUX = "/usr/share/games/supertux2/levels/"
#: The landscape behind the title, opened as a saved game.
_TOWNS = "/usr/share/games/openttd/baseset/opntitle.dat"
_DOOM = ("-iwad", "/usr/share/games/doom/freedoom1.wad", "-nosound", "-nogui", "-nomouse")
_DOOM_CONFIG = """\
fullscreen 1
fullscreen_width 0
fullscreen_height 0
window_width 1280
window_height 720
aspect_ratio_correct 0
integer_scaling 0
force_software_renderer 1
startup_delay 0
use_mouse 0
show_endoom 0
show_diskicon 0
crispy_widescreen 1
crispy_hires 1
crispy_demobar 0
crispy_demotimer 0
"""


@dataclass(frozen=True, slots=True)
class Game:
    """One game: how it is started, scene by scene, and which keys are pressed.

    ``opening`` are the keys pressed first in each scene, one every two seconds; ``keys`` are those
    held for a while afterwards, at random.  ``scenes`` are further arguments, one start each.
    """

    name: str
    package: str
    licence: str
    command: tuple[str, ...]
    scenes: tuple[tuple[str, ...], ...] = ((),)
    opening: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    config: tuple[tuple[str, str], ...] = ()
    part: Rect = field(default=Rect(0, 0, SIZE.width, SIZE.height))


GAMES = {
    game.name: game
    for game in (
        Game(
            "crispy-doom",
            "crispy-doom freedoom",
            "program GPL-2.0-or-later; Freedoom's art BSD-3-Clause",
            ("crispy-doom", *_DOOM, "-config", "main.cfg", "-extraconfig", "main.cfg"),
            tuple(("-playdemo", f"demo{number}") for number in (1, 2, 3)),
            config=(("main.cfg", _DOOM_CONFIG),),
        ),
        Game(
            "supertux2",
            "supertux",
            "program GPL-3.0-or-later; art GPL-2.0-or-later and CC-BY-SA",
            ("supertux2", "--renderer", "sdl", "-g", "1280x720", "--disable-sound"),
            tuple(
                (f"{_SUPERTUX}{level}.stl",)
                for level in (
                    "world1/journey_begins",
                    "world1/entrance_cave",
                    "world2/beside_bushes",
                    "world1/fork_in_the_road",
                    "world1/icy_valley",
                )
            ),
            opening=("Return", "Return"),
            keys=("Right", "Right", "Right", "Right", "space", "Left"),
        ),
        Game(
            "etr",
            "extremetuxracer",
            "program and art GPL-2.0-or-later",
            ("etr",),
            opening=("Return",) * 5,
            keys=("Up", "Left", "Right", "Up", "Return"),
        ),
        Game(
            "openttd",
            "openttd openttd-opengfx",
            "program and OpenGFX GPL-2.0",
            ("openttd", "-v", "sdl", "-r", "1280x720", "-s", "null", "-m", "null", "-g", _TOWNS),
            keys=("Right", "Down", "Left", "Up", "Right", "Down"),
        ),
        Game(
            "frozen-bubble",
            "frozen-bubble",
            "program and art GPL-2.0",
            ("frozen-bubble", "--no-sound", "--fullscreen", "--solo"),
            tuple(("--level", str(level)) for level in (1, 12, 25, 40, 60)),
            keys=("Left", "Right", "Up", "Up", "space"),
            # It draws only 640x480, in the middle of the screen.
            part=Rect(320, 120, 640, 480),
        ),
    )
}


class Hand:
    """Presses keys in a game's display; seeded, and given the time."""

    def __init__(self, game: Game, display: str, seed: int) -> None:
        self._game = game
        self._random = random.Random(seed)
        self._display: Any = xdisplay.Display(display)
        self._held: int | None = None
        self._next = 0.0
        self._opening = list(game.opening)

    def play(self, seconds: float) -> None:
        """Press or release the keys that are due ``seconds`` after the scene began."""
        if seconds < self._next:
            return
        self._let_go()
        if self._opening:
            self._press(self._opening.pop(0))
            self._next = seconds + 2.0
        elif self._game.keys:
            self._press(self._random.choice(self._game.keys))
            self._next = seconds + self._random.uniform(0.2, 1.2)

    def close(self) -> None:
        """Release all keys and close the display's connection."""
        self._let_go()
        self._display.close()

    def _press(self, key: str) -> None:
        code = self._display.keysym_to_keycode(XK.string_to_keysym(key))
        xtest.fake_input(self._display, X.KeyPress, code)
        self._display.sync()
        self._held = code

    def _let_go(self) -> None:
        if self._held is not None:
            xtest.fake_input(self._display, X.KeyRelease, self._held)
            self._display.sync()
            self._held = None


def find(name: str) -> Game:
    """Return a game by name.

    Raises:
        UsageError: there is no game of that name.
        SourceUnavailableError: it is not installed.
    """
    if name not in GAMES:
        raise UsageError(f"There is no game {name!r}: give one of {', '.join(GAMES)}.")
    game = GAMES[name]
    if processes.find(game.command[0]) is None:
        raise SourceUnavailableError(
            f"{name} is not installed: apt-get install {game.package} xvfb."
        )
    return game


@contextmanager
def playing(
    game: Game, scene: int, seed: int, pause: float = 0.05
) -> Iterator[Iterator[tuple[float, Pixels]]]:
    """Play one scene; yields (seconds since the start, view of the screen's pixels) for ever.

    It looks again ``pause`` seconds after it was asked to.

    The pixels are BGR, (720, 1280, 3) or the part of them that the game fills; they are valid
    until the next ones are taken.

    Raises:
        SourceUnavailableError: the game or its display does not start.
    """
    program = processes.find(game.command[0])
    display = VirtualDisplay(SIZE)
    try:
        with tempfile.TemporaryDirectory(prefix="p2c2g-train-") as home:
            for name, text in game.config:
                Path(home, name).write_text(text)
            env = {
                "PATH": os.environ["PATH"],
                "HOME": home,
                "DISPLAY": display.name,
                "XDG_CONFIG_HOME": home,
                "XDG_DATA_HOME": home,
                "SDL_VIDEODRIVER": "x11",
                "SDL_AUDIODRIVER": "dummy",
                "SDL_RENDER_DRIVER": "software",
                "SDL_FRAMEBUFFER_ACCELERATION": "0",
                "SDL_NO_SIGNAL_HANDLERS": "1",
            }
            with Path(home, "log").open("wb") as log:
                process = processes.start(
                    [str(program), *game.command[1:], *game.scenes[scene]],
                    env=env,
                    cwd=home,
                    stdout=log,
                    stderr=log,
                )
            try:
                screen = ScreenSource(monitor=0, display=display.name)
                hand = Hand(game, display.name, seed)

                def look() -> Iterator[tuple[float, Pixels]]:
                    began = time.monotonic()
                    while process.poll() is None:
                        seconds = time.monotonic() - began
                        hand.play(seconds)
                        yield seconds, game.part.of(screen.grab(0)[:, :, :3])
                        time.sleep(pause)

                try:
                    yield look()
                finally:
                    hand.close()
                    screen.close()
            finally:
                processes.stop(process)
    finally:
        display.close()
