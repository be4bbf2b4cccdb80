"""The circuit breaker of each peer: whether it gets work, and whether its results count.

Pure; every call is told what time it is.  A breaker (Nygard, "Release It!", 2007) is

* *closed*: the peer is one of the pool;
* *open*: it made too many errors, or was late where others were not; it gets nothing and
  nothing of it counts, for a time that doubles with each relapse;
* *half-open*: that time is over; it is on *trial*: single chunks go to it, and some good ones in
  a row close the breaker while one bad one opens it again.

Sessions tell each other whom they have shut out (:meth:`Breakers.share`), and anybody may write
such a word.  One that this session has no good work of goes on trial by any word, and is shut out
by that of a quorum, for :data:`COOLDOWN_MOST` seconds at most and once; then trials decide.  Who
has done good work here stays, whatever others say.

Lateness is judged against the others: where all are late the pool is too small, and to send
its peers away would make it smaller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from p2c2g.peers.book import MAX_TOLD, QUORUM, PeerBook

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
#: Good trials in a row that close it, and seconds after which a trial has failed.
TRIALS = 3
TRIAL_TIMEOUT = 1.0
#: Good chunks here after which no other session's word counts, unless there are too many errors.
PROVEN = 3

#: What sessions say: by peer and session, the seconds until it may be tried; below 0, it may be.
Words = Mapping[str, Mapping[str, float]]


class State(Enum):
    """How a peer stands."""

    CLOSED = "closed"  # works with the others
    OPEN = "open"  # gets nothing, and nothing of it counts
    HALF_OPEN = "half-open"  # gets a trial now and then


class Heed(Enum):
    """How far others' words had their way with a breaker since it was closed last."""

    NONE = "none"
    TRIAL = "trial"  # it is on trial by them, and for nothing else
    SHUT = "shut"  # they opened it
    OWN = "own"  # this session opened it: they no longer count


class Outcome(Enum):
    """How one chunk of a peer ended."""

    GOOD = "good"
    BAD = "bad"  # an error, or a result that was no picture of the chunk
    LATE = "late"  # after its run was given up, or its frame shown


@dataclass(slots=True)
class Breaker:
    """One peer's breaker.  Moments are seconds of the caller's clock."""

    state: State = State.CLOSED
    #: When an open one becomes half-open.
    until: float = 0.0
    opened: int = 0
    outcomes: deque[Outcome] = field(default_factory=lambda: deque(maxlen=WINDOW))
    good_trials: int = 0
    #: When the trial that is out was sent; None where none is.
    trial_at: float | None = None
    cooldown: float = COOLDOWN
    closed_at: float = float("-inf")
    late_at: float = float("-inf")
    heed: Heed = Heed.NONE

    @property
    def is_proven(self) -> bool:
        """Tell whether its peer has done good work here, so that others' words do not count."""
        good = self.outcomes.count(Outcome.GOOD) + self.good_trials
        return good >= PROVEN and self.share(Outcome.BAD) < ERRORS_MOST

    @property
    def is_closed(self) -> bool:
        """Tell whether its peer is one of the pool."""
        return self.state is State.CLOSED

    def share(self, outcome: Outcome) -> float:
        """Return the share of one outcome among the latest."""
        return self.outcomes.count(outcome) / len(self.outcomes) if self.outcomes else 0.0

    def state_at(self, now: float) -> State:
        """Return the state; an open one whose time is over is half-open from now on."""
        if self.state is State.OPEN and now >= self.until:
            self.state = State.HALF_OPEN
            self.good_trials = 0
            self.trial_at = None
        return self.state

    def open(self, now: float) -> float:
        """Open it; return the seconds that it stays so."""
        if self.is_closed and now - self.closed_at > FORGIVEN_AFTER:
            self.cooldown = COOLDOWN
        seconds = self.cooldown
        self.opened += 1
        self.shut_until(now + seconds)
        self.cooldown = min(2 * seconds, COOLDOWN_MOST)
        self.outcomes.clear()
        self.heed = Heed.OWN
        return seconds

    def shut_until(self, moment: float) -> None:
        """Leave it open until a moment."""
        self.state = State.OPEN
        self.until = moment
        self.good_trials = 0
        self.trial_at = None

    def close(self, now: float) -> None:
        """Close it; the good trials that closed it count as good work."""
        self.state = State.CLOSED
        self.heed = Heed.NONE
        self.closed_at = now
        self.outcomes.clear()
        self.trial_at = None


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker that this session has opened for so many seconds, or (0) closed."""

    peer: str
    seconds: float


class Breakers:
    """The breakers of all peers, as one session sees them.  Not thread-safe.

    Args:
        book: the session's peers.
    """

    def __init__(self, book: PeerBook) -> None:
        self._book = book
        # Names of those that are not closed, and some that are no longer so: a frame's trial is
        # not looked for among all peers.
        self._shut: dict[str, None] = {}
        self._changes: deque[Change] = deque(maxlen=MAX_TOLD)  # the oldest is dropped
        self._banned: frozenset[str] = frozenset()

    def states(self, now: float) -> dict[str, tuple[State, int]]:
        """Return the state of each peer's breaker, and how often it was opened here."""
        return {
            peer.name: (peer.breaker.state_at(now), peer.breaker.opened)
            for peer in self._book
            if peer.breaker is not None
        }

    def state(self, peer: str, now: float) -> State:
        """Return a peer's state."""
        if peer in self._banned:
            return State.OPEN
        breaker = self._find(peer)
        return State.CLOSED if breaker is None else breaker.state_at(now)

    def record(self, peer: str, outcome: Outcome, now: float) -> None:
        """Note how a chunk of a peer ended; one that is not closed is judged by trials only."""
        breaker = self._of(peer)
        if not breaker.is_closed:
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
        """Take over who is banned: open to nobody, and never tried."""
        self._banned = peers

    # -- trials ---------------------------------------------------------------------------

    def trial(self, now: float) -> str | None:
        """Return a peer that is there and to be tried now, and note that it is."""
        for peer, breaker in self._not_closed():
            if breaker.state_at(now) is not State.HALF_OPEN or peer in self._banned:
                continue
            if self._book.is_absent(peer):
                breaker.trial_at = None  # It is tried when it comes back.
                continue
            if breaker.trial_at is None:
                breaker.trial_at = now
                return peer
            if now - breaker.trial_at > TRIAL_TIMEOUT:
                self._open(peer, breaker, now)
        return None

    def has_trial(self, now: float) -> bool:
        """Tell whether somebody is there who is on trial."""
        return any(
            breaker.state_at(now) is State.HALF_OPEN
            and peer not in self._banned
            and not self._book.is_absent(peer)
            for peer, breaker in self._not_closed()
        )

    def withdraw_trial(self, peer: str) -> None:
        """Note that the trial was not sent after all."""
        breaker = self._find(peer)
        if breaker is not None:
            breaker.trial_at = None

    def tried(self, peer: str, now: float, *, good: bool) -> None:
        """Note how a trial ended."""
        breaker = self._find(peer)
        if breaker is None or breaker.trial_at is None:
            return
        breaker.trial_at = None
        if not good:
            self._open(peer, breaker, now)
            return
        breaker.good_trials += 1
        if breaker.good_trials >= TRIALS:
            breaker.close(now)
            self._changes.append(Change(peer, 0.0))

    # -- what sessions tell each other ---------------------------------------------------

    def take_changes(self) -> list[Change]:
        """Take what this session has opened and closed since the last time."""
        changes = list(self._changes)
        self._changes.clear()
        return changes

    def put_back(self, changes: list[Change]) -> None:
        """Return changes that could not be told."""
        self._changes.extendleft(reversed(changes))

    def share(self, words: Words, now: float) -> None:
        """Take what other sessions say of peers, in place of what they said before.

        Args:
            words: what they say.
            now: seconds of the caller's clock.
        """
        for peer, said in words.items():
            breaker = self._of(peer)
            if breaker.heed in (Heed.OWN, Heed.SHUT) or (breaker.is_closed and breaker.is_proven):
                continue
            # The shortest time that a quorum is for.
            left = sorted(said.values(), reverse=True)[QUORUM - 1 : QUORUM]
            if left and left[0] > 0:
                breaker.shut_until(now + min(left[0], COOLDOWN_MOST))
                breaker.heed = Heed.SHUT
            elif breaker.is_closed:
                breaker.shut_until(now)
                breaker.heed = Heed.SHUT if left else Heed.TRIAL
            self._shut[peer] = None
        for peer, breaker in self._not_closed():
            if peer not in words and breaker.heed in (Heed.TRIAL, Heed.SHUT):
                breaker.close(now)

    def forget_shared(self, now: float) -> None:
        """Tell everything again: the broker has lost what was shared."""
        told = {change.peer for change in self._changes}
        for peer, breaker in self._not_closed():
            if peer not in told and breaker.heed is Heed.OWN:
                self._changes.append(Change(peer, max(breaker.until - now, 0.001)))

    # -- inside ---------------------------------------------------------------------------

    def _find(self, peer: str) -> Breaker | None:
        known = self._book.get(peer)
        return None if known is None else known.breaker

    def _of(self, peer: str) -> Breaker:
        known = self._book.known(peer)
        if known.breaker is None:
            known.breaker = Breaker()
        return known.breaker

    def _not_closed(self) -> Iterator[tuple[str, Breaker]]:
        for peer in tuple(self._shut):
            breaker = self._find(peer)
            if breaker is None or breaker.is_closed:
                del self._shut[peer]
            else:
                yield peer, breaker

    def _others_in_time(self, peer: str) -> bool:
        others = [
            outcome
            for other in self._book
            if other.breaker is not None and other.breaker.is_closed and other.name != peer
            for outcome in other.breaker.outcomes
        ]
        if len(others) < LATE_ENOUGH:
            return False
        return others.count(Outcome.LATE) / len(others) <= OTHERS_LATE_MOST

    def _open(self, peer: str, breaker: Breaker, now: float) -> None:
        self._changes.append(Change(peer, breaker.open(now)))
        self._shut[peer] = None
