"""A free game that plays by itself on a screen of its own: real frames without a desktop.

Chocolate Doom or Crispy Doom with the game data of Freedoom plays one recorded demo after
the other in a virtual display, whose whole surface is the picture.  It is silent unless it is told
where to play its sound.  The game gets a temporary home directory: nothing of the user's is read
or written.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Size
from p2c2g.system import processes
from p2c2g_capture.sources.screen import ScreenSource
from p2c2g_capture.sources.staged import Staged

DEFAULT_SIZE = Size(640, 360)
#: Below 320x200 the game has no picture; above, its own scaling is the limit.
MINIMUM, MAXIMUM = Size(320, 200), Size(3840, 2160)

#: By name, the preferred one first.
GAMES = ("chocolate-doom", "crispy-doom")
DEMOS = ("demo1", "demo2", "demo3")

_DATA = "freedoom1.wad"
#: Where Doom engines look for game data, by Debian's policy and by convention.
_DATA_FOLDERS = ("/usr/share/games/doom", "/usr/local/share/games/doom", "/usr/share/doom")

_START_SECONDS = 30.0
#: A demo lasts 20 s and more: a game that ends sooner than this failed.
_SHORTEST_DEMO = 2.0

#: An engine ignores the options that it does not know.  Chocolate Doom stretches its 320x200,
#: Crispy Doom widens its view.  The taller pixels of old monitors are off: they would leave black
#: bars, if only of a pixel.
_CONFIG = """\
fullscreen 1
fullscreen_width 0
fullscreen_height 0
window_width {width}
window_height {height}
aspect_ratio_correct 0
integer_scaling 0
force_software_renderer 1
startup_delay 0
use_mouse 0
grabmouse 0
show_endoom 0
show_diskicon 0
show_messages 0
screenblocks 10
crispy_widescreen 1
crispy_hires 1
crispy_uncapped {uncapped}
crispy_demobar 0
crispy_demotimer 0
"""


class GameSource(Staged):
    """A game that plays demos for ever, seen through its own virtual display.

    Between two demos the game starts again: the screen is black for less than half a second,
    then the game melts it away.  Recorded play is capped at the game's own 35 pictures a second;
    ``smooth`` lets Crispy Doom draw pictures in between, as often as it can.
    """

    def __init__(
        self,
        game: str | None = None,
        size: Size | None = None,
        *,
        smooth: bool = False,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the display and the game, and wait for the first moving picture.

        ``environment`` is what the game is told besides: where to play its sound.

        Raises:
            UsageError: there is no such game, or it cannot be played at that size.
            SourceUnavailableError: something is not installed or does not start.
        """
        size = size or DEFAULT_SIZE
        if not (
            MINIMUM.width <= size.width <= MAXIMUM.width
            and MINIMUM.height <= size.height <= MAXIMUM.height
        ):
            raise UsageError(f"A game cannot be played at {size}: give {MINIMUM} to {MAXIMUM}.")
        self._program = _choose(game)
        self._data = _find_data()
        self._demos = itertools.cycle(DEMOS)
        self._clock = clock
        self._environment = dict(environment or {})
        super().__init__(f"game:{self._program}", size)
        try:
            config = _CONFIG.format(
                width=self.size.width,
                height=self.size.height,
                uncapped=int(smooth),
            )
            for name in ("main.cfg", "extra.cfg"):
                (self._scratch.path / name).write_text(config)
            self._play()
            self._wait_for_play(self._screen)
        except BaseException:
            self.close()
            raise

    def _ended(self) -> None:
        """Play the next demo.

        Raises:
            SourceUnavailableError: the game ended sooner than any demo does.
        """
        if self._clock() - self._started_at < _SHORTEST_DEMO:
            raise SourceUnavailableError(f"{self._program} ended by itself: {self._last_words()}")
        self._play()

    def _play(self) -> None:
        """Start the game with the next demo."""
        home = str(self._scratch.path)
        env = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "LANG", "LD_LIBRARY_PATH", "TMPDIR")
        } | {
            "HOME": home,
            "DISPLAY": self._display.name,
            "SDL_VIDEODRIVER": "x11",
            # 320x200 pixels need no GPU.
            "SDL_RENDER_DRIVER": "software",
            "SDL_FRAMEBUFFER_ACCELERATION": "0",
            "SDL_AUDIODRIVER": "dummy",
            # Without it SIGTERM opens the menu's "are you sure?".
            "SDL_NO_SIGNAL_HANDLERS": "1",
            **self._environment,
        }
        silent = () if self._environment else ("-nosound",)
        with self._log.open("wb") as log:
            self._process = processes.start(
                [
                    *(self._program, "-iwad", self._data, "-playdemo", next(self._demos)),
                    *("-config", f"{home}/main.cfg", "-extraconfig", f"{home}/extra.cfg"),
                    *silent,
                    *("-nogui", "-nomouse", "-noautoload"),
                ],
                env=env,
                cwd=home,
                stdout=log,
                stderr=log,
            )
        self._started_at = self._clock()

    def _wait_for_play(self, screen: ScreenSource) -> None:
        """Return once the game fills the screen and moves.

        A demo begins with a black screen that melts away from the top; the status bar at the
        bottom comes last, as wide as the picture.
        """
        deadline = time.monotonic() + _START_SECONDS
        seen: bytes | None = None
        while time.monotonic() < deadline:
            pixels = screen.grab(0)[:, :, :3]
            bottom = pixels[-(self.size.height // 20) :]
            if bottom.max(axis=(0, 2)).min() > 0:
                picture = pixels.tobytes()
                if seen is not None and picture != seen:
                    return
                seen = picture
            if self._process is not None and self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise SourceUnavailableError(f"{self._program} shows no play: {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it says nothing."


def _choose(game: str | None) -> str:
    """Return the program of the game asked for, or of the first that is installed."""
    if game is not None and game not in GAMES:
        raise UsageError(f"There is no game {game!r}: give game:{' or game:'.join(GAMES)}.")
    for program in (game,) if game else GAMES:
        if processes.find(program) is not None:
            return program
    raise SourceUnavailableError(
        f"No game is installed: apt-get install {game or GAMES[0]} freedoom xvfb."
    )


def _find_data() -> Path:
    for folder in _DATA_FOLDERS:
        path = Path(folder, _DATA)
        if path.is_file():
            return path
    raise SourceUnavailableError(
        f"The game has nothing to play: {_DATA} is missing. apt-get install freedoom."
    )
