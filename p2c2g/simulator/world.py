"""The whole simulation: peers, sessions, and what goes wrong between them."""

from __future__ import annotations

from collections import Counter
from random import Random

from p2c2g.peers.messages import PeerState
from p2c2g.simulator import made_up
from p2c2g.simulator.broker import Broker
from p2c2g.simulator.distributions import awake
from p2c2g.simulator.engine import Engine
from p2c2g.simulator.gamer import Gamer
from p2c2g.simulator.peers import BEAT, Peer
from p2c2g.simulator.registry import Notices
from p2c2g.simulator.scenario import Scenario

#: Seconds that the peers are there before the first frame.
HEAD_START = 2.0
#: How often in a day machines are switched on and off, at least.
DAY_STEPS = 48


class World:
    """One run of a scenario.

    Every kind of chance has a source of its own, so that two runs of one seed that differ in
    their policy have the same peers and the same troubles.

    Args:
        scenario: what was asked for.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.engine = Engine()
        self.broker = Broker(self.engine)
        self._births = self._source("births")
        self._troubles = self._source("troubles")
        self._work = self._source("work")
        self._stalls = self._source("stalls")
        #: Every peer that ever was, and those that take part now.
        self.peers: list[Peer] = []
        self._living: list[Peer] = []
        self.stalls = self.vanished = self.drained = 0
        #: Peers that took part, by the second.
        self.population: Counter[int] = Counter()
        for _ in range(scenario.peers):
            self._join()
        sessions = self._source("sessions")
        notices = Notices()
        self.gamers = [
            Gamer(
                f"session{number}",
                scenario,
                self.engine,
                self.broker,
                notices,
                HEAD_START + sessions.random() / scenario.fps,
                self._source(f"session{number}"),
            )
            for number in range(scenario.sessions)
        ]
        operation = scenario.config().operations.text
        for name, health, trust in made_up.words(scenario.made_up, self.peers, operation):
            notices.sync(name, health, trust)

    def play(self) -> None:
        """Let all of it happen."""
        scenario, engine = self.scenario, self.engine
        for number, gamer in enumerate(self.gamers):
            # Sessions do not ask all at once.
            engine.at(HEAD_START - 1 + 0.9 * number / len(self.gamers), gamer.start)
        if scenario.churn:
            self._next_leaver()
        if scenario.day:
            engine.at(HEAD_START, self._pass_the_day)
        if scenario.stall_at is not None:
            engine.at(HEAD_START + scenario.stall_at, self._stall_the_busiest)
        engine.at(HEAD_START, self._count, 0)
        # Peers beat for ever, so the end is when every frame has been shown.
        until = HEAD_START
        while not all(gamer.is_over for gamer in self.gamers):
            until += 1.0
            engine.run(until)

    def _source(self, what: str) -> Random:
        return Random(f"{self.scenario.seed} {what}")  # noqa: S311 - to be the same each time

    def _count(self, second: int) -> None:
        self.population[second] = len(self._living)
        if second + 1 < self.scenario.seconds:
            self.engine.after(1.0, self._count, second + 1)

    # -- who comes and goes --------------------------------------------------------------------

    def _join(self) -> None:
        scenario, births = self.scenario, self._births
        machine = scenario.machines.draw(births)
        straggles = births.random() < scenario.stragglers
        lies = births.random() < scenario.liars
        phase = births.random() * BEAT
        peer = Peer(
            f"peer{len(self.peers)}@simulated",
            machine,
            self.engine,
            self.broker,
            self._work,
            jitter=scenario.jitter,
            lies=lies,
            subtle=scenario.subtle,
            cold=scenario.cold,
        )
        self.peers.append(peer)
        self._living.append(peer)
        self.broker.enrol(peer)
        peer.start(phase)
        if straggles:
            self._next_stall(peer)

    def _leave(self) -> None:
        if not self._living:
            return
        place = self._troubles.randrange(len(self._living))
        self._living[place], self._living[-1] = self._living[-1], self._living[place]
        peer = self._living.pop()
        if self._troubles.random() < self.scenario.goodbye:
            self.drained += 1
            peer.drain()
        else:
            self.vanished += 1
            peer.vanish()

    def _next_leaver(self) -> None:
        rate = self.scenario.churn * self.scenario.peers / 60
        self.engine.after(self._troubles.expovariate(rate), self._replace)

    def _replace(self) -> None:
        self._leave()
        self._join()
        self._next_leaver()

    def _pass_the_day(self) -> None:
        """Switch machines off and on, a few at a time."""
        scenario = self.scenario
        since = self.engine.now - HEAD_START
        wanted = round(scenario.peers * awake(since, scenario.day))
        while len(self._living) > max(wanted, 1):
            self._leave()
        while len(self._living) < wanted:
            self._join()
        self.engine.after(min(1.0, scenario.day / DAY_STEPS), self._pass_the_day)

    # -- who stands still -----------------------------------------------------------------------

    def _next_stall(self, peer: Peer) -> None:
        after = self._stalls.expovariate(1 / self.scenario.stall_every)
        self.engine.after(after, self._stall, peer)

    def _stall(self, peer: Peer) -> None:
        if not peer.is_alive:
            return
        self.stalls += 1
        seconds = self._stalls.expovariate(1 / self.scenario.stall) if self.scenario.stall else 0.0
        peer.stall(seconds)
        self._next_stall(peer)

    def _stall_the_busiest(self) -> None:
        """Have the peer stall that has worked most: the one whose stall is felt."""
        ready = [peer for peer in self._living if peer.state is PeerState.READY]
        if ready:
            self.stalls += 1
            max(ready, key=lambda peer: peer.worked).stall(self.scenario.stall)
