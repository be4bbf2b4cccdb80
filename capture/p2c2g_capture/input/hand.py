"""The hand on the game: takes what players send, and puts it into the game in its own thread.

No picture and no viewer can hold it up, and nothing that stands still in the game's display holds
up a viewer.  Whatever ends it, what is pressed in the game is let go first.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from p2c2g.system.threads import SupervisedThread
from p2c2g_capture.input.controls import Controls, Role
from p2c2g_capture.input.events import Event
from p2c2g_capture.input.held import Held, merged
from p2c2g_capture.input.injector import InjectionError, Injector

logger = logging.getLogger(__name__)

#: What a player is told, from any thread; as JSON.
Tell = Callable[[Mapping[str, Any]], None]

#: Events that may wait for the game; beyond them all is let go.
_MOST_WAITING: Final = 4096
#: Latencies that are remembered.
_KEPT: Final = 512
#: Seconds that the end waits for the thread.
_PATIENCE: Final = 3.0

_OTHER = "Another viewer plays. It gives the controls back, or does nothing for five seconds."
_STUCK = "The game did not take what was played for a while: all keys were let go."


@dataclass(frozen=True, slots=True)
class Tokens:
    """Who may play: everything, or pads alone (None: nobody)."""

    play: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    pads: str | None = None

    @classmethod
    def new(cls, *, shared: bool) -> Tokens:
        """Make them; ``shared`` lets others press pads."""
        return cls(pads=secrets.token_urlsafe(24) if shared else None)

    def role(self, token: str) -> Role | None:
        """Return what who shows a token may press; None where that is nothing."""
        # What is no text has no right token either.
        given = token.encode(errors="replace")
        if hmac.compare_digest(given, self.play.encode()):
            return "all"
        if self.pads is not None and hmac.compare_digest(given, self.pads.encode()):
            return "pads"
        return None


@dataclass(slots=True)
class _Waiting:
    """Events on their way into the game, and who hears when they are there."""

    events: tuple[Event, ...]
    got_at: float
    player: int | None = None
    sequence: int = 0


class Hand:
    """One hand on one game, for any number of players.

    Args:
        injector: the way into the game; closed with this.
        tokens: who may play.
        clock: the session's monotonic clock, in seconds.
    """

    def __init__(
        self, injector: Injector, tokens: Tokens, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._injector = injector
        #: Who may play.
        self.tokens = tokens
        self._clock = clock
        self._change = threading.Condition()
        self._controls = Controls()
        self._tells: dict[int, Tell] = {}
        self._waiting: deque[_Waiting] = deque()
        self._latencies: deque[float] = deque(maxlen=_KEPT)
        self._said = ""
        self._begins: bool | None = None
        self._ending = False
        self._gone = False
        #: What is pressed in the game; the thread's own.
        self._pressed = Held()
        self._thread = SupervisedThread("p2c2g-hand", self._run)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def admit(self, token: str, tell: Tell, *, near: bool) -> Seat | None:
        """Let a player in who has a token; None where it has none, or there is no place.

        Args:
            token: what it shows.
            tell: is called with what it is to know, from any thread; must not wait.
            near: whether its browser is on this machine.
        """
        role = self.tokens.role(token)
        with self._change:
            if role is None or self._ending or self._controls.is_full:
                return None
            player = self._controls.join(role, self._clock(), near=near)
            self._tells[player] = tell
        return Seat(self, player)

    def figures(self) -> dict[str, Any]:
        """Return how it is played: counts, and milliseconds from here into the game."""
        with self._change:
            took = sorted(self._latencies)
            counts = dict(self._controls.counts)
            holder = self._controls.holder
        return {
            "by": self._injector.name,
            "held": holder is not None,
            "events": counts.pop("taken", 0),
            "refused": {name: count for name, count in counts.items() if count},
            "ms": {"p50": _part(took, 0.5), "p99": _part(took, 0.99)} if took else None,
        }

    def close(self) -> None:
        """Let go of everything, and leave the game; may be called twice."""
        with self._change:
            self._ending = True
            self._change.notify_all()
        if not self._thread.join(_PATIENCE):
            logger.warning("The game does not take input: what was pressed may still be.")
        self._injector.close()

    # -- of a seat, in any thread -----------------------------------------------------------------

    def take(self, player: int) -> None:
        """Give a player the controls, or tell it why not."""
        with self._change:
            had = self._controls.holder
            if not self._controls.take(player, self._clock()):
                self._tells[player]({"refused": _OTHER})
                return
            if self._controls.holder == player != had:
                self._begins = self._controls.is_near(player)
                self._change.notify_all()
            self._say_states()

    def give(self, player: int) -> None:
        """Take the controls back from a player."""
        with self._change:
            self._enqueue(_Waiting(self._controls.give(player), self._clock()))
            self._say_states()

    def leave(self, player: int) -> None:
        """Forget a player."""
        with self._change:
            self._tells.pop(player, None)
            self._enqueue(_Waiting(self._controls.leave(player), self._clock()))
            self._say_states()

    def heard(self, player: int, data: bytes) -> str:
        """Take a message of a player's; return why its connection ends, if it does."""
        now = self._clock()
        with self._change:
            heard = self._controls.heard(player, data, now)
            if heard.events:
                sequence = max(each.sequence for each in heard.events)
                self._enqueue(_Waiting(heard.events, now, player, sequence))
        return heard.ends

    def _enqueue(self, waiting: _Waiting) -> None:
        if waiting.events:
            self._waiting.append(waiting)
            self._change.notify_all()

    def _say_states(self) -> None:
        for player, tell in self._tells.items():
            tell(self._state(player))

    def _state(self, player: int) -> dict[str, Any]:
        controls = self._controls
        return {
            "plays": controls.plays(player),
            "role": controls.role_of(player),
            "held": controls.holder not in (None, player),
            "can": [] if self._gone else sorted(self._injector.can),
            "by": self._injector.name,
            "says": self._said,
        }

    # -- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while True:
                with self._change:
                    self._wait()
                    begins, self._begins = self._begins, None
                    waiting, self._waiting = self._waiting, deque()
                    ending = self._ending
                self._do(begins, waiting)
                if ending:
                    return
        finally:
            self._let_go()

    def _wait(self) -> None:
        """Wait for something to do; who has been silent for too long is something."""
        while not (self._waiting or self._ending or self._begins is not None):
            due, now = self._controls.due, self._clock()
            if due is not None and now >= due:
                for player, events in self._controls.silent(now).items():
                    self._waiting.append(_Waiting(events, now))
                    if player in self._tells:
                        self._tells[player]({"let_go": True})
            else:
                self._change.wait(None if due is None else due - now)

    def _do(self, begins: bool | None, waiting: Iterable[_Waiting]) -> None:
        """Put into the game what waits; where it takes nothing, say so and let go of it all."""
        if self._gone:
            return
        waiting = tuple(waiting)
        try:
            if begins is not None:
                self._injector.begin(near=begins)
            if sum(len(each.events) for each in waiting) > _MOST_WAITING:
                self._say(_STUCK)
                self._let_go()
                return
            events = merged(event for each in waiting for event in each.events)
            self._inject(events)
        except InjectionError as error:
            self._gone = True
            logger.warning("Nobody can play any more: %s", error)
            self._say(str(error))
            return
        done = self._clock()
        self._say(self._injector.notice())
        for each in waiting:
            self._latencies.append(done - each.got_at)
            tell = self._tells.get(each.player) if each.player is not None else None
            if tell is not None:
                got, at = round(each.got_at * 1e3, 3), round(done * 1e3, 3)
                tell({"ack": each.sequence, "got": got, "done": at})

    def _inject(self, events: Iterable[Event]) -> None:
        # Before they are in: what is let go without having been pressed does no harm.
        self._injector.inject([event for event in events if self._pressed.note(event)])

    def _let_go(self) -> None:
        try:
            self._injector.inject(self._pressed.let_go())
        except InjectionError as error:
            logger.debug("Nothing was let go: %s", error)

    def _say(self, sentence: str) -> None:
        if sentence == self._said:
            return
        with self._change:
            self._said = sentence
            self._say_states()


class Seat:
    """One player's way to the hand."""

    def __init__(self, hand: Hand, player: int) -> None:
        self._hand = hand
        self._player = player

    def take(self) -> None:
        """Ask for the controls."""
        self._hand.take(self._player)

    def give(self) -> None:
        """Give them back."""
        self._hand.give(self._player)

    def heard(self, data: bytes) -> str:
        """Hand in a message of events; return why the connection ends, if it does."""
        return self._hand.heard(self._player, data)

    def leave(self) -> None:
        """Leave for good."""
        self._hand.leave(self._player)


def _part(values: list[float], share: float) -> float:
    return round(values[min(len(values) - 1, int(share * len(values)))] * 1e3, 2)
