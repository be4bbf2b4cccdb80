"""The circuit breaker of each peer: whether it gets work, and whether its results count.

Pure; every call is told what time it is.  A breaker (Nygard, "Release It!", 2007) is

* *closed*: the peer is one of the pool;
* *open*: it made too many errors, or was late where others were not; it gets nothing and
  nothing of it counts, for a time that doubles with each relapse;
* *half-open*: that time is over; single probe chunks go to it, and some good ones in a row
  close the breaker while one bad one opens it again.

Lateness is judged against the others: where all are late the pool is too small, and to send
its peers away would make it smaller.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import Enum

#: Outcomes of a peer that are looked at.
WINDOW = 20
#: A peer is judged by its errors after so many chunks, by its lateness after more.
ERRORS_ENOUGH = 5
LATE_ENOUGH = 10
#: Seconds between two lates of a peer that count: a burst of them, as after a lost connection,
#: is one event and no habit.
LATE_SPACING = 0.1
#: Shares of them that open a breaker, and that the others must stay below to call one late.
ERRORS_MOST = 0.4
LATE_MOST = 0.6
OTHERS_LATE_MOST = 0.3
#: Seconds that a breaker stays open at first, and at most; what it has grown to is forgotten
#: after so many seconds of good conduct.
COOLDOWN = 2.0
COOLDOWN_MOST = 60.0
FORGIVEN_AFTER = 60.0
#: Good probes in a row that close it, and seconds after which a probe has failed.
PROBES = 3
PROBE_TIMEOUT = 1.0
#: Peers told apart; one more drops the one that was heard of least lately and is closed.
MAX_PEERS = 256


class State(Enum):
    """How a peer stands."""

    CLOSED = "closed"  # works with the others
    OPEN = "open"  # gets nothing, and nothing of it counts
    HALF_OPEN = "half-open"  # gets a probe now and then


class Outcome(Enum):
    """How one chunk of a peer ended."""

    GOOD = "good"
    BAD = "bad"  # an error, or a result that was no picture of the chunk
    LATE = "late"  # after its run was given up, or its frame shown


@dataclass(slots=True)
class Breaker:
    """One peer's record."""

    state: State = State.CLOSED
    #: When an open one becomes half-open, in seconds of the caller's clock.
    until: float = 0.0
    opened: int = 0
    outcomes: deque[Outcome] = field(default_factory=lambda: deque(maxlen=WINDOW))
    good_probes: int = 0
    probed_at: float | None = None
    cooldown: float = COOLDOWN
    closed_at: float = float("-inf")
    late_at: float = float("-inf")

    def share(self, outcome: Outcome) -> float:
        """Return the share of one outcome among the latest."""
        return self.outcomes.count(outcome) / len(self.outcomes) if self.outcomes else 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker that this breakers has opened for so many seconds, or (0) closed."""

    peer: str
    seconds: float


class Breakers:
    """The breakers of all peers, as one session sees them.  Not thread-safe."""

    def __init__(self) -> None:
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()
        self._changes: deque[Change] = deque(maxlen=MAX_PEERS)  # the oldest is dropped
        self._shared: frozenset[str] = frozenset()
        self._banned: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self._breakers)

    def states(self, now: float) -> dict[str, tuple[State, int]]:
        """Return each peer's state, and how often its breaker was opened here."""
        return {
            peer: (self._state(breaker, now), breaker.opened)
            for peer, breaker in self._breakers.items()
        }

    def state(self, peer: str, now: float) -> State:
        """Return a peer's state."""
        if peer in self._banned:
            return State.OPEN
        breaker = self._breakers.get(peer)
        return State.CLOSED if breaker is None else self._state(breaker, now)

    def record(self, peer: str, outcome: Outcome, now: float) -> None:
        """Note how a chunk of a peer ended; one that is not closed is judged by probes only."""
        breaker = self._of(peer)
        if breaker.state is not State.CLOSED:
            return
        if outcome is Outcome.LATE:
            if now - breaker.late_at < LATE_SPACING:
                return
            breaker.late_at = now
        breaker.outcomes.append(outcome)
        count = len(breaker.outcomes)
        errors = count >= ERRORS_ENOUGH and breaker.share(Outcome.BAD) >= ERRORS_MOST
        late = count >= LATE_ENOUGH and breaker.share(Outcome.LATE) >= LATE_MOST
        if errors or (late and self._others_in_time(peer)):
            self._open(peer, breaker, now)

    def ban(self, peers: frozenset[str]) -> None:
        """Take over who is banned: open to nobody, and never probed."""
        self._banned = peers

    def probe(self, now: float) -> str | None:
        """Return a peer that wants a probe chunk now, and note that it gets one."""
        for peer, breaker in self._breakers.items():
            if self._state(breaker, now) is not State.HALF_OPEN or peer in self._banned:
                continue
            if breaker.probed_at is None:
                breaker.probed_at = now
                return peer
            if now - breaker.probed_at > PROBE_TIMEOUT:
                self._open(peer, breaker, now)
        return None

    def unprobe(self, peer: str) -> None:
        """Note that the probe was not sent after all."""
        breaker = self._breakers.get(peer)
        if breaker is not None:
            breaker.probed_at = None

    def probed(self, peer: str, now: float, *, good: bool) -> None:
        """Note how a probe ended."""
        breaker = self._breakers.get(peer)
        if breaker is None or breaker.probed_at is None:
            return
        breaker.probed_at = None
        if not good:
            self._open(peer, breaker, now)
            return
        breaker.good_probes += 1
        if breaker.good_probes >= PROBES:
            self._close(breaker, now)
            self._changes.append(Change(peer, 0.0))

    # -- what sessions tell each other ---------------------------------------------------

    def take_changes(self) -> list[Change]:
        """Take what this breakers has opened and closed since the last time."""
        changes = list(self._changes)
        self._changes.clear()
        return changes

    def put_back(self, changes: list[Change]) -> None:
        """Return changes that could not be told."""
        self._changes.extendleft(reversed(changes))

    def share(self, left: dict[str, float], now: float) -> None:
        """Take over what all sessions know: the peers that are not closed.

        Args:
            left: seconds until each may be probed; below 0 where it may be.
            now: seconds of the caller's clock.
        """
        pending = {change.peer for change in self._changes}
        for peer, seconds in left.items():
            breaker = self._of(peer)
            if breaker.state is State.CLOSED and peer not in pending:
                breaker.state = State.OPEN
                breaker.good_probes = 0
                breaker.probed_at = None
            if breaker.state is not State.CLOSED:
                breaker.until = max(breaker.until, now + seconds)
        for peer in self._shared - left.keys() - pending:
            closed = self._breakers.get(peer)
            if closed is not None and closed.state is not State.CLOSED:
                self._close(closed, now)
        self._shared = frozenset(left)

    def forget_shared(self, now: float) -> None:
        """Tell everything anew: the broker has lost what was shared."""
        told = {change.peer for change in self._changes}
        self._shared = frozenset()
        for peer, breaker in self._breakers.items():
            if breaker.state is not State.CLOSED and peer not in told:
                self._changes.append(Change(peer, max(breaker.until - now, 0.001)))

    # -- inside ---------------------------------------------------------------------------

    def _state(self, breaker: Breaker, now: float) -> State:
        if breaker.state is State.OPEN and now >= breaker.until:
            breaker.state = State.HALF_OPEN
            breaker.good_probes = 0
            breaker.probed_at = None
        return breaker.state

    def _others_in_time(self, peer: str) -> bool:
        others = [
            outcome
            for name, breaker in self._breakers.items()
            if name != peer and breaker.state is State.CLOSED
            for outcome in breaker.outcomes
        ]
        if len(others) < LATE_ENOUGH:
            return False
        return others.count(Outcome.LATE) / len(others) <= OTHERS_LATE_MOST

    def _open(self, peer: str, breaker: Breaker, now: float) -> None:
        if breaker.state is State.CLOSED and now - breaker.closed_at > FORGIVEN_AFTER:
            breaker.cooldown = COOLDOWN
        breaker.state = State.OPEN
        breaker.opened += 1
        breaker.until = now + breaker.cooldown
        self._changes.append(Change(peer, breaker.cooldown))
        breaker.cooldown = min(2 * breaker.cooldown, COOLDOWN_MOST)
        breaker.outcomes.clear()
        breaker.good_probes = 0
        breaker.probed_at = None

    @staticmethod
    def _close(breaker: Breaker, now: float) -> None:
        breaker.state = State.CLOSED
        breaker.closed_at = now
        breaker.outcomes.clear()
        breaker.probed_at = None

    def _of(self, peer: str) -> Breaker:
        breaker = self._breakers.get(peer)
        if breaker is None:
            if len(self._breakers) >= MAX_PEERS:
                idle = next(
                    (name for name, b in self._breakers.items() if b.state is State.CLOSED),
                    next(iter(self._breakers)),
                )
                del self._breakers[idle]
            breaker = self._breakers[peer] = Breaker()
        self._breakers.move_to_end(peer)
        return breaker
