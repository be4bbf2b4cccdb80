"""Chunks by the hundred thousand, with every fault there is: none is run a fourth time.

The real table, policies and reassembler on a simulated clock, with peers that answer, fail,
answer late, twice, out of turn or never.  ``P2C2G_SIMULATED_CHUNKS`` sets how many chunks.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import ChunkKey, Size
from p2c2g.media.operations import Pipeline
from p2c2g.routing.router import Facts
from p2c2g.session.actions import Result, Send, Steal, Verify
from p2c2g.session.attempts import MAX_ATTEMPTS
from p2c2g.session.config import SessionConfig
from p2c2g.session.core import Core
from p2c2g.session.observer import Observer
from tests.effort import chunks

CHUNKS = chunks(200_000)
#: Chunks after which the faults have an average; their first thousands are a matter of luck.
LONG = 50_000
PEERS = ["ada", "bob", "eve", "zoe"]
FPS = 30.0


class Peers:
    """Where chunks go, and what becomes of them: seconds until a result, and its kind."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.events: list[tuple[float, int, ChunkKey, int, str, bool]] = []
        self.runs: Counter[ChunkKey] = Counter()
        self.numbers: set[tuple[ChunkKey, int]] = set()
        self.liar = "eve"
        self.away_until = 0.0
        self.slow_until = 0.0
        self.moved = 0

    def send(self, send: Send[None]) -> bool:
        """Stand in for the sender."""
        if self.random.random() < 0.001:
            return False  # The broker is away.
        for request in send.requests:
            key = (send.frame.number, request.chunk)
            self.run(key, request.attempt, request.peer or self.random.choice(PEERS))
        return True

    def move(self, steal: Steal) -> None:
        """Stand in for the broker: what has not been answered may have been waiting."""
        for move in steal.moves:
            for number, (at, count, key, attempt, peer, good) in enumerate(self.events):
                if (key, peer) == (move.key, move.source) and self.random.random() < 0.5:
                    self.events[number] = (at, count, key, attempt, move.to, good)
                    self.moved += 1

    def run(self, key: ChunkKey, attempt: int, peer: str) -> None:
        self.runs[key] += 1
        assert (key, attempt) not in self.numbers, "one number, two runs"
        self.numbers.add((key, attempt))
        draw, after = self.random.random(), self.random.expovariate(1 / 0.015)
        if self.now < self.away_until or draw < 0.03:
            return  # lost, or with a peer that was killed
        if self.now < self.slow_until:
            after *= 10
        if draw < 0.05:
            after += 1.0  # a peer that was stopped goes on
        good = not (draw > 0.98 or (peer == self.liar and draw > 0.2))
        self.answer(key, attempt, peer, after, good=good)
        if draw > 0.95:
            self.answer(key, attempt, peer, after + 0.01, good=good)  # told twice
        if draw > 0.995:
            self.answer(key, 77, peer, after, good=good)  # a number that was never granted

    def answer(self, key: ChunkKey, attempt: int, peer: str, after: float, *, good: bool) -> None:
        event = (self.now + after, len(self.numbers), key, attempt, peer, good)
        heapq.heappush(self.events, event)


class Ends(Observer):
    """Notes which chunks were accepted."""

    def __init__(self) -> None:
        self.accepted: set[ChunkKey] = set()

    def chunk_accepted(self, key: ChunkKey, peer: str, seconds: float, ran: str) -> None:
        assert key not in self.accepted, "shown twice"
        self.accepted.add(key)


class Simulation:
    """One session without threads, sockets or pictures: a shell around its decisions."""

    def __init__(self, seed: int, chunks: int, policy: str) -> None:
        # All of it is asked for, whatever fails.
        config = SessionConfig(
            Size(64, 64), Pipeline.parse("upscale:2"), Grid(2, 4), policy=policy, steady=False
        )
        self.chunks = range(len(config.chunks))
        self.count = chunks // len(self.chunks)
        self.peers = Peers(seed)
        self.ends = Ends()
        self.core: Core[None, int] = Core("sim", config, random.Random(seed), (self.ends,))
        self.ended: Counter[str] = Counter()
        self.shown: list[int] = []

    def play(self) -> None:
        number = 0
        while number < self.count or self.core.frames_in_flight or self.peers.events:
            ticks = [number / FPS] if number < self.count else []
            looks = [self.core.next_look(), self.core.next_release()]
            arrivals = [self.peers.events[0][0]] if self.peers.events else []
            moments = ticks + arrivals + [each for each in looks if each is not None]
            now = self.peers.now = max(self.peers.now, min(moments))
            if ticks and ticks[0] <= now:
                self.submit(number)
                number += 1
            while self.peers.events and self.peers.events[0][0] <= now:
                self.arrive(*heapq.heappop(self.peers.events)[2:])
            self.perform(self.core.look(now))
            self.release(now)

    def perform(self, actions: Iterable[Send[None] | Steal]) -> None:
        for action in actions:
            if isinstance(action, Steal):
                self.peers.move(action)
            elif not self.peers.send(action) and action.is_first:
                self.core.not_sent(action.frame.number, "away")

    def submit(self, number: int) -> None:
        now, peers, core = self.peers.now, self.peers, self.core
        if number % 300 == 299:
            peers.away_until = now + 0.5
        if number % 500 == 250:
            peers.slow_until = now + 1.0
        if number % 30 == 0:
            here = [Facts(peer, ready=True) for peer in PEERS if peer != self.left(number)]
            self.perform(core.registry_said(here, frozenset(), now))
        plan, payloads = core.plan(number, (), now), dict.fromkeys(self.chunks, b"")
        self.perform(core.submit(number, None, payloads, plan, now, now, now, connected=True))

    def left(self, number: int) -> str:
        """Return who is not there: bob leaves now and then, and comes back."""
        return "bob" if number % 690 == 330 else ""

    def arrive(self, key: ChunkKey, attempt: int, peer: str, good: bool) -> None:
        now = self.peers.now
        result = Result(
            key=key, claimed=key, attempt=attempt, peer=peer, ran="", payload=b"", size=1000,
            started=now - 0.0001, done=now, decode=0.0, process=0.0001,
        )  # fmt: skip
        for action in self.core.arrived(result, now):
            if not isinstance(action, Verify):
                self.perform([action])
            elif good:
                self.perform(self.core.verified(action, attempt, now))
            else:
                self.perform(self.core.refused(action, "CheckError: a lie", now))

    def release(self, now: float) -> None:
        while (shown := self.core.release(now)) is not None:
            number = shown.frame.number
            assert now <= shown.frame.deadline + 1e-9, "shown late"
            self.shown.append(number)
            for index in self.chunks:
                enhanced = index in shown.parts
                assert enhanced == ((number, index) in self.ends.accepted)
                self.ended["enhanced" if enhanced else "base"] += 1


@pytest.mark.parametrize(
    ("seed", "policy"),
    [(1, "capability"), (2, "predictive"), (3, "weighted"), (4, "affinity")],
)
@pytest.mark.timeout(900)
def test_no_chunk_is_run_a_fourth_time_and_each_ends_once(seed: int, policy: str) -> None:
    simulation = Simulation(seed, CHUNKS // 4, policy)
    simulation.play()
    peers, tables, ended = simulation.peers, simulation.core.tables, simulation.ended
    attempts = tables.attempts
    total = simulation.count * len(simulation.chunks)
    runs: Any = Counter(peers.runs.values())
    assert max(runs) == MAX_ATTEMPTS
    assert {number for _, number in peers.numbers} == set(range(1, MAX_ATTEMPTS + 1))
    assert simulation.shown == list(range(simulation.count))
    assert ended.total() == total
    assert ended["enhanced"] == attempts.accepted.total() == len(simulation.ends.accepted)
    assert len(attempts) == 0
    assert simulation.core.next_look() is None
    # Every fault was there, and each was dealt with.
    assert min(runs[1], runs[2], runs[3], attempts.late, attempts.duplicate) > 0
    assert min(attempts.silent, attempts.revived, attempts.hedges_won, ended["base"]) > 0
    assert tables.breakers.states(peers.now)["eve"][1] > 0
    if total >= LONG:
        assert ended["enhanced"] / total > 0.8
    assert attempts.hedges <= 0.05 * total + 8
