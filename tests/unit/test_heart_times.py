"""What a peer's beats say of its own way to the broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from p2c2g.peers.messages import Beat, Enrolment
from p2c2g.peers.registry import BeatReply
from p2c2g_workers.heart import Heart
from p2c2g_workers.peer import Peer

ENROLMENT = Enrolment(id="a@x", instance="i")


class Line:
    """A registry at the end of a line: each beat takes as long as it is told."""

    def __init__(self, takes: list[float]) -> None:
        self.now = 0.0
        self._takes: Iterator[float] = iter(takes)
        self.beats: list[Beat] = []

    def enrol(self, enrolment: Enrolment, beat: Beat, *, control: bool = False) -> BeatReply:
        return BeatReply(enrolled=True)

    def beat(self, enrolment: Enrolment, beat: Beat) -> BeatReply:
        self.beats.append(beat)
        self.now += next(self._takes)
        return BeatReply(enrolled=True)

    def leave(self, id: str, queues: object, instance: str = "") -> None:  # noqa: A002
        pass


def test_a_beat_says_what_a_ping_takes_at_least_and_what_it_waits_as_a_rule() -> None:
    line = Line([0.02, 0.02, 0.05, 0.06, 0.06, 0.06])
    peer = Peer(in_flight=lambda: 0, load=lambda: 0.0)
    heart = Heart(line, peer, lambda: ENROLMENT, lambda *_: None, clock=lambda: line.now)
    for _ in range(7):
        heart._turn()
    said = [(beat.rtt, beat.rise) for beat in line.beats]
    assert said[0] == (0.0, 0.0)
    assert said[2] == pytest.approx((0.02, 0.0))
    assert said[5] == pytest.approx((0.02, 0.03))
