"""One simulated session: the real one's tables, policies and decisions, without its threads.

What is left out is what touches pixels, sockets and threads.  Each method here stands for one of
`session/`: :meth:`Gamer.submit` for `Session.submit`, :meth:`Gamer.arrive` for `Collector.take`,
:meth:`Gamer.wake` for the collector's look and the player, :meth:`Gamer.keep` for the keeper.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from math import ceil
from random import Random
from typing import cast

import numpy as np

from p2c2g.media.frame import Frame, FrameState
from p2c2g.peers.book import PeerBook
from p2c2g.peers.breaker import Breakers, State
from p2c2g.peers.health import Health
from p2c2g.peers.registry import Registry
from p2c2g.peers.trust import Trust
from p2c2g.routing.policies import make
from p2c2g.routing.router import Router
from p2c2g.routing.stealing import Move
from p2c2g.session.admission import Admission
from p2c2g.session.attempts import Attempts, ChunkKey, Verdict
from p2c2g.session.config import FrameInFlight
from p2c2g.session.hedging import Hedging
from p2c2g.session.maintenance import INTERVAL, TELL_EVERY, WATCH_EVERY
from p2c2g.session.orders import RunRequest
from p2c2g.session.playout import Playout
from p2c2g.session.reassembler import Pending, Reassembler
from p2c2g.session.registry_follower import RegistryFollower
from p2c2g.session.runs import Runs
from p2c2g.simulator.broker import Broker
from p2c2g.simulator.engine import Engine
from p2c2g.simulator.examining import SimulatedComparer
from p2c2g.simulator.peers import GOOD, GROSS, Message, Outcome
from p2c2g.simulator.registry import Notices, SimulatedRegistry
from p2c2g.simulator.scenario import Scenario
from p2c2g.verify.examiner import Examiner

#: Pixels that nobody sees.
_NOTHING = np.zeros((1, 1, 3), np.uint8)


class Gamer:
    """One session.

    Args:
        name: its id.
        scenario: what was asked for.
        engine: the clock.
        broker: where it sends.
        notices: where sessions tell each other of their peers.
        begins: when its first frame is captured.
        source: what its chance comes from.
    """

    def __init__(
        self,
        name: str,
        scenario: Scenario,
        engine: Engine,
        broker: Broker,
        notices: Notices,
        begins: float,
        source: Random,
    ) -> None:
        plan = scenario.plan()
        self.name = name
        self._scenario = scenario
        self._engine = engine
        self._broker = broker
        self._notices = notices
        self._begins = begins
        self._chunks = len(plan.chunks)
        self._megapixels = plan.megapixels
        self._half = scenario.gamer_rtt / 2
        lock = threading.Lock()
        book = PeerBook()
        self._breakers = Breakers(book)
        self._health = Health(book)
        self.trust = Trust(source, book)
        self.attempts = Attempts()
        self._admission = Admission(ceil(plan.deadline * plan.fps) + 1, plan.deadline)
        self.hedging = (
            Hedging(plan.deadline)
            if scenario.second_runs
            else Hedging(plan.deadline, hedge_share=0.0, rerun_share=0.0, burst=0.0)
        )
        self._playout = Playout(plan.deadline)
        self._frames: Reassembler[FrameInFlight, bytes] = Reassembler()
        self._router = Router(
            make(plan.policy, source),
            session=name,
            operation=plan.operations.text,
            megapixels=plan.megapixels,
            need=plan.fps * sum(plan.megapixels),
            deadline=plan.deadline,
            book=book,
            health=self._health,
            trust=self.trust,
            breakers=self._breakers,
        )
        self.runs: Runs[FrameInFlight] = Runs(
            plan.operations.text, plan.megapixels, self._send, self.attempts, self.hedging,
            self._breakers, self._health, self._router, self._frames.frame, lock,
            self._steal if scenario.stealing else None,
        )  # fmt: skip
        self._examiner = Examiner(
            plan, self.attempts, self._breakers, self._health, self.trust, self._router, lock, source,
            SimulatedComparer(),
        )  # fmt: skip
        registry = SimulatedRegistry(engine, broker, plan, scenario.gamer_rtt)
        self._registry_follower = RegistryFollower(
            cast("Registry", registry), plan, self._router, self._breakers, self.runs, lock,
            engine.clock,
        )  # fmt: skip
        self._wakes_at = float("inf")
        self._looks = 0
        #: Frames by how they ended, and chunks: enhanced, late, or never sent.
        self.states: Counter[FrameState] = Counter()
        self.chunks: Counter[str] = Counter()
        #: Runs sent of each chunk in flight, and chunks by how many runs they had.
        self._sent: Counter[ChunkKey] = Counter()
        self.runs_of_chunks: Counter[int] = Counter()
        #: Seconds from capture to complete, or to the deadline.
        self.latencies: list[float] = []
        #: Complete and other frames by the second of their capture.
        self.timeline: Counter[tuple[int, FrameState]] = Counter()
        self.lies_found = 0
        self.lies_shown = 0
        self.order_violations = 0
        self._last_shown = -1

    def start(self) -> None:
        """Begin: the registry first, as the real one does."""
        self.keep()
        self._engine.at(self._begins, self.submit, 0)

    @property
    def is_over(self) -> bool:
        """Tell whether every frame has been shown."""
        return self.states.total() == self._scenario.frames

    # -- the caller's thread -----------------------------------------------------------------------

    def submit(self, number: int) -> None:
        """Capture a frame and send its chunks."""
        now = self._engine.now
        if number + 1 < self._scenario.frames:
            tick = self._begins + (number + 1) / self._scenario.fps
            self._engine.at(tick, self.submit, number + 1)
        sent = self._admission.admit(number, range(self._chunks), now)
        due = now + self._playout.delay
        flight = FrameInFlight(
            Frame(number, _NOTHING, now, now),
            tuple(b"%d.%d" % (number, index) for index in range(self._chunks)),
            _NOTHING,
            due=due,
            deadline=now + self._scenario.deadline,
            was_sent=sent,
            missing=self._chunks,
        )
        self._frames.open(number, flight, self._chunks, flight.deadline if sent else due, due)
        if sent:
            self.runs.open(flight, now)
            self.runs.send_first(flight)
            probe = self._examiner.probe(flight, now)
            if probe is not None:
                self._send(flight, [probe])
        self._rest()

    def _send(self, flight: FrameInFlight, orders: Sequence[RunRequest]) -> bool:
        for order in orders:
            self._send_picture(flight.number, order, flight.payloads[order.chunk])
        return True

    def _send_picture(self, number: int, order: RunRequest, picture: bytes) -> None:
        key = (number, order.chunk)
        self._sent[key] += 1
        message = Message(
            self.name,
            key,
            order.attempt,
            self._megapixels[order.chunk],
            picture,
            self._scenario.sent // self._chunks,
            self._scenario.returned // self._chunks,
            self._at_broker,
        )
        self._engine.after(self._half, self._broker.send, message, order.peer)

    def _steal(self, moves: Sequence[Move[ChunkKey]]) -> None:
        for move in moves:
            what = (self.name, move.key)
            self._engine.after(self._half, self._broker.move, what, move.source, move.to)

    # -- the collector's thread --------------------------------------------------------------------

    def _at_broker(self, outcome: Outcome) -> None:
        self._engine.after(self._half, self.arrive, outcome)

    def arrive(self, outcome: Outcome) -> None:
        """Judge one result."""
        now = self._engine.now
        key, peer = outcome.key, outcome.peer
        examination = self._examiner.take(peer, key, outcome.attempt)
        if examination is not None:
            self._examiner.put(examination, outcome.answer)
            took = now - examination.sent_at
            self.runs.examined(key[1], peer, outcome.seconds_per_chunk, took, now)
            return
        self._admission.returned(*key)
        probe = self._examiner.take_probe(peer, key)
        trusted = probe is not None or self._breakers.state(peer, now) is State.CLOSED
        is_found = outcome.answer.startswith(GROSS)
        flight = self._frames.frame(key[0])
        # A result that nobody needs is not looked at; a probe always is.
        looked_at = probe is not None or (flight is not None and not self.attempts.is_done(key))
        if not trusted or (is_found and looked_at):
            self.lies_found += is_found and looked_at
            if probe is not None:
                self._breakers.tried(peer, now, good=False)
            self.runs.failed(key, outcome.attempt, peer, now, is_probe=probe is not None)
            self._rest()
            return
        if probe is not None:
            self._breakers.tried(peer, now, good=now <= probe.flight.deadline)
        size = self._scenario.returned // self._chunks
        verdict = self.runs.succeeded(
            key, outcome.attempt, peer, outcome.seconds_per_chunk, size, now
        )
        if verdict is Verdict.ACCEPTED and flight is not None:
            self._accept(flight, outcome, now)
        self._rest()

    def _accept(self, flight: FrameInFlight, outcome: Outcome, now: float) -> None:
        number, index = outcome.key
        wanted = self._examiner.accepted(flight, index, outcome.peer, outcome.answer, now)
        self._frames.place(number, index, outcome.answer)
        flight.missing -= 1
        if not flight.missing:
            flight.completed_at = now
        if wanted is not None:
            self._send_picture(number, *wanted)

    # -- the moments that come by themselves -------------------------------------------------------

    def _rest(self) -> None:
        """See to it that the next moment is not missed."""
        look, release = self.runs.next_look(), self._frames.next_release
        due = min(each for each in (look, release, float("inf")) if each is not None)
        if due < self._wakes_at:
            self._wakes_at = due
            self._looks += 1
            self._engine.at(due, self.wake, self._looks)

    def wake(self, look: int) -> None:
        """Look at what is missing, and show what is due; a wake that was overtaken does nothing."""
        if look != self._looks:
            return
        now = self._engine.now
        self._wakes_at = float("inf")
        self.runs.look(now)
        for pending in self._frames.release(now):
            self._show(pending, now)
        self._rest()

    def _show(self, pending: Pending[FrameInFlight, bytes], now: float) -> None:
        flight, number = pending.frame, pending.number
        captured = flight.frame.captured_at
        done = flight.completed_at if pending.complete else None
        if flight.was_sent:
            self._playout.took(float("inf") if done is None else done - captured, now)
            self._admission.shown(complete=pending.complete, now=now)
        for index in range(self._chunks):
            answer = pending.parts.get(index)
            if answer is not None:
                self.chunks["enhanced"] += 1
                self.lies_shown += not answer.startswith(GOOD)
            else:
                self.chunks["late" if flight.was_sent else "unsent"] += 1
            self.runs_of_chunks[self._sent.pop((number, index), 0)] += 1
        self.runs.close(number, now)
        state = FrameState.COMPLETE if pending.complete else FrameState.DEGRADED
        self.states[state] += 1
        self.timeline[int(captured), state] += 1
        self.latencies.append((now if done is None else done) - captured)
        self.order_violations += number <= self._last_shown
        self._last_shown = number

    # -- the keeper's thread -----------------------------------------------------------------------

    def keep(self, round_number: int = 0) -> None:
        """Judge examinations, share breakers, and now and then read the registry."""
        now = self._engine.now
        self._examiner.judge(now)
        self._breakers.share(self._broker.share(self._breakers.take_changes()), now)
        if round_number % WATCH_EVERY == 0:
            self._registry_follower.round()
        if round_number % TELL_EVERY == 0:
            heard = self._notices.sync(self.name, self._health.snapshot(), self.trust.snapshot())
            self._health.merge(heard.health)
            self.trust.merge(heard.trust)
        self._rest()
        if not self.is_over:
            self._engine.after(INTERVAL, self.keep, round_number + 1)
