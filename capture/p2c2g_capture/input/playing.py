"""One run's hand on its game: opened as the gamer wishes, and announced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, get_args

from rich.console import Console
from rich.text import Text

from p2c2g.errors import UsageError
from p2c2g_capture.input.choosing import Wish, open_injector
from p2c2g_capture.input.hand import Hand, Tokens
from p2c2g_capture.sources import Source

#: Said beside the address by which one plays.
_KEEP = "Who has it can press your keys in there: it is yours alone."


def open_hand(
    source: Source,
    wish: str,
    *,
    shared: bool = False,
    pads: Mapping[str, str] | None = None,
    tokens: Tokens | None = None,
) -> Hand | None:
    """Open the hand on a source's game, and start it; None where it is not played.

    Args:
        source: what is captured.
        wish: what the gamer allows, as the command line has it.
        shared: whether others may press pads, too.
        pads: which key each part of a pad presses, by the names of
            :class:`p2c2g_capture.input.pads.PadProfile`; None for virtual pads, or the usual keys.
        tokens: who may play; else new ones.

    Raises:
        UsageError: the wish is none, or cannot be.
        SourceUnavailableError: what was wished for is not there.
    """
    if wish not in get_args(Wish):
        raise UsageError(f"--input {wish!r} cannot be: give {', '.join(get_args(Wish))}.")
    injector = open_injector(source, cast("Wish", wish), pads)
    if injector is None:
        if shared:
            raise UsageError(f"--share-pads needs a game to play, and {source.name} is not played.")
        return None
    hand = Hand(injector, tokens or Tokens.new(shared=shared))
    hand.start()
    return hand


def announce(hand: Hand, page: str, console: Console) -> None:
    """Print by which addresses one plays.

    Args:
        hand: on the game.
        page: the viewer's address.
        console: where to.
    """
    console.print(
        "Play at ", Text(f"{page}#play={hand.tokens.play}", "bold"), sep="", soft_wrap=True
    )
    console.print(_KEEP, style="dim", soft_wrap=True)
    if hand.tokens.pads is not None:
        address = Text(f"{page}#play={hand.tokens.pads}", "bold")
        console.print("Further players' gamepads at ", address, sep="", soft_wrap=True)
