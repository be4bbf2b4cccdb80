"""What the owner of this machine wants of it now: its limits, and whether to work at all.

A worker that was started by ``peer.toml`` follows that file, and the one that says that it is
paused, while it runs: whoever writes them, a command, the peer's page or an editor.  Both are
looked at many times a second, which takes two calls of the system.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from p2c2g.commands.guest import Limits
from p2c2g.errors import P2C2GError, UnavailableError, UsageError
from p2c2g.lending import peer_config
from p2c2g.lending.home import Home
from p2c2g.lending.peer_settings import LimitsPart, PeerConfig
from p2c2g.system.files import write_whole
from p2c2g.text import plain

logger = logging.getLogger(__name__)

#: Names the home of a worker that was started by its ``peer.toml``.
LENT_VARIABLE: Final = "P2C2G_LENT_HOME"
#: Names the port of the page of any worker that has one.
PAGE_VARIABLE: Final = "P2C2G_LENT_PAGE"
#: Its token, where that is no home's.
TOKEN_VARIABLE: Final = "P2C2G_LENT_PAGE_TOKEN"  # noqa: S105 - its name
#: What is told where nobody gave a reason.
USUAL_REASON: Final = "its owner has paused it"
#: Letters of a reason at most.
_MOST: Final = 100


class Wishes(Protocol):
    """What is wanted.  Thread-safe."""

    def limits(self) -> Limits:
        """Return the limits of this moment."""

    def paused(self) -> str:
        """Return why it is paused; "" where it is not."""

    def part(self) -> LimitsPart:
        """Return the limits as their owner wrote them."""

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change limits, by names such as ``limits.max_cpu``.

        Raises:
            UsageError: a value is wrong; then nothing is changed.
            UnavailableError: it cannot be kept.
        """

    def pause(self, reason: str = "") -> None:
        """Have it take no more work until it is to.

        Raises:
            UnavailableError: it cannot be kept.
        """

    def resume(self) -> None:
        """Have it work again; nothing happens where it does.

        Raises:
            UnavailableError: it cannot be kept.
        """


class Spoken:
    """Wishes of one run alone: they are gone with the process.

    Args:
        part: the first limits.
    """

    def __init__(self, part: LimitsPart | None = None) -> None:
        self._part = part or LimitsPart()
        self._limits = self._part.limits()
        self._paused = ""

    def limits(self) -> Limits:
        """Return the limits."""
        return self._limits

    def paused(self) -> str:
        """Return why it is paused."""
        return self._paused

    def part(self) -> LimitsPart:
        """Return the limits as they were given."""
        return self._part

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change limits."""
        before = {f"limits.{name}": value for name, value in self._part.model_dump().items()}
        part = PeerConfig.of({**before, **_only_limits(changes)}).limits
        self._part, self._limits = part, part.limits()

    def pause(self, reason: str = "") -> None:
        """Pause."""
        self._paused = _reason(reason)

    def resume(self) -> None:
        """Go on."""
        self._paused = ""


class Written:
    """The wishes in the files of a home.  What is wrong in ``peer.toml`` is told once, and the
    limits stay as they were.

    Args:
        home: whose files.

    Raises:
        UsageError: the file is wrong from the start.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._seen = _stamp(home.config)
        self._part = peer_config.read(home.config).limits
        self._limits = self._part.limits()
        self._pause_seen: tuple[int, ...] | None = None
        self._paused = ""

    def limits(self) -> Limits:
        """Return the limits, read again where the file has changed."""
        with self._lock:
            self._look()
            return self._limits

    def part(self) -> LimitsPart:
        """Return the limits as they are written."""
        with self._lock:
            self._look()
            return self._part

    def paused(self) -> str:
        """Return why it is paused."""
        with self._lock:
            stamp = _stamp(self._home.paused)
            if stamp != self._pause_seen:
                self._pause_seen = stamp
                self._paused = "" if stamp is None else why_paused(self._home)
            return self._paused

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change limits in the file."""
        peer_config.change(self._home.config, _only_limits(changes))

    def pause(self, reason: str = "") -> None:
        """Pause, also after the next start."""
        pause(self._home, reason)

    def resume(self) -> None:
        """Go on."""
        resume(self._home)

    def _look(self) -> None:
        stamp = _stamp(self._home.config)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._part = peer_config.read(self._home.config).limits
        except P2C2GError as error:
            logger.warning("%s This peer goes on with the limits that it had.", error)
            return
        self._limits = self._part.limits()


def pause(home: Home, reason: str = "") -> None:
    """Have a home's peer take no more work, from now on and after each start.

    Raises:
        UnavailableError: it cannot be kept.
    """
    try:
        write_whole(home.paused, _reason(reason) + "\n")
    except OSError as error:
        raise UnavailableError(f"{home.paused} cannot be written ({error.strerror}).") from error


def resume(home: Home) -> None:
    """Have a home's peer work again.

    Raises:
        UnavailableError: it cannot be kept.
    """
    try:
        home.paused.unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(f"{home.paused} cannot be deleted ({error.strerror}).") from error


def why_paused(home: Home) -> str:
    """Return why a home's peer is paused; "" where it is not."""
    try:
        with home.paused.open("rb") as file:
            return _reason(file.read(4 * _MOST).decode(errors="replace"))
    except FileNotFoundError:
        return ""
    except OSError:
        return USUAL_REASON


def wishes_of_process(part: LimitsPart) -> Wishes | None:
    """Return the wishes that this worker follows; None where nobody can change them.

    Args:
        part: the limits of its command line.

    Raises:
        UsageError: ``peer.toml`` is wrong.
    """
    home = home_of_process()
    if home is not None:
        return Written(home)
    return Spoken(part) if os.environ.get(PAGE_VARIABLE) else None


def home_of_process() -> Home | None:
    """Return the home of a worker that was started by its ``peer.toml``; else None."""
    root = os.environ.get(LENT_VARIABLE)
    return Home(Path(root)) if root else None


def _only_limits(changes: Mapping[str, Any]) -> dict[str, Any]:
    for name in changes:
        if not name.startswith("limits."):
            raise UsageError(f"{name!r} cannot be changed while the peer runs, only limits can.")
    return dict(changes)


def _reason(text: str) -> str:
    return plain(" ".join(text.split()), _MOST) or USUAL_REASON


def _stamp(path: Path) -> tuple[int, ...] | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None
