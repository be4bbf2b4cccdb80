"""Chunks by the hundred thousand, with every fault there is: none is run a fourth time.

The real table, policies and reassembler on a simulated clock, with peers that answer, fail,
answer late, twice, out of turn or never.  ``P2C2G_SIMULATED_CHUNKS`` sets how many chunks.
"""

from __future__ import annotations

import heapq
import os
import random
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Frame, Size
from p2c2g.media.operations import Pipeline
from p2c2g.peers.book import PeerBook
from p2c2g.peers.breaker import Breakers, State
from p2c2g.peers.health import Health
from p2c2g.peers.trust import Trust
from p2c2g.routing.policies import make
from p2c2g.routing.router import Facts, Router
from p2c2g.routing.stealing import Move
from p2c2g.session.attempts import MAX_ATTEMPTS, Attempts, ChunkKey, Verdict
from p2c2g.session.config import FrameInFlight, SessionConfig
from p2c2g.session.hedging import Hedging
from p2c2g.session.orders import RunRequest
from p2c2g.session.reassembler import Reassembler
from p2c2g.session.runs import Runs
from p2c2g.verify.examination import PictureComparer
from p2c2g.verify.examiner import Examiner

CHUNKS = int(os.environ.get("P2C2G_SIMULATED_CHUNKS", "200000"))
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

    def send(self, flight: FrameInFlight, orders: Sequence[RunRequest]) -> bool:
        """Stand in for the sender."""
        if self.random.random() < 0.001:
            return False  # The broker is away.
        for order in orders:
            key = (flight.number, order.chunk)
            self.run(key, order.attempt, order.peer or self.random.choice(PEERS))
        return True

    def move(self, moves: Sequence[Move[ChunkKey]]) -> None:
        """Stand in for the broker: what has not been answered may have been waiting."""
        for move in moves:
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


class Simulation:
    """One session without threads, sockets or pictures."""

    def __init__(self, seed: int, chunks: int, policy: str) -> None:
        self.plan = SessionConfig(Size(64, 64), Pipeline.parse("upscale:2"), Grid(2, 4))
        self.chunks = self.plan.chunks
        self.count = chunks // len(self.chunks)
        self.peers = Peers(seed)
        self.attempts = Attempts()
        self.frames: Reassembler[FrameInFlight, int] = Reassembler()
        self.hedging = Hedging(self.plan.deadline)
        book = PeerBook()
        self.breakers = Breakers(book)
        self.lock = threading.Lock()
        health, trust = Health(book), Trust(random.Random(seed), book)
        self.router = Router(
            make(policy, random.Random(seed)), session="sim", operation=self.plan.operations.text,
            megapixels=self.plan.megapixels, need=1.0, deadline=self.plan.deadline,
            book=book, health=health, trust=trust, breakers=self.breakers,
        )  # fmt: skip
        self.runs = Runs(
            self.plan.operations.text, self.plan.megapixels, self.peers.send, self.attempts,
            self.hedging, self.breakers, health, self.router, self.frames.frame, self.lock,
            self.peers.move,
        )  # fmt: skip
        self.examiner = Examiner(
            self.plan, self.attempts, self.breakers, health, trust, self.router, self.lock,
            random.Random(seed), PictureComparer(self.plan),
        )  # fmt: skip
        self.pixels = np.zeros((64, 64, 3), np.uint8)
        self.ended: Counter[str] = Counter()
        self.accepted: set[ChunkKey] = set()
        self.shown: list[int] = []

    def play(self) -> None:
        number = 0
        while number < self.count or len(self.frames) or self.peers.events:
            ticks = [number / FPS] if number < self.count else []
            with self.lock:
                looks = [look] if (look := self.runs.next_look()) is not None else []
            releases = [due] if (due := self.frames.next_release) is not None else []
            arrivals = [self.peers.events[0][0]] if self.peers.events else []
            now = self.peers.now = max(self.peers.now, min(ticks + looks + releases + arrivals))
            if ticks and ticks[0] <= now:
                self.submit(number)
                number += 1
            while self.peers.events and self.peers.events[0][0] <= now:
                self.arrive(*heapq.heappop(self.peers.events)[2:])
            self.runs.look(now)
            self.release(now)

    def submit(self, number: int) -> None:
        now, peers = self.peers.now, self.peers
        if number % 300 == 299:
            peers.away_until = now + 0.5
        if number % 500 == 250:
            peers.slow_until = now + 1.0
        deadline = now + self.plan.deadline
        flight = FrameInFlight(
            Frame(number, self.pixels, now, now), (b"",) * len(self.chunks), self.pixels,
            due=now + 0.05, deadline=deadline, was_sent=True, missing=len(self.chunks),
        )  # fmt: skip
        self.frames.open(number, flight, len(self.chunks), deadline, flight.due)
        with self.lock:
            if number % 30 == 0:
                self.router.learn([Facts(peer, ready=True) for peer in PEERS], now)
            self.runs.open(flight, now)
        if not self.runs.send_first(flight):
            self.frames.hasten(number, flight.due)
            return
        with self.lock:
            probe = self.examiner.probe(flight, now)
        if probe is not None:
            peers.send(flight, [probe])
        if number % 700 == 350:
            self.runs.gone("bob", now)

    def arrive(self, key: ChunkKey, attempt: int, peer: str, good: bool) -> None:
        """Do what the collector does."""
        now = self.peers.now
        with self.lock:
            probe = self.examiner.take_probe(peer, key)
            if probe is not None:
                self.breakers.tried(peer, now, good=good)
            trusted = probe is not None or self.breakers.state(peer, now) is State.CLOSED
            if good and trusted:
                if self.runs.succeeded(key, attempt, peer, 0.005, 1000, now) is Verdict.ACCEPTED:
                    assert key not in self.accepted, "shown twice"
                    self.accepted.add(key)
                    assert self.frames.place(*key, attempt)
                return
        self.runs.failed(key, attempt, peer, now, is_probe=probe is not None)

    def release(self, now: float) -> None:
        for pending in self.frames.release(now):
            assert now <= pending.frame.deadline + 1e-9, "shown late"
            self.shown.append(pending.number)
            with self.lock:
                self.runs.close(pending.number, now)
            for chunk in self.chunks:
                enhanced = chunk.index in pending.parts
                assert enhanced == ((pending.number, chunk.index) in self.accepted)
                self.ended["enhanced" if enhanced else "base"] += 1


@pytest.mark.parametrize(
    ("seed", "policy"),
    [(1, "capability"), (2, "predictive"), (3, "weighted"), (4, "affinity")],
)
@pytest.mark.timeout(900)
def test_no_chunk_is_run_a_fourth_time_and_each_ends_once(seed: int, policy: str) -> None:
    simulation = Simulation(seed, CHUNKS // 4, policy)
    simulation.play()
    peers, attempts, ended = simulation.peers, simulation.attempts, simulation.ended
    total = simulation.count * len(simulation.chunks)
    runs: Any = Counter(peers.runs.values())
    assert max(runs) == MAX_ATTEMPTS
    assert {number for _, number in peers.numbers} == set(range(1, MAX_ATTEMPTS + 1))
    assert simulation.shown == list(range(simulation.count))
    assert ended.total() == total
    assert ended["enhanced"] == attempts.accepted.total() == len(simulation.accepted)
    assert len(attempts) == 0
    assert simulation.runs.next_look() is None
    # Every fault was there, and each was dealt with.
    assert min(runs[1], runs[2], runs[3], attempts.late, attempts.duplicate) > 0
    assert min(attempts.silent, attempts.revived, attempts.hedges_won, ended["base"]) > 0
    assert simulation.breakers.states(peers.now)["eve"][1] > 0
    assert ended["enhanced"] / total > 0.8
    assert attempts.hedges <= 0.05 * total + 8
