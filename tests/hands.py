"""Players without a browser: what they send, and hands for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

from p2c2g_capture.input.events import Event, Kind, pack
from p2c2g_capture.input.hand import Hand, Tokens
from p2c2g_capture.input.injector import Injector, MemoryInjector
from tests.watchers import PATIENCE

TOKENS = Tokens("play-" + "p" * 20, "pads-" + "q" * 20)


class Fingers:
    """Numbers events as a browser does."""

    def __init__(self) -> None:
        self.sequence = 0

    def event(self, kind: Kind, number: int = 0, x: float = 0, y: float = 0, pad: int = 0) -> Event:
        self.sequence += 1
        return Event(kind, number, x, y, pad, self.sequence, float(self.sequence))

    def data(self, kind: Kind, number: int = 0, x: float = 0, y: float = 0, pad: int = 0) -> bytes:
        return pack([self.event(kind, number, x, y, pad)])


class Playing(Fingers):
    """A player on a socket."""

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__()
        self.connection = connection

    def say(self, **what: Any) -> None:
        self.connection.send(json.dumps(what))

    def told(self, *names: str) -> dict[str, Any]:
        """Read until something of one of these names is told."""
        while True:
            told = json.loads(self.connection.recv(timeout=PATIENCE))
            if any(name in told for name in names):
                return dict(told)

    def take(self, token: str = TOKENS.play) -> dict[str, Any]:
        """Ask for the controls; return what is told then."""
        self.say(token=token)
        self.say(take=True)
        return self.told("plays", "refused")

    def does(self, kind: Kind, number: int = 0, **more: float) -> None:
        self.connection.send(self.data(kind, number, **more))


@contextmanager
def hand_on(injector: Injector | None = None, **how: Any) -> Iterator[tuple[Hand, Any]]:
    """Run a hand; give it and what it plays."""
    game = injector or MemoryInjector()
    hand = Hand(game, TOKENS, **how)
    hand.start()
    try:
        yield hand, game
    finally:
        hand.close()


@contextmanager
def player_at(url: str) -> Iterator[Playing]:
    """Open a socket for a player at a viewer's address."""
    address = f"ws{url.removeprefix('http')}input"
    with connect(address, proxy=None, open_timeout=PATIENCE) as connection:
        yield Playing(connection)
