"""Newest wins: whatever is slow on the gamer's machine, the picture is never old for it.

One machine in simulated time: a thread that captures and encodes, one that shows, and peers.  Each
may be slow, and the whole machine may stand still.  The same core decides as in a session.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import ChunkKey, Size
from p2c2g.media.operations import Pipeline
from p2c2g.routing.router import Facts
from p2c2g.session import pool_figures
from p2c2g.session.actions import Result, Send, Verify
from p2c2g.session.config import SessionConfig
from p2c2g.session.core import Core
from p2c2g.session.frames import TOLERANCE
from p2c2g.session.tally import Tally

FPS = 30.0
DEADLINE = 0.1
CONFIG = SessionConfig(
    Size(64, 64), Pipeline.parse("upscale:2"), Grid(1, 2), deadline=DEADLINE, fps=FPS
)
#: Frames that are in time, and those that wait because nothing newer may go yet.
IN_FLIGHT = (DEADLINE + TOLERANCE) * FPS + 2

#: Seconds that something takes: always, or by when it begins.
Seconds = float | Callable[[float], float]


def taken(seconds: Seconds, now: float) -> float:
    return seconds(now) if callable(seconds) else seconds


@dataclass(frozen=True)
class Seen:
    """One picture: when it was handed to the sink, and what was there at that moment."""

    number: int
    captured_at: float
    at: float
    complete: bool
    newer_may_go: bool


class Machine:
    """A gamer's machine; the time that each part takes may depend on when it begins.

    Args:
        encode: from a frame's capture until it is submitted.
        sink: of one picture.
        peers: from a frame's sending until its results arrive; inf for never.
        stops: spans in which the whole machine stands still.
        pool: who is listed.
    """

    def __init__(
        self,
        *,
        encode: Seconds = 0.003,
        sink: Seconds = 0.0001,
        peers: Seconds = 0.03,
        stops: tuple[tuple[float, float], ...] = (),
        pool: tuple[str, ...] = ("ada", "bob"),
    ) -> None:
        self.tally = Tally()
        self.core: Core[None, str] = Core("s", CONFIG, Random(1), (self.tally,))
        self.encode, self.sink, self.peers, self.stops = encode, sink, peers, stops
        self.pool = pool
        self.now = 0.0
        self.seen: list[Seen] = []
        self.most_in_flight = 0
        self.last = -1
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._showing = False

    def at(self, moment: float, what: Callable[[], None]) -> None:
        for begins, ends in self.stops:
            if begins <= moment < ends:
                moment = ends  # Whoever comes first then is a matter of chance.
        self._count += 1
        heapq.heappush(self._events, (max(moment, self.now), self._count, what))

    def play(self, seconds: float) -> None:
        self.until = seconds
        self.at(0.0, self.capture)
        self.at(0.0, self.registry)
        while self._events:
            self.now, _, what = heapq.heappop(self._events)
            what()
            self.most_in_flight = max(self.most_in_flight, self.core.frames_in_flight)
        self.tally.captured = round(seconds * FPS)

    def registry(self) -> None:
        self.core.registry_said([Facts(each, ready=True) for each in self.pool], frozenset(), 0.0)

    def capture(self) -> None:
        """Take the newest tick that is due, as the pacer does."""
        number = max(self.last + self.core.every, int(self.now * FPS + 1e-9))
        moment = number / FPS
        if moment >= self.until:
            return
        if moment > self.now + 1e-9:
            self.at(moment, self.capture)
            return
        self.last, captured_at = number, self.now
        self.at(self.now + taken(self.encode, self.now), lambda: self.submit(number, captured_at))

    def submit(self, number: int, captured_at: float) -> None:
        plan = self.core.plan(number, (), self.now)
        for send in self.core.submit(
            number, None, {0: b"a", 1: b"b"}, plan, captured_at, captured_at, self.now,
            connected=True,
        ):  # fmt: skip
            self.answer(send)
        self.at(self.now, self.capture)
        self.show()

    def answer(self, send: Send[None]) -> None:
        took = taken(self.peers, self.now)
        for request in send.requests:
            if took != inf:
                key = (send.frame.number, request.chunk)
                arrive = self._arrival(key, request.attempt, request.peer or "ada")
                self.at(self.now + took, arrive)

    def _arrival(self, key: ChunkKey, attempt: int, peer: str) -> Callable[[], None]:
        def arrive() -> None:
            result = Result(
                key=key, claimed=key, attempt=attempt, peer=peer, ran="", payload=b"", size=10,
                started=self.now - 0.0001, done=self.now, decode=0.0, process=0.0001,
            )  # fmt: skip
            for action in self.core.arrived(result, self.now):
                if isinstance(action, Verify):
                    self.core.verified(action, "picture", self.now)
            self.show()

        return arrive

    def show(self) -> None:
        """Do what the player's thread does when it wakes."""
        if self._showing:
            return
        shown = self.core.release(self.now)
        if shown is not None:
            waiting = self.core.tables.frames._pending.values()
            self.seen.append(
                Seen(
                    shown.frame.number,
                    shown.frame.captured_at,
                    self.now,
                    shown.complete,
                    any(each.release_at <= self.now for each in waiting),
                )
            )
            self._showing = True
            self.at(self.now + taken(self.sink, self.now), self.shown)
        elif (release := self.core.next_release()) is not None:
            self.at(release, self.show)

    def shown(self) -> None:
        self._showing = False
        self.show()

    def ages(self, since: float = 0.0) -> list[float]:
        """Return how old each picture was when it was handed to the sink."""
        return [each.at - each.captured_at for each in self.seen if each.at >= since]

    def check(self) -> None:
        """Check what holds whatever is slow."""
        for seen in self.seen:
            age = seen.at - seen.captured_at
            assert age <= DEADLINE + TOLERANCE + 1e-9 or not seen.newer_may_go, seen
        assert all(one.number < other.number for one, other in pairwise(self.seen))
        frames = self.tally.frames()
        assert frames["complete"] + frames["degraded"] == len(self.seen)
        assert frames["captured"] == sum(frames.values()) - frames["captured"]
        assert self.tally.passed_over <= frames["dropped"]
        assert self.most_in_flight <= IN_FLIGHT
        assert self.core.frames_in_flight == 0
        assert len(self.core.tables.attempts) == 0, "runs of frames that are over"


def played(seconds: float, **machine: Any) -> Machine:
    made = Machine(**machine)
    made.play(seconds)
    made.check()
    return made


def test_a_quick_machine_shows_every_frame() -> None:
    machine = played(10.0)
    assert machine.tally.frames()["complete"] == 300
    assert machine.core.every == 1
    assert machine.tally.live(10.0, 0)["notice"] == ""


def test_a_slow_sink_sees_the_newest_and_never_an_old_one() -> None:
    # It was: 200 ms a picture at 30 pictures a second, and the picture 8 s behind after 10.
    machine = played(60.0, sink=0.2)
    assert max(machine.ages()) <= DEADLINE + 0.2
    assert machine.tally.passed_over > 0
    assert machine.most_in_flight <= IN_FLIGHT
    assert machine.core.every > 1, "the rate is lowered"
    assert "This machine is too busy" in machine.tally.live(60.0, 0)["notice"]


def test_a_sink_that_is_slow_for_a_while_leaves_nothing_behind() -> None:
    machine = played(40.0, sink=lambda now: 0.3 if 5 < now < 10 else 0.0001)
    assert max(machine.ages(since=10.5)) <= DEADLINE + TOLERANCE
    assert machine.core.every == 1, "the rate comes back"
    said = machine.tally.summary()["notices"]
    assert any("too busy" in each["said"] for each in said)
    assert machine.tally.live(40.0, 0)["notice"] == ""
    last = [each for each in machine.seen if each.at >= 35.0]
    assert len(last) >= 5 * FPS - 2


def test_a_slow_encoder_lowers_the_rate_and_the_rest_is_even() -> None:
    machine = played(30.0, encode=0.05)
    assert machine.core.every == 2
    late = [each for each in machine.seen if each.at > 10.0]
    assert {later.number - one.number for one, later in pairwise(late)} == {2}
    assert all(each.complete for each in late)
    assert max(machine.ages(since=10.0)) <= DEADLINE + TOLERANCE


def test_an_encoder_slower_than_the_deadline_sends_nothing_for_nothing() -> None:
    machine = played(20.0, encode=0.15)
    assert machine.tally.up == 0
    assert max(machine.ages()) <= 0.15 + 1e-6, "shown as soon as it is there"


def test_a_painter_that_is_slow_lowers_the_rate() -> None:
    machine = played(30.0, sink=0.05)  # it paints on the player's thread
    assert max(machine.ages()) <= DEADLINE + 0.05
    late = [each for each in machine.seen if each.at > 15.0]
    assert {later.number - one.number for one, later in pairwise(late)} == {2}


@pytest.mark.parametrize("peers", [0.03, inf])
def test_a_machine_that_stood_still_goes_on_with_what_is_new(peers: float) -> None:
    machine = played(20.0, stops=((5.0, 7.0),), peers=peers)
    after = [each for each in machine.seen if each.at >= 7.0]
    assert sum(each.at - each.captured_at > 1.0 for each in after) <= 1, "old pictures are played"
    assert max(machine.ages(since=7.1)) <= DEADLINE + TOLERANCE
    assert machine.core.every == 1, "one stall is no habit"
    frames = machine.tally.frames()
    assert frames["dropped"] == pytest.approx(2.0 * FPS, abs=5)


def test_a_machine_that_stood_still_does_not_blame_its_peers() -> None:
    machine = played(9.0, stops=((5.0, 7.0),))
    before = played(4.9)
    assert machine.core.delay <= before.core.delay
    assert {state["opened"] for state in pool_figures.breakers(machine.core, 9.0).values()} <= {0}
    last = [each for each in machine.seen if each.at > 7.3]
    assert all(each.complete for each in last)


def test_without_peers_the_picture_is_the_base_at_once() -> None:
    machine = played(10.0, pool=())
    assert machine.tally.up == 0
    assert max(machine.ages()) <= 0.003 + 1e-6
    assert "No peers" in machine.tally.live(10.0, 0)["notice"]


SLOW = st.lists(st.sampled_from([0.0001, 0.005, 0.03, 0.08, 0.2, 0.7]), min_size=1, max_size=6)


@given(
    encode=SLOW,
    sink=SLOW,
    peers=st.lists(st.sampled_from([0.01, 0.05, 0.12, inf]), min_size=1, max_size=5),
    stops=st.lists(st.tuples(st.floats(0, 8), st.floats(0.01, 3)), max_size=3),
)
def test_whatever_is_slow(
    encode: list[float], sink: list[float], peers: list[float], stops: list[tuple[float, float]]
) -> None:
    def by_second(seconds: list[float]) -> Seconds:
        return lambda now: seconds[int(now) % len(seconds)]

    played(
        10.0,
        encode=by_second(encode),
        sink=by_second(sink),
        peers=by_second(peers),
        stops=tuple((begins, begins + lasts) for begins, lasts in stops),
    )
