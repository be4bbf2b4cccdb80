"""Sends the runs of chunks: the first, those that replace one, hedges and probes.

The table of attempts says whether there may be another run, the hedging policy when; who gets
it is decided here: a second run goes to another peer's own queue where one is known, since the
capability queue may give it to the very peer that keeps the first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from p2c2g.errors import BrokerUnavailableError
from p2c2g.media.wire import ChunkHeader
from p2c2g.peers.breaker import PROBE_TIMEOUT, Board, Outcome, State
from p2c2g.peers.presence import Presence
from p2c2g.session.attempts import Attempts, ChunkKey, Decision, RunState
from p2c2g.session.dispatcher import Dispatcher
from p2c2g.session.hedging import Hedging, Moment, Watch
from p2c2g.session.plan import FrameInFlight, SessionPlan
from p2c2g.session.tally import Tally

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Probe:
    """A run that is to show whether a peer is to be trusted again."""

    key: ChunkKey
    attempt: int
    flight: FrameInFlight

    def is_over(self, now: float) -> bool:
        """Tell whether nobody waits for it any more."""
        return now > self.flight.deadline + PROBE_TIMEOUT


#: One run to be sent: its frame, the chunk's index, its number, and to whom (any where empty).
_Order = tuple[FrameInFlight, int, int, str]


class Runs:
    """The runs of one session.

    Args:
        session: the session's id.
        plan: the session's.
        dispatcher: sends.
        attempts: the one table.
        hedging: when a run is slow, or silent, and how many more there may be.
        board: the peers' breakers.
        tally: counts what could not be sent.
        flight_of: gives a frame that has not been shown.
        lock: guards all of these; methods that say so want it held.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        session: str,
        plan: SessionPlan,
        dispatcher: Dispatcher,
        attempts: Attempts,
        hedging: Hedging,
        board: Board,
        tally: Tally,
        flight_of: Callable[[int], FrameInFlight | None],
        lock: threading.Lock,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._plan = plan
        self._chunks = plan.chunks
        self._dispatcher = dispatcher
        self._attempts = attempts
        self._hedging = hedging
        self._board = board
        self._tally = tally
        self._flight_of = flight_of
        self._lock = lock
        self._clock = clock
        self._presence = Presence()
        self._watch = Watch()
        self._probes: dict[str, Probe] = {}

    def open(self, flight: FrameInFlight, now: float) -> None:
        """Grant the first run of each chunk of a frame.  The lock is held."""
        number = flight.frame.number
        for chunk in self._chunks:
            self._attempts.open((number, chunk.index), now)
            self._look_after((number, chunk.index), 1, now)
        self._hedging.sent(len(self._chunks))

    def send_first(self, flight: FrameInFlight) -> bool:
        """Send the first run of each chunk; tell whether they have left."""
        sent = self._send(flight, [chunk.index for chunk in self._chunks], 1)
        with self._lock:
            if not sent:
                for chunk in self._chunks:
                    self._attempts.close((flight.frame.number, chunk.index))
                return False
            probe = self._probe(flight)
        if probe is not None:
            self._send_all([probe])
        return True

    def next_look(self) -> float | None:
        """Return when :meth:`look` is due, or None.  The lock is held."""
        return self._watch.next(self._attempts.is_done)

    def look(self, now: float) -> None:
        """Hedge what is slow by now, and rerun what is silent."""
        with self._lock:
            orders = []
            for moment, key, attempt in self._watch.due(now):
                flight = self._flight_of(key[0])
                if flight is None or self._attempts.is_done(key):
                    continue
                order = (
                    self._hedge(flight, key, attempt, now)
                    if moment is Moment.SLOW
                    else self._give_up(flight, key, attempt, now)
                )
                if order is not None:
                    orders.append(order)
        self._send_all(orders)

    def seen(self, peer: str, now: float) -> None:
        """Note a result of a peer.  The lock is held."""
        if self._board.state(peer, now) is State.CLOSED:
            self._presence.seen(peer, now)

    def rerun(self, key: ChunkKey, number: int, now: float) -> None:
        """Send a run that was granted since another one had failed."""
        with self._lock:
            flight = self._flight_of(key[0])
            order = None if flight is None else self._order(flight, key, number, now)
        if order is not None:
            self._send_all([order])

    def take_probe(self, peer: str, key: ChunkKey) -> Probe | None:
        """Take the probe that a result of ``peer`` answers, if it does.  The lock is held."""
        probe = self._probes.get(peer)
        if probe is None or probe.key != key:
            return None
        return self._probes.pop(peer)

    # -- inside; the lock is held ----------------------------------------------------------

    def _look_after(self, key: ChunkKey, attempt: int, now: float) -> None:
        slow = self._hedging.hedge_after
        if slow is None:
            self._watch.add(now + self._hedging.silent_after, Moment.SILENT, key, attempt)
        else:
            self._watch.add(now + slow, Moment.SLOW, key, attempt)

    def _hedge(
        self, flight: FrameInFlight, key: ChunkKey, attempt: int, now: float
    ) -> _Order | None:
        runs = self._attempts.runs(key)
        run = runs[attempt - 1]
        silent_at = run.sent_at + self._hedging.silent_after
        self._watch.add(max(silent_at, now), Moment.SILENT, key, attempt)
        if run.state is not RunState.OUT or not self._hedging.in_time(now, flight.deadline):
            return None
        peer = self._presence.other(now, {run.peer for run in runs}, self._is_trusted)
        if peer is None or len(runs) >= self._attempts.most or not self._hedging.hedges.take():
            return None
        number = self._attempts.add(key, peer, now)
        if number is None:
            return None
        self._look_after(key, number, now)
        return (flight, key[1], number, peer)

    def _give_up(
        self, flight: FrameInFlight, key: ChunkKey, attempt: int, now: float
    ) -> _Order | None:
        runs = self._attempts.runs(key)
        run = runs[attempt - 1]
        if run.state is not RunState.OUT or not self._hedging.in_time(now, flight.deadline):
            return None
        alone = sum(other.state is RunState.OUT for other in runs) == 1
        if alone and len(runs) < self._attempts.most and not self._hedging.reruns.take():
            return None
        if run.peer:
            self._board.record(run.peer, Outcome.LATE, now)
        if self._attempts.give_up(key, attempt, now) is Decision.RETRY:
            return self._order(flight, key, len(runs), now)
        return None

    def _order(self, flight: FrameInFlight, key: ChunkKey, number: int, now: float) -> _Order:
        """Choose who gets a run that was granted in another's place."""
        runs = self._attempts.runs(key)
        peer = self._presence.other(now, {run.peer for run in runs}, self._is_trusted) or ""
        if runs:
            runs[number - 1].peer = peer
            self._look_after(key, number, now)
        return (flight, key[1], number, peer)

    def _probe(self, flight: FrameInFlight) -> _Order | None:
        now = self._clock()
        peer = self._board.probe(now)
        if peer is None:
            return None
        key = (flight.frame.number, self._chunks[-1].index)
        number = self._attempts.add(key, peer, now, hedge=False)
        if number is None:
            self._board.unprobe(peer)
            return None
        # One that is not answered would keep its frame.
        for name in [n for n, probe in self._probes.items() if probe.is_over(now)]:
            del self._probes[name]
        self._probes[peer] = Probe(key, number, flight)
        return (flight, key[1], number, peer)

    def _is_trusted(self, peer: str) -> bool:
        return self._board.state(peer, self._clock()) is State.CLOSED

    # -- sending; the lock is not held -------------------------------------------------------

    def _send_all(self, orders: list[_Order]) -> None:
        for flight, index, attempt, peer in orders:
            self._send(flight, [index], attempt, peer)

    def _send(
        self, flight: FrameInFlight, indexes: list[int], attempt: int, peer: str = ""
    ) -> bool:
        number = flight.frame.number
        messages = []
        for index in indexes:
            chunk = self._chunks[index]
            header = ChunkHeader(
                session=self._session,
                frame=number,
                chunk=index,
                attempt=attempt,
                codec=self._plan.codec,
                quality=self._plan.quality,
                operations=self._plan.operations.text,
                frame_size=self._plan.size,
                padded=chunk.padded,
                crop=chunk.crop,
            )
            messages.append((index, header.pack(), flight.payloads[index]))
        try:
            self._dispatcher.send(number, messages, peer)
        except BrokerUnavailableError as error:
            logger.debug("Frame %d was not sent: %s", number, error)
            self._tally.failure("", type(error).__name__)
            return False
        return True
