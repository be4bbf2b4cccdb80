"""What is known of one game: how it is recognised, started, captured, played and heard.

A profile is a TOML file.  All of it but the name may be left out; what is wrong in it is said with
its place, in one sentence for each mistake.
"""

from __future__ import annotations

import re
import tomllib
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from p2c2g.errors import P2C2GError, UsageError
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g_capture.input.keys import NUMBERS
from p2c2g_capture.input.pads import PadProfile

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\n]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Find(_Part):
    """How the game is recognised; any of it is enough.

    ``programs`` are names of executables, ``classes`` windows' (``WM_CLASS``), ``titles`` what
    windows' titles begin with.
    """

    programs: tuple[Line, ...] = ()
    classes: tuple[Line, ...] = ()
    titles: tuple[Line, ...] = ()


class Start(_Part):
    """How the game is started on a screen of its own.

    In ``command``, ``environment`` and ``files`` ``{width}`` and ``{height}`` are the screen's,
    ``{folder}`` is where ``files`` are written, by their names.
    """

    command: tuple[Line, ...] = ()
    environment: dict[Line, str] = {}
    files: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,60}$")], str] = {}
    debian: tuple[Line, ...] = ()


class Look(_Part):
    """What is captured and what is done with it.

    ``size`` is that of the screen that the game is started on, ``fps`` the pictures a second that
    it draws, ``ops`` what is done, ``net`` the name of the gamer's own net for it.
    """

    size: str = "640x360"
    fps: Annotated[float, Field(ge=1, le=240)] = 30.0
    ops: str = "upscale:2:ml"
    net: Line | None = None

    @field_validator("size")
    @classmethod
    def _is_a_size(cls, text: str) -> str:
        return str(_meant(Size.parse, text))

    @field_validator("ops")
    @classmethod
    def _are_operations(cls, text: str) -> str:
        _meant(Pipeline.parse, text)
        return text


class Input(_Part):
    """How it is played.

    ``mouse`` is whether it points or turns the view.  ``pad`` has the key for each part of a
    gamepad where the game sees no pads; ``opening`` are keys that lead into play, ``keys`` some
    that are pressed in play: by the W3C's names.
    """

    mouse: Literal["points", "looks", "none"] = "points"
    pad: dict[str, str] | None = None
    opening: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @field_validator("pad")
    @classmethod
    def _is_a_pad(cls, table: dict[str, str] | None) -> dict[str, str] | None:
        if table is not None:
            _meant(PadProfile.of, table)
        return table

    @field_validator("opening", "keys")
    @classmethod
    def _are_keys(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in NUMBERS:
                raise ValueError(
                    f"{name!r} is no key: give the name of a physical key, such as KeyW or Space"
                )
        return names


class Sound(_Part):
    """What is heard: ``audio`` as the option ``--audio`` has it."""

    audio: Line = "auto"


class GameProfile(_Part):
    """One game."""

    name: Name
    title: Line = ""
    kind: Line = ""
    licence: Line = ""
    find: Find = Find()
    start: Start = Start()
    look: Look = Look()
    input: Input = Input()
    sound: Sound = Sound()
    traps: tuple[Annotated[str, Field(min_length=1, max_length=400)], ...] = ()

    @classmethod
    def of(cls, text: str, where: str) -> Self:
        """Read a profile.

        Args:
            text: TOML.
            where: it is from, for the sentence.

        Raises:
            UsageError: it is none.
        """
        try:
            return cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{where} is no TOML: {error}.") from error
        except ValidationError as error:
            found = "; ".join(_sentence(each) for each in error.errors(include_url=False))
            raise UsageError(f"{where} is no profile of a game: {found}.") from error

    @property
    def size(self) -> Size:
        """Return the size of the screen that it is started on."""
        return Size.parse(self.look.size)

    def is_program(self, name: str) -> bool:
        """Tell whether an executable of that name is the game."""
        return name in self.find.programs

    def is_window(self, classes: tuple[str, ...], title: str) -> bool:
        """Tell whether a window of such classes and such a title is the game's."""
        own = {each.lower() for each in self.find.classes}
        return any(each.lower() in own for each in classes) or any(
            title.startswith(each) for each in self.find.titles
        )


def _meant(read: Any, value: Any) -> Any:
    """Read a value by one of our own functions, whose sentence is kept."""
    try:
        return read(value)
    except P2C2GError as error:
        raise ValueError(str(error).rstrip(".")) from error


def _sentence(error: Any) -> str:
    place = ".".join(map(str, error["loc"])) or "the file"
    if error["type"] == "extra_forbidden":
        return f"{place} is not known: leave it out or mend its name"
    if error["type"] == "missing":
        return f"{place} is missing"
    message = re.sub(r"^Value error, ", "", error["msg"])
    if error["type"] != "value_error":
        message = message[:1].lower() + message[1:]
    return f"{place}: {message}"
