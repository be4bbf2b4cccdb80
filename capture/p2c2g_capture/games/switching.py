"""From one game to the next: the same viewer, the same addresses, another source.

What was chosen is captured by a run of its own, so that size, sound, controls and what stands
against them are looked at again, as if the gamer had given ``--source game:NAME``.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2c2g.errors import P2C2GError
from p2c2g_capture.games.shelf import Shelf, of_launchers, of_this_machine

if TYPE_CHECKING:
    from p2c2g_capture.asked import RunOptions
    from p2c2g_capture.input.hand import Tokens
    from p2c2g_capture.sources import Source

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Stay:
    """What stays from one run to the next, and what each leaves for the next."""

    #: Who may play and choose; None until a game can be played.
    tokens: Tokens | None = None
    #: By which one may watch, where that is asked for.
    watch: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    #: Of the viewer, once it is known.
    port: int | None = None
    #: The game that was chosen in the viewer.
    chosen: str | None = None
    #: Whether the last run came as far as its first picture.
    has_begun: bool = False
    #: Why what was chosen could not be captured.
    trouble: str = ""

    def shelf(self, source: Source, options: RunOptions, stop: Callable[[], None]) -> Shelf | None:
        """Return the list of games for a run's viewer; None where nobody can play.

        Args:
            source: what is captured.
            options: what was asked for.
            stop: ends the run.
        """
        if self.tokens is None:
            return None

        def choose(name: str) -> None:
            self.chosen = name
            stop()

        # A game that ran already is captured by its window.
        profile = options.profile
        name = source.name if profile is None else f"game:{profile.name}"
        return Shelf(
            self.tokens.play, name, of_this_machine, of_launchers, choose,
            ends=source.ends(), fixed=why_fixed(options), trouble=self.trouble,
        )  # fmt: skip


def why_fixed(options: RunOptions) -> str:
    """Return why nothing else can be captured in this session, a sentence; empty where it can."""
    given = {
        "--record": options.record is not None,
        "--report": options.report is not None,
        "--seconds": options.seconds is not None,
        "--compare": options.compare,
        "--watchable": options.watchable,
    }
    for option, is_given in given.items():
        if is_given:
            return f"With {option} a session keeps its game: end it, and start the other by this."
    return ""


def play_on(source: str, play: Callable[[str, Stay], None]) -> None:
    """Capture a source, and after it whatever is chosen in the viewer, until nothing is.

    What was chosen and cannot be captured is said in the viewer, and the last is captured again.

    Args:
        source: the first one.
        play: captures one until it ends, or another is chosen.

    Raises:
        P2C2GError: one cannot be captured, or not any more.
    """
    stay = Stay()
    before: str | None = None
    while True:
        stay.chosen, stay.has_begun = None, False
        try:
            play(source, stay)
        except P2C2GError as error:
            if stay.has_begun or before is None:
                raise
            logger.warning("%s cannot be captured: %s", source, error)
            stay.trouble = f"{source} cannot be captured. {error}"
            source, before = before, None
            continue
        if stay.chosen is None:
            return
        before, source, stay.trouble = source, f"game:{stay.chosen}", ""
