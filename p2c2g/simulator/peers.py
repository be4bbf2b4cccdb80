"""Simulated workers, one by one: what a peer of the pool does with chunks, and when.

A worker keeps reads at the broker, as many as `messaging/readahead.py` says, and what they
bring waits in it until a slot is free.  It may stall (everything in it stops, as a machine does
that swaps), lie, drain or vanish.  Where messages wait is `broker.py`'s.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from p2c2g.media.frame import ChunkKey
from p2c2g.messaging.readahead import SPARE, Window
from p2c2g.peers.messages import PeerState
from p2c2g.peers.sharing import Sharing
from p2c2g.simulator.distributions import Machine
from p2c2g.simulator.engine import Engine

#: Seconds between two beats, and beats after which a silent peer is dead.
BEAT = 1.0
BEATS_MISSED = 3
#: As the real reader has it: reads are topped up once a window's part by this number is missing.
TOP_UP = 4
#: Seconds that a draining peer still serves its own queue: sessions notice within a beat's
#: time and their own interval.
DRAIN = 2.5
#: Share of a liar's results that are lies: one that lied always would be found out at once.
LIES = 0.5
#: What an answer begins with: the picture's own, a lie that the check of every result finds out,
#: and one that it does not.
GOOD, GROSS, SUBTLE = b"+", b"-", b"~"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One result as it reaches the broker: whose run it was, its seconds of work, its answer.

    ``done`` is when the peer was done with it, ``waited`` how long it had it before it began, and
    ``idle`` how long the slot had done nothing by then; ``size`` is the result's bytes.  Pictures
    are not computed, only what they are: :data:`GOOD` and the picture that was sent, or a lie.
    """

    key: ChunkKey
    attempt: int
    peer: str
    seconds_per_chunk: float
    done: float
    answer: bytes
    waited: float
    idle: float
    size: int = 0


@dataclass(slots=True, eq=False)
class Message:
    """One run on its way: whose, what picture, and who is told of the result.

    ``there`` and ``back`` are the bytes of the picture and of its result, ``codec`` is that in
    which the result is written, and ``budget`` the seconds for which that is of use.
    """

    session: str
    key: ChunkKey
    attempt: int
    megapixels: float
    picture: bytes
    there: int
    back: int
    deliver: Callable[[Outcome], None]
    codec: str = "jpeg"
    budget: float = math.inf


class Queues(Protocol):
    """The broker, as a worker knows it."""

    def read(self, peer: Peer, count: int) -> None:
        """Take ``count`` reads of a peer that reach the broker now."""

    def redirect(self, peer: Peer, *, reads_all: bool) -> None:
        """Have a peer's reads name the capability queue or not."""

    def left(self, peer: Peer) -> None:
        """Note that a peer has left in order."""


class Peer:
    """One worker.

    Args:
        id: its name.
        machine: its speed and its line.
        engine: the clock.
        broker: where it reads.
        source: what its times are drawn from.
        jitter: the log-normal's width of one chunk's time.
        lies: whether half of its results are lies.
        subtle: share of those that the check of every result does not find out.
        cold: seconds that its first chunk takes on top; each later one half of that.
    """

    def __init__(
        self,
        id: str,  # noqa: A002 - the house's word for it
        machine: Machine,
        engine: Engine,
        broker: Queues,
        source: random.Random,
        *,
        jitter: float = 0.0,
        lies: bool = False,
        subtle: float = 0.0,
        cold: float = 0.0,
    ) -> None:
        self.id = id
        self.machine = machine
        self.state = PeerState.READY
        self.is_alive = True
        #: Reads that stand at the broker, kept by the broker.
        self.parked = 0
        #: Whether it reads the capability queue too, kept by the broker.
        self.reads_all = True
        self.own: deque[Message] = deque()  # its own queue, at the broker
        self.prefers_own = True
        #: What the last beat said, and when it was.
        self.beat_at = float("-inf")
        self.beat_in_flight = 0
        self.beat_sessions = 0.0
        self._sharing = Sharing()
        self.beat_state = PeerState.STARTING
        #: Returns the seconds a megapixel that a message takes which has waited here so long.
        self.effort: Callable[[Message, float], float] = lambda _message, _waited: (
            self.machine.seconds_per_megapixel
        )
        #: Runs that ended here, and seconds of work.
        self.served = 0
        self.worked = 0.0
        self.lies = 0
        self._engine = engine
        self._broker = broker
        self._random = source
        self._jitter = jitter
        self._lies = lies
        self._subtle = subtle
        self._cold = cold
        self._window = Window(machine.slots, spare=SPARE)
        self._window.round_trip(machine.rtt)
        # When each came; bounded by the window: it reads no more.
        self._backlog: deque[tuple[Message, float]] = deque()
        self._idle_since = [engine.now] * machine.slots  # of the slots that do nothing
        self._running = 0
        self._reads = 0  # on their way or parked
        self._up_free = 0.0
        self._down_free = 0.0
        self._stalled_until = float("-inf")
        self._stood = 0.0  # seconds of all its stalls

    @property
    def in_flight(self) -> int:
        """Return the chunks received and not ended."""
        return self._running + len(self._backlog)

    @property
    def waiting(self) -> int:
        """Return the chunks received and not begun."""
        return len(self._backlog)

    @property
    def is_stalled(self) -> bool:
        """Tell whether it stands still."""
        return self._engine.now < self._stalled_until

    # -- joining, beating, leaving -------------------------------------------------------------

    def start(self, phase: float) -> None:
        """Read at once, and beat; ``phase`` is the seconds until the second beat."""
        self._tell()
        self._engine.after(phase, self._beat)
        self._read()

    def _beat(self) -> None:
        if not self.is_alive:
            return
        if self.is_stalled:
            self._engine.at(self._stalled_until, self._beat)
            return
        self._tell()
        self._engine.after(BEAT, self._beat)

    def _tell(self) -> None:
        self.beat_at = self._engine.now
        self.beat_in_flight = self.in_flight
        self.beat_sessions = self._sharing.sessions(self._engine.now)
        self.beat_state = self.state

    def vanish(self) -> None:
        """Be cut off: nobody is told, and what it has is lost."""
        self.is_alive = False
        self._backlog.clear()

    def drain(self) -> None:
        """Take no more from the capability queue, finish what is here, and leave."""
        if self.state is PeerState.DRAINING or not self.is_alive:
            return
        self.state = PeerState.DRAINING
        self._tell()
        self._broker.redirect(self, reads_all=False)
        self._engine.after(DRAIN, self._leave)

    def _leave(self) -> None:
        if not self.is_alive:
            return
        if self.in_flight:
            self._engine.after(0.05, self._leave)
            return
        self.is_alive = False
        self._broker.left(self)

    def stall(self, seconds: float) -> None:
        """Stand still for a time; what runs goes on where it was."""
        now = self._engine.now
        if not self.is_alive or self.is_stalled:
            return
        self._stalled_until = now + seconds
        self._stood += seconds
        self._engine.at(self._stalled_until, self._go_on)

    def _go_on(self) -> None:
        if self.is_alive:
            self._work()
            self._read()

    # -- a chunk's way through it ----------------------------------------------------------------

    def take(self, message: Message) -> None:
        """Take a message that the broker sends now, in answer to a read."""
        now = self._engine.now
        begins = max(now, self._down_free)
        self._down_free = begins + 8 * message.there / self.machine.down
        self._engine.at(self._down_free + self.machine.rtt / 2, self._receive, message)

    def _receive(self, message: Message) -> None:
        self._reads -= 1
        if not self.is_alive:
            return
        self._backlog.append((message, self._engine.now))
        if not self.is_stalled:
            self._work()
            self._read()

    def _work(self) -> None:
        while self._running < self.machine.slots and self._backlog:
            message, came = self._backlog.popleft()
            self._running += 1
            now = self._engine.now
            spans = (now - came, now - self._idle_since.pop())
            seconds = self.effort(message, now - came) * message.megapixels
            seconds += self.machine.writing(message.codec, message.megapixels)
            if self._jitter:
                sigma = self._jitter
                seconds *= math.exp(self._random.gauss(-sigma * sigma / 2, sigma))
            seconds += self._cold
            self._cold /= 2
            self._engine.after(seconds, self._done, message, seconds, spans, self._stood)

    def _done(
        self, message: Message, seconds: float, spans: tuple[float, float], stood: float
    ) -> None:
        now = self._engine.now
        if not self.is_alive:
            return
        if self._stood > stood:
            owed = self._stood - stood
            self._engine.after(owed, self._done, message, seconds + owed, spans, self._stood)
            return
        self._running -= 1
        self._idle_since.append(now)
        self.served += 1
        self.worked += seconds
        self._sharing.took(message.session, seconds, now)
        self._window.served(seconds)
        begins = max(now, self._up_free)
        self._up_free = begins + 8 * message.back / self.machine.up
        answer = self._answer(message.picture)
        outcome = Outcome(
            message.key, message.attempt, self.id, seconds, now, answer, *spans, message.back
        )
        self._engine.at(self._up_free + self.machine.rtt / 2, message.deliver, outcome)
        self._work()
        self._read()

    def _answer(self, picture: bytes) -> bytes:
        if not self._lies or self._random.random() >= LIES:
            return GOOD + picture
        self.lies += 1
        return (SUBTLE if self._random.random() < self._subtle else GROSS) + picture

    def _read(self) -> None:
        if not self.is_alive:
            return
        window = self.machine.slots + self._window.read_ahead
        count = window - self.in_flight - self._reads
        if count <= 0 or (self._reads and count * TOP_UP < window):
            return
        self._reads += count
        self._engine.after(self.machine.rtt / 2, self._broker.read, self, count)
