"""Whether a source's game may be played from a viewer, and the hand on it where it may."""

from __future__ import annotations

import logging

from p2c2g.errors import UsageError
from p2c2g_capture.games.anticheat import look, systems
from p2c2g_capture.games.profile import GameProfile
from p2c2g_capture.games.programs import Machine, ThisMachine
from p2c2g_capture.input.hand import Hand, Tokens
from p2c2g_capture.input.playing import open_hand
from p2c2g_capture.input.target import OwnTarget
from p2c2g_capture.sources import Source

logger = logging.getLogger(__name__)

#: What overrides it.
KNOWING = "--beside-anti-cheat"


def hand_on(
    source: Source,
    wish: str,
    profile: GameProfile | None,
    *,
    shared: bool = False,
    knows: bool = False,
    machine: Machine | None = None,
    tokens: Tokens | None = None,
) -> tuple[Hand | None, str]:
    """Open the hand on a source's game, unless a system against cheating is there.

    Args:
        source: what is captured.
        wish: what the gamer allows, as ``--input`` has it.
        profile: of the game, where there is one: which keys a pad presses.
        shared: whether others may press pads, too.
        knows: whether the gamer lets be played all the same.
        machine: what runs; else on this one.
        tokens: who may play; else new ones.

    Returns:
        The hand, None where nothing is pressed; and a viewer's notice, one sentence without its
        end, empty where there is nothing to say.

    Raises:
        UsageError: the wish is none, or cannot be.
        SourceUnavailableError: what was wished for is not there.
    """
    target = source.target()
    is_asked = wish != "off" and target is not None and not isinstance(target, OwnTarget)
    if is_asked and not knows:
        found = look(machine or ThisMachine(), source.pid, systems())
        if found is not None:
            how = f"{found.sentence}. Give {KNOWING} if you know that this game allows it"
            if wish == "on":
                raise UsageError(f"{how}.")
            logger.warning("%s.", how)
            return None, found.sentence
    pads = None if profile is None else profile.input.pad
    return open_hand(source, wish, shared=shared, pads=pads, tokens=tokens), ""
