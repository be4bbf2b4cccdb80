"""Somebody who plays all through a run, by the viewer's own socket: inputs go by no peer.

Each message presses a key and lets it go, so that no silence of a busy machine comes between.
"""

from __future__ import annotations

import json
import threading
from types import TracebackType
from typing import Self

from websockets.sync.client import ClientConnection, connect

from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer
from p2c2g_capture.input.events import Event, Kind, pack
from p2c2g_capture.input.hand import Hand, Tokens
from p2c2g_capture.input.injector import MemoryInjector

#: Seconds between two messages, and that the game has for the last of them.
_EVERY, _PATIENCE = 0.01, 30.0


class Player:
    """A player, the hand, and the game that it plays; a context manager."""

    def __init__(self) -> None:
        self._game = MemoryInjector()
        self._hand = Hand(self._game, Tokens.new(shared=False))
        self._viewer = ViewerServer(Hub(), dict, game=self._hand)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._play, name="chaos-player")
        #: The numbers of the events that were sent.
        self.sent: list[int] = []

    @property
    def got(self) -> list[int]:
        """Return the numbers of the events that the game got, in their order."""
        return [each.sequence for each in self._game.events]

    def __enter__(self) -> Self:
        self._hand.start()
        self._url = self._viewer.start()
        self._thread.start()
        return self

    def end(self) -> None:
        """Stop playing, and wait for what is on its way."""
        self._ended.set()
        self._thread.join()
        self._game.wait_for(len(self.sent), _PATIENCE)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        self._viewer.close()
        self._hand.close()

    def _play(self) -> None:
        address = f"ws{self._url.removeprefix('http')}input"
        with connect(address, proxy=None, open_timeout=_PATIENCE) as socket:
            socket.send(f'{{"token": "{self._hand.tokens.play}"}}')
            socket.send('{"take": true}')
            while not self._ended.wait(_EVERY):
                first = len(self.sent) + 1
                key = first % 100 + 1
                socket.send(
                    pack(
                        Event(kind, key, sequence=sequence)
                        for kind, sequence in ((Kind.KEY_DOWN, first), (Kind.KEY_UP, first + 1))
                    )
                )
                self.sent += [first, first + 1]
                self._hear(socket)
            self._game.wait_for(len(self.sent), _PATIENCE)

    def _hear(self, socket: ClientConnection) -> None:
        """Read until what was sent last is in the game: what is told must not pile up."""
        while json.loads(socket.recv(timeout=_PATIENCE)).get("ack") != len(self.sent):
            pass
