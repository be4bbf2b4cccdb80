"""One simulated session: the real one's decisions and maintenance, carried out on a heap of events.

What is left out is what touches pixels, sockets and threads: here is only a shell around the same
:class:`~p2c2g.session.core.Core` that the session's threads share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from types import TracebackType

from p2c2g.media.recipe import Recipe
from p2c2g.peers.breaker import Change, Words
from p2c2g.peers.health_words import Snapshot
from p2c2g.peers.shared_health import OtherSessions
from p2c2g.peers.trust import TrustSnapshot
from p2c2g.session.actions import Result, RunRequest, Send, Steal, Verify
from p2c2g.session.core import Core
from p2c2g.session.hedging import Hedging
from p2c2g.session.maintenance import INTERVAL, Maintenance, Surroundings
from p2c2g.session.recipes import RESIDUALS, SOURCES, Rung, rung
from p2c2g.session.registry_follower import RegistryFollower
from p2c2g.simulator.broker import Broker
from p2c2g.simulator.engine import Engine
from p2c2g.simulator.examining import SimulatedComparer
from p2c2g.simulator.figures import Figures
from p2c2g.simulator.peers import GROSS, Message, Outcome
from p2c2g.simulator.registry import Notices, SimulatedRegistry
from p2c2g.simulator.scenario import Scenario

#: A bucket that is never filled: no second runs.
_NO_SECOND_RUNS: dict[str, float] = {"hedge_share": 0.0, "rerun_share": 0.0, "burst": 0.0}


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
        config = scenario.config()
        self.name = name
        self._scenario = scenario
        self._engine = engine
        self._broker = broker
        self._notices = notices
        self._begins = begins
        self._count = len(config.chunks)
        self._megapixels = config.megapixels
        self._half = scenario.gamer_rtt / 2
        self._usual = config.recipe
        line, begins = scenario.gamer_line, begins
        self._up = Way([(begins + at, up) for at, up, _ in line])
        self._down = Way([(begins + at, down) for at, _, down in line])
        #: What came of it.
        self.figures = Figures()
        hedging = Hedging(config.deadline, **({} if scenario.second_runs else _NO_SECOND_RUNS))
        self.core: Core[None, bytes] = Core(
            name, config, source, (self.figures,), hedging=hedging, stealing=scenario.stealing,
            reads={"webp": scenario.reads_webp} if scenario.reads_webp else {},
        )  # fmt: skip
        registry = SimulatedRegistry(engine, broker, config, scenario.gamer_rtt)
        self._maintenance = Maintenance(
            self,
            Surroundings(
                reconnect=_nothing,
                breakers=_Breakers(name, broker),
                ask=_asked_already,
                registry=RegistryFollower(registry, config, engine.clock),
                comparer=SimulatedComparer(),
                health=_Words(name, notices),
            ),
            engine.clock,
        )
        self._wakes_at = float("inf")
        self._wakes = 0

    def start(self) -> None:
        """Begin: the registry first, as the real one does."""
        self._maintain()
        self._engine.at(self._begins, self.submit, 0)

    @property
    def is_over(self) -> bool:
        """Tell whether every frame has been shown."""
        return self.figures.states.total() == self._scenario.frames

    # -- the shell: the core, held by the one thread that there is ---------------------------------

    def __enter__(self) -> Core[None, bytes]:
        return self.core

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._rest()

    def perform(self, actions: Iterable[Send[None] | Steal[None]]) -> None:
        """Carry out what was decided: it reaches the broker after half a round trip."""
        for action in actions:
            if isinstance(action, Steal):
                for move in action.moves:
                    what = (self.name, move.key)
                    self._engine.after(self._half, self._broker.move, what, move.source, move.to)
                continue
            frame = action.frame
            for request in action.requests:
                picture = action.payload or frame.payloads[request.chunk]
                self._send(frame.number, request, picture)

    def _send(self, number: int, request: RunRequest, picture: bytes) -> None:
        recipe, usual = self.core.tables.plans.recipe_of(number) or self._usual, self._usual
        message = Message(
            self.name,
            (number, request.chunk),
            request.attempt,
            self._megapixels[request.chunk],
            picture,
            len(picture),
            round(self._scenario.returned / self._count * _of(RESIDUALS, recipe, usual)),
            self._at_broker,
            recipe.form.codec,
            request.budget,
        )
        left = self._up.passes(message.there, self._engine.now)
        self._engine.at(left + self._half, self._broker.send, message, request.peer)

    # -- what happens ------------------------------------------------------------------------------

    def submit(self, number: int) -> None:
        """Capture a frame and send its chunks."""
        now = self._engine.now
        if number + 1 < self._scenario.frames:
            tick = self._begins + (number + 1) / self._scenario.fps
            self._engine.at(tick, self.submit, number + 1)
        with self as core:
            plan = core.plan(number, (), now)
            size = self._scenario.sent / self._count * _of(SOURCES, plan.recipe, self._usual)
            payloads = {
                index: (b"%d.%d" % (number, index)).ljust(round(size)) for index in plan.sent
            }
            sends = core.submit(number, None, payloads, plan, now, now, now, connected=True)
        self.perform(sends)

    def _at_broker(self, outcome: Outcome) -> None:
        back = self._down.passes(outcome.size, self._engine.now)
        self._engine.at(back + self._half, self.arrive, outcome)

    def arrive(self, outcome: Outcome) -> None:
        """Have one result judged."""
        now = self._engine.now
        result = Result(
            key=outcome.key,
            claimed=outcome.key,
            attempt=outcome.attempt,
            peer=outcome.peer,
            ran="",
            payload=outcome.answer,
            size=outcome.size,
            started=outcome.done - outcome.seconds_per_chunk,
            done=outcome.done,
            decode=0.0,
            process=outcome.seconds_per_chunk,
            waited=outcome.waited,
            idle=outcome.idle,
        )
        with self as core:
            for action in core.arrived(result, now):
                if not isinstance(action, Verify):
                    self.perform([action])
                elif outcome.answer.startswith(GROSS):
                    self.figures.lies_found += 1
                    self.perform(core.refused(action, "CheckError: a lie", now))
                else:
                    self.perform(core.verified(action, outcome.answer, now))

    def _rest(self) -> None:
        """See to it that the next moment is not missed."""
        look, release = self.core.next_look(), self.core.next_release()
        due = min(each for each in (look, release, float("inf")) if each is not None)
        if due < self._wakes_at:
            self._wakes_at = due
            self._wakes += 1
            self._engine.at(due, self.wake, self._wakes)

    def wake(self, wake: int) -> None:
        """Look at what is missing, and show what is due; a wake that was overtaken does nothing."""
        if wake != self._wakes:
            return
        now = self._engine.now
        self._wakes_at = float("inf")
        with self as core:
            self.perform(core.look(now))
            while core.release(now) is not None:
                pass

    def _maintain(self) -> None:
        self._maintenance.round()
        if not self.is_over:
            self._engine.after(INTERVAL, self._maintain)


class Way:
    """One direction of a gamer's line: bytes pass it one after another.

    Args:
        steps: bits a second that it takes, from which second on, in order; none for no bound.
    """

    def __init__(self, steps: Sequence[tuple[float, float]]) -> None:
        self._steps = steps
        self._free = 0.0

    def passes(self, size: int, now: float) -> float:
        """Return when the last of so many bytes has passed that come ``now``."""
        if not self._steps:
            return now
        at, bits = max(now, self._free), 8.0 * size
        for index, (_, rate) in enumerate(self._steps):
            ends = self._steps[index + 1][0] if index + 1 < len(self._steps) else float("inf")
            if at >= ends:
                continue
            if bits <= rate * (ends - at):
                at += bits / rate
                break
            bits -= rate * (ends - at)
            at = ends
        self._free = at
        return at


def _of(table: Sequence[Rung], recipe: Recipe, usual: Recipe) -> float:
    """Return how many bytes a recipe takes, in parts of the usual one's."""
    sizes = []
    for each in (recipe, usual):
        is_source = table is SOURCES
        codec, quality = (
            (each.codec, each.quality) if is_source else (each.form.codec, each.form.quality)
        )
        sizes.append(rung(table, codec, quality).size)
    return sizes[0] / sizes[1]


class _Breakers:
    """What this session tells the others of breakers, and hears."""

    def __init__(self, name: str, broker: Broker) -> None:
        self._name = name
        self._broker = broker

    def sync(self, changes: list[Change]) -> Words:
        """Tell changes, and hear the others."""
        return self._broker.sync(self._name, changes)


class _Words:
    """What this session tells the others of its peers, and hears."""

    def __init__(self, name: str, notices: Notices) -> None:
        self._name = name
        self._notices = notices

    def sync(self, health: Snapshot, trust: TrustSnapshot) -> OtherSessions:
        """Tell what this session has seen, and hear the others."""
        return self._notices.sync(self._name, health, trust)


def _nothing() -> None:
    """Do nothing: the simulated line is never lost."""


def _asked_already(changes: list[Change]) -> None:
    """Do nothing: the simulated broker redirects a peer when its breaker is shared."""
