"""Who watches whose session, and what each is sent next; no sockets and no clock in here.

A picture comes once and is kept once.  Each viewer has room for one that waits, which the next one
replaces: who is slow misses pictures, no other notices, and however many there are, what waits is
the newest pictures alone.  All of it belongs to one event loop.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from p2c2g.display.message import Wish
from p2c2g.display.pace import Pace
from p2c2g.joining.watching import Figures, Kind, Wanted, digest_of

#: Delays that are kept of one viewer, and of a session.
_DELAYS, _ALL_DELAYS = 64, 512
#: Seats of a session that only its account and operators can take.
_OWN_SEATS: Final = 4
#: Sessions that ended and whose token is still known, so that who has it is told.
_REMEMBERED: Final = 256


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Relayed:
    """A picture as it came: for whom, and what has to be known to make it."""

    number: int
    to: frozenset[str]
    data: bytes = field(repr=False)
    at: float
    terms: str | None = field(default=None, repr=False)


class Seat:
    """One viewer of a session.

    Args:
        wake: called when there is something for it; must not wait.
    """

    def __init__(self, show: Show, wake: Callable[[], None]) -> None:
        self._show = show
        self.wake = wake
        self._pace = Pace()
        self._waiting: Relayed | None = None
        #: Numbers of those on their way, and when they came here.
        self._out: deque[tuple[int, float]] = deque()
        self._newest = -1
        self._delays: deque[float] = deque(maxlen=_DELAYS)
        self._after: deque[float] = deque(maxlen=_DELAYS)
        self.wish: Wish | None = None
        self.sent = self.shown = self.failed = self.skipped = 0

    @property
    def kind(self) -> str | None:
        """Return what it is sent; None before it has said what it wants."""
        return None if self.wish is None else "drawn" if self.wish.draws else "composed"

    def wants(self, wish: Wish) -> None:
        """Note what it wants from now on, and give it the newest of that."""
        before, self.wish = self.kind, wish
        if before != self.kind:
            self._waiting = self._show.latest.get(self.kind or "")
        self._show.changed()
        self.wake()

    def offer(self, picture: Relayed) -> None:
        """Have a picture wait for it, in the place of the one that does."""
        if self.kind not in picture.to:
            return
        if self._waiting is not None:
            self._skip()
        self._waiting = picture
        self.wake()

    def take(self, now: float) -> Relayed | None:
        """Return the picture that it is to be sent now, if there is one."""
        picture = self._waiting
        if picture is None or not self._pace.is_free:
            return None
        self._waiting = None
        if picture.number < self._newest:
            return None
        self._newest = picture.number
        self._pace.sent(picture.number, now)
        self._out.append((picture.number, picture.at))
        self.sent += 1
        return picture

    def answered(self, number: int, now: float, after: float, *, shown: bool) -> None:
        """Note an answer for all pictures up to one.

        Args:
            number: of the picture.
            now: the time, in seconds.
            after: seconds from its arrival at the viewer until it was shown.
            shown: whether it was; else it could not be decoded.
        """
        answers = False
        while self._out and self._out[0][0] <= number:
            out, came = self._out.popleft()
            if out != number:
                continue
            answers = True
            if shown:
                self._delays.append(now - came)
                self._after.append(after)
                self._show.delays.append(now - came)
        self._pace.answered(number, now)
        if answers:
            self.shown += shown
            self.failed += not shown
            self._show.shown += shown
            self._show.failed += not shown
        self.wake()

    def figures(self, way: float | None) -> dict[str, object]:
        """Return what it is told of itself.

        Args:
            way: seconds that a picture takes from the session to here at most.
        """
        delays, after = _percentiles(self._delays), _percentiles(self._after)
        age = None
        if way is not None and delays and after:
            age = round(way * 1e3 + max(0.0, delays[0] - after[0]), 1)
        return {
            "viewers": len(self._show.seats),
            "sent": self.sent,
            "shown": self.shown,
            "skipped": self.skipped,
            "delay_ms": delays,
            "way_ms": age,
        }

    def _skip(self) -> None:
        self.skipped += 1
        self._show.skipped += 1


class Show:
    """A session that can be watched, while it is connected.

    Args:
        session: its id.
        digest: of the token by which others are let in.
        changed: called when who watches, or what they want, may have changed; must not wait.
    """

    def __init__(self, session: str, digest: str, changed: Callable[[], None]) -> None:
        self.session = session
        self.digest = digest
        self.changed = changed
        self.seats: list[Seat] = []
        self.latest: dict[str, Relayed] = {}
        self.delays: deque[float] = deque(maxlen=_ALL_DELAYS)
        self.terms: str | None = None
        self.stats: str | None = None
        self.way: float | None = None
        self.shown = self.failed = self.skipped = self.came = 0
        #: Why it is over, and whether the session said so; None while it is not.
        self.over: tuple[bool, str] | None = None

    def sit(self, wake: Callable[[], None]) -> Seat:
        """Give a viewer a seat."""
        seat = Seat(self, wake)
        self.seats.append(seat)
        self.changed()
        return seat

    def leave(self, seat: Seat) -> None:
        """Take a viewer's seat back."""
        self.seats.remove(seat)
        self.changed()

    def picture(self, picture: Relayed) -> None:
        """Hand a picture to all whom it is for."""
        self.came += 1
        for kind in picture.to:
            self.latest[kind] = picture
        for seat in self.seats:
            seat.offer(picture)

    def told(self, stats: str) -> None:
        """Hand statistics to all."""
        self.stats = stats
        for seat in self.seats:
            seat.wake()

    def end(self, *, said: bool, why: str) -> None:
        """End it for all who watch; only the first word counts."""
        if self.over is None:
            self.over = (said, why)
        for seat in self.seats:
            seat.wake()
        self.changed()

    def wanted(self) -> Wanted:
        """Return what the session is told; what nobody wants is forgotten."""
        told = self.standing()
        self.latest = {kind: of for kind, of in self.latest.items() if kind in told.kinds}
        return told

    def standing(self) -> Wanted:
        """Return how many watch, what they want, and what they were shown; from any thread."""
        kinds: set[Kind] = set()
        for seat in tuple(self.seats):
            if (wish := seat.wish) is None:
                continue
            kinds.add("drawn" if wish.draws else "composed")
            if wish.base and not wish.draws:
                kinds.add("base")
        figures = Figures(
            shown=self.shown,
            failed=self.failed,
            skipped=self.skipped,
            delay_ms=_percentiles(self.delays.copy()),
        )
        return Wanted(viewers=len(self.seats), kinds=frozenset(kinds), figures=figures)


class Shows:
    """All sessions that can be watched here.

    Args:
        of_a_session: viewers that one may have.
        together: connections of all, of sessions and of viewers.
    """

    def __init__(self, of_a_session: int, together: int) -> None:
        self._of_a_session = of_a_session
        self._together = together
        self._shows: dict[str, Show] = {}
        self._digests: OrderedDict[str, str] = OrderedDict()

    def watchable(self) -> Mapping[str, Wanted]:
        """Return how each session that can be watched now stands, by its id; from any thread."""
        return {id_: show.standing() for id_, show in tuple(self._shows.items())}

    def find(self, session: str) -> Show | None:
        """Return one, None where it is not connected."""
        return self._shows.get(session)

    def opens(self, session: str, token: str) -> bool:
        """Tell whether a token lets its holder watch a session, also one that has ended."""
        # Compared in any case, so that the time says nothing of which sessions there are.
        kept = self._digests.get(session, "")
        return hmac.compare_digest(digest_of(token), kept or "0" * 64) and bool(kept)

    def begin(self, show: Show) -> None:
        """Take one in; where it is connected already, this connection counts."""
        if before := self._shows.get(show.session):
            before.end(said=False, why="The session has connected again.")
        self._shows[show.session] = show
        self._digests[show.session] = show.digest
        self._digests.move_to_end(show.session)
        while len(self._digests) > max(_REMEMBERED, len(self._shows)):
            oldest = next(each for each in self._digests if each not in self._shows)
            del self._digests[oldest]

    def end(self, show: Show, *, said: bool, why: str) -> None:
        """Let one go."""
        show.end(said=said, why=why)
        if self._shows.get(show.session) is show:
            del self._shows[show.session]

    def refusal(self, show: Show | None = None, *, by_token: bool = True) -> str:
        """Say why there is no room, or nothing where there is; 123 bytes at most.

        Args:
            show: the session that somebody wants to watch; None for one that is to begin.
            by_token: whether it is one of those who have the token, who cannot take all seats.
        """
        most = self._of_a_session + (0 if by_token else _OWN_SEATS)
        if show is not None and len(show.seats) >= most:
            return f"{len(show.seats)} viewers watch this session already."
        seats = sum(len(each.seats) for each in self._shows.values())
        if len(self._shows) + seats >= self._together:
            return "As many as this coordinator can serve are watching already."
        return ""


def _percentiles(seconds: Iterable[float]) -> tuple[float, float] | None:
    """Return the median and the 99th of 100, in ms; None of nothing."""
    found = sorted(seconds)
    if not found:
        return None
    return round(found[len(found) // 2] * 1e3, 1), round(found[len(found) * 99 // 100] * 1e3, 1)
