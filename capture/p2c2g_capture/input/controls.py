"""Who plays, what that one holds, and what is refused; pure, with the time as an argument.

One player holds the controls.  Another may take them once that one has done nothing for
:data:`IDLE` seconds.  Where the gamer shares pads, further players may press theirs, and no more.

What a player holds is let go when it says so, gives the controls back, leaves, or says nothing for
:data:`SILENCE` while it holds anything: a browser that holds something sends a beat each 50 ms.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

from p2c2g.timing.bucket import TokenBucket
from p2c2g_capture.input.events import PADS, BadEventError, Event, Kind, unpack
from p2c2g_capture.input.held import Held

#: What a player may press: everything, or pads alone.
Role = Literal["all", "pads"]

#: Seconds without a word after which what a player holds is let go.
SILENCE: Final = 0.1
#: Seconds without an event after which another may take the controls.
IDLE: Final = 5.0
#: Events a second, and at once: four pads at a rate that no browser has, and a mouse.
RATE, BURST = 3000.0, 1500.0
#: Events with an old sequence number after which a connection ends: none has any.
_OLD: Final = 256
#: How many may be joined.
MOST_PLAYERS: Final = 8

_FORGED = "What was sent are no events of this viewer's."
_FLOODED = "Too many events: nobody plays so fast."


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a message: what the game is to get, and why the connection ends, if it does."""

    events: tuple[Event, ...] = ()
    ends: str = ""


@dataclass(slots=True)
class _Player:
    role: Role
    near: bool
    heard_at: float
    acted_at: float
    plays: bool = False
    sequence: int = 0
    old: int = 0
    held: Held = field(default_factory=Held)
    #: The game's pad for each of its own.
    pads: dict[int, int] = field(default_factory=dict)
    bucket: TokenBucket = field(default_factory=lambda: TokenBucket(RATE, BURST))


class Controls:
    """The right to play, and what is pressed."""

    def __init__(self) -> None:
        self._players: dict[int, _Player] = {}
        self._names = itertools.count(1)
        self._holder: int | None = None
        #: How many events there were: ``taken``, and what was refused, by why.
        self.counts: Counter[str] = Counter()

    @property
    def holder(self) -> int | None:
        """Return who holds the controls."""
        return self._holder

    @property
    def players(self) -> tuple[int, ...]:
        """Return who is joined."""
        return tuple(self._players)

    @property
    def is_full(self) -> bool:
        """Tell whether nobody else can join."""
        return len(self._players) >= MOST_PLAYERS

    @property
    def due(self) -> float | None:
        """Return when somebody has said nothing for too long; None where nothing is held."""
        heard = [each.heard_at for each in self._players.values() if each.held]
        return min(heard) + SILENCE if heard else None

    def join(self, role: Role, now: float, *, near: bool) -> int:
        """Let a player in; it plays once it takes the controls."""
        name = next(self._names)
        self._players[name] = _Player(role, near, heard_at=now, acted_at=now)
        return name

    def is_near(self, player: int) -> bool:
        """Tell whether a player's browser is on this machine."""
        return self._players[player].near

    def role_of(self, player: int) -> Role:
        """Return what a player may press."""
        return self._players[player].role

    def plays(self, player: int) -> bool:
        """Tell whether what a player does reaches the game."""
        return player in self._players and self._players[player].plays

    def take(self, player: int, now: float) -> bool:
        """Give a player the controls, if they are free or idle; tell whether it has them."""
        mine = self._players[player]
        if mine.role == "all" and self._holder not in (None, player):
            other = self._players[self._holder] if self._holder is not None else mine
            if other.held or now - other.acted_at < IDLE:
                return False
            other.plays = False
        if mine.role == "all":
            self._holder = player
        mine.plays, mine.acted_at, mine.heard_at = True, now, now
        return True

    def give(self, player: int) -> tuple[Event, ...]:
        """Take the controls back from a player; return what lets go of what it holds."""
        mine = self._players.get(player)
        if mine is None:
            return ()
        mine.plays = False
        mine.pads.clear()
        if self._holder == player:
            self._holder = None
        return mine.held.let_go()

    def leave(self, player: int) -> tuple[Event, ...]:
        """Forget a player; return what lets go of what it holds."""
        let_go = self.give(player)
        self._players.pop(player, None)
        return let_go

    def heard(self, player: int, data: bytes, now: float) -> Heard:
        """Judge a message of a player's."""
        mine = self._players.get(player)
        if mine is None:
            return Heard()
        try:
            events = unpack(data)
        except BadEventError:
            self.counts["forged"] += 1
            return Heard(ends=_FORGED)
        mine.bucket.fill(now)
        mine.bucket.spend(len(events))
        if mine.bucket.tokens < 0:
            self.counts["flood"] += len(events)
            return Heard(ends=_FLOODED)
        mine.heard_at = now
        taken: list[Event] = []
        for event in events:
            if event.sequence <= mine.sequence:
                self.counts["old"] += 1
                mine.old += 1
                continue
            self.counts["lost"] += event.sequence - mine.sequence - 1
            mine.sequence = event.sequence
            if event.kind is Kind.BEAT:
                continue
            mine.acted_at = now
            if event.kind is Kind.RELEASE:
                taken += mine.held.let_go()
                continue
            if not mine.plays or (mine.role == "pads" and not _is_of_pad(event)):
                self.counts["not allowed"] += 1
                continue
            if (judged := self._judged(mine, event)) is not None:
                taken.append(judged)
        self.counts["taken"] += len(taken)
        return Heard(tuple(taken), _FLOODED if mine.old > _OLD else "")

    def silent(self, now: float) -> dict[int, tuple[Event, ...]]:
        """Return what lets go of what those hold who have said nothing for too long."""
        found = {}
        for name, each in self._players.items():
            if each.held and now >= each.heard_at + SILENCE:
                self.counts["silences"] += 1
                found[name] = each.held.let_go()
                # Who held something has not been idle until then.
                each.acted_at = each.heard_at
        return found

    def _judged(self, mine: _Player, event: Event) -> Event | None:
        """Note what an event presses or lets go; None where it says nothing new."""
        if _is_of_pad(event):
            pad = self._pad_of(mine, event.pad)
            if pad is None:
                self.counts["not allowed"] += 1
                return None
            event = Event(event.kind, event.number, event.x, 0.0, pad, event.sequence, event.at)
        if mine.held.note(event):
            return event
        self.counts["said before"] += 1
        return None

    def _pad_of(self, mine: _Player, pad: int) -> int | None:
        """Return which of the game's pads a player's is; None where all are others'."""
        if pad not in mine.pads:
            taken = {each for player in self._players.values() for each in player.pads.values()}
            free = [each for each in range(PADS) if each not in taken]
            if not free:
                return None
            # The game's first pad is kept for the holder's.
            mine.pads[pad] = (
                free[1] if mine.role == "pads" and free[0] == 0 < len(free) - 1 else free[0]
            )
        return mine.pads[pad]


def _is_of_pad(event: Event) -> bool:
    return event.kind in (Kind.PAD_BUTTON, Kind.PAD_AXIS)
