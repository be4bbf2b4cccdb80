"""How many chunks may be out: a frame's, and what is on its way; not what would wait."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.session.admission import TIGHT, Admission

CHUNKS = 4
FPS = 60.0
DEADLINE = 0.1


class Peers:
    """Slots that take ``work`` seconds a chunk, ``way`` seconds away; first come, first served."""

    def __init__(
        self, admission: Admission, work: float, slots: int = 2, way: float = 0.01
    ) -> None:
        self.admission = admission
        self.work, self.way = work, way
        self.free = [0.0] * slots
        self.coming: list[tuple[float, tuple[int, int]]] = []
        self.latencies: list[tuple[float, float]] = []
        self.granted: list[int] = []

    def play(self, seconds: float, begins: float = 0.0, burst: int = CHUNKS) -> None:
        for frame in range(round(begins * FPS), round((begins + seconds) * FPS)):
            now = frame / FPS
            self.collect(now)
            granted = self.admission.admit(range(burst), now)
            self.granted.append(len(granted))
            for index in granted:
                key = (frame, index)
                self.admission.sent(key, now)
                slot = min(range(len(self.free)), key=self.free.__getitem__)
                self.free[slot] = max(self.free[slot], now + self.way / 2) + self.work
                self.coming.append((self.free[slot] + self.way / 2, key))

    def collect(self, until: float) -> None:
        self.coming.sort()
        while self.coming and self.coming[0][0] <= until:
            at, key = self.coming.pop(0)
            self.admission.came(key, "p", self.work, at)
            self.latencies.append((key[0] / FPS, at - key[0] / FPS))

    def latency(self, after: float) -> float:
        late = sorted(took for at, took in self.latencies if at >= after)
        return late[len(late) // 2]


def test_an_idle_pool_gets_everything() -> None:
    peers = Peers(Admission(FPS, DEADLINE), work=0.005)
    peers.play(5)
    assert set(peers.granted) == {CHUNKS}
    assert peers.admission.refused == 0


def test_a_far_pool_gets_everything_from_the_first_frame() -> None:
    peers = Peers(Admission(FPS, 0.2), work=0.005, slots=4, way=0.09)
    peers.play(5)
    assert set(peers.granted) == {CHUNKS}


@pytest.mark.parametrize("overload", [1.3, 2.0, 4.0])
def test_in_an_overload_what_is_sent_is_back_nearly_as_soon_as_from_an_idle_pool(
    overload: float,
) -> None:
    """With all chunks asked for: the controller, which asks for fewer, comes on top of this."""
    work = overload * 2 / (FPS * CHUNKS)
    idle = Peers(Admission(10.0, 1.0), work)
    for number in range(50):
        idle.play(1 / FPS, number / 5)
    idle.collect(100.0)
    peers = Peers(Admission(FPS, 1.0), work)
    peers.play(20)
    assert peers.latency(10.0) <= 2.2 * idle.latency(0.0)
    assert len(peers.latencies) >= 0.9 * 20 * 2 / work  # and the peers are busy all the time


def test_where_a_queue_stands_the_bound_is_what_is_on_its_way_and_a_burst() -> None:
    peers = Peers(Admission(FPS, DEADLINE), work=0.02)
    peers.play(5)
    admission = peers.admission
    least = admission.delivery.least or 0.0
    assert admission.bound <= 1 + 100 * 1.15 * (least + max(TIGHT, 0.25 * least)) + CHUNKS


def test_what_finds_no_room_stays_out_for_a_moment_and_what_matters_most_goes() -> None:
    peers = Peers(Admission(FPS, DEADLINE), work=0.0095)
    seen = []
    for frame in range(600):
        now = frame / FPS
        peers.collect(now)
        kept = peers.admission.admit([2, 0, 3, 1], now)
        seen.append(kept)
        for index in kept:
            peers.admission.sent((frame, index), now)
            slot = min(range(2), key=peers.free.__getitem__)
            peers.free[slot] = max(peers.free[slot], now + 0.005) + peers.work
            peers.coming.append((peers.free[slot] + 0.005, (frame, index)))
    late = seen[300:]
    changes = sum(len(one ^ other) for one, other in pairwise(late))
    assert changes / 4 / 5 <= 4
    assert sum(2 in kept for kept in late) >= sum(1 in kept for kept in late) + 100


def test_a_pool_that_stood_still_is_used_whole_again_at_once() -> None:
    admission = Admission(FPS, DEADLINE)
    peers = Peers(admission, work=0.005)
    peers.play(3)
    peers.free = [3.4, 3.4]  # nothing is done for 0.4 s
    peers.play(0.4, 3.0)
    peers.granted.clear()
    peers.play(2, 3.4)
    assert set(peers.granted[30:]) == {CHUNKS}
    assert peers.granted.count(CHUNKS) >= 0.7 * len(peers.granted)


def test_what_found_no_room_makes_nothing_find_none_for_ever() -> None:
    """A way that is a little longer is no queue: one was seen once, and has gone."""
    admission = Admission(30.0, DEADLINE)
    peers = Peers(admission, work=0.008, slots=1, way=0.033)
    for way, frames in ((0.033, 90), (0.100, 20), (0.052, 160)):
        peers.way = way
        for _ in range(frames):
            number = len(peers.granted)
            now = number / 30.0
            peers.collect(now)
            granted = admission.admit(range(2), now)
            peers.granted.append(len(granted))
            for index in granted:
                admission.sent((number, index), now)
                peers.free[0] = max(peers.free[0], now + peers.way / 2) + peers.work
                peers.coming.append((peers.free[0] + peers.way / 2, (number, index)))
    assert set(peers.granted[-60:]) == {2}


def test_a_way_that_is_longer_from_now_on_is_learnt_by_sending_nothing_for_a_moment() -> None:
    peers = Peers(Admission(FPS, 0.3), work=0.002, slots=4, way=0.03)
    peers.play(3)
    peers.way = 0.075
    peers.granted.clear()
    peers.play(10, 3.0)
    assert peers.granted.count(0) <= 2 * 12, "a moment, and hardly ever again"
    assert set(peers.granted[-120:]) == {CHUNKS}
    assert not peers.admission.delivery.risen(13.0)


def test_in_an_overload_that_moment_comes_ever_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    peers, times = Peers(Admission(FPS, DEADLINE), work=0.03), list[int]()
    delivery = peers.admission.delivery
    monkeypatch.setattr(delivery, "learn_again", lambda: times.append(len(peers.granted)))
    peers.play(60)
    pauses = [after - before for before, after in pairwise(times)]
    assert len(times) <= 5
    assert pauses == sorted(pauses)


def test_a_chunk_that_was_not_sent_takes_no_room() -> None:
    admission = Admission(1.0, 0.001)
    assert len(admission.admit([0], 0.0)) == 1
    admission.sent((0, 0), 0.0)
    assert not admission.admit([0], 0.0)
    assert (admission.refused, admission.asked) == (1, 2)
    admission.forget((0, 0))
    assert len(admission.admit([0], 0.0)) == 1


def test_what_was_lost_takes_up_room_for_a_moment_and_longer_while_all_is_lost() -> None:
    admission = Admission(1.0, 0.001, lost_after=0.2, lost_most=0.5)
    sent = []
    for step in range(1000):
        now = step / 100
        if admission.admit([0], now):
            admission.sent((step, 0), now)
            sent.append(now)
    pauses = [after - before for before, after in pairwise(sent)]
    assert pauses[0] == pytest.approx(0.21)
    assert pauses[-1] == pytest.approx(0.51)
    assert admission.is_lost
    admission.failed((0, 0), 10.0)  # somebody is there
    assert not admission.is_lost


def test_a_dead_peer_costs_the_others_nothing_for_long() -> None:
    admission = Admission(FPS, DEADLINE)
    peers = Peers(admission, work=0.005)
    peers.play(2)
    for index in range(8):  # lost with the peer that had them
        admission.sent((10_000, index), 2.0)
    peers.granted.clear()
    peers.play(1, 2.0)
    assert sum(granted < CHUNKS for granted in peers.granted) <= 15
    assert not admission.is_lost


@given(
    st.floats(1, 240),
    st.floats(0.001, 2),
    st.lists(
        st.tuples(st.sampled_from("sscfl"), st.integers(1, 16), st.floats(0, 0.1)), max_size=200
    ),
)
def test_never_more_out_than_the_bound(
    fps: float, deadline: float, steps: list[tuple[str, int, float]]
) -> None:
    admission, out, now = Admission(fps, deadline), list[tuple[int, int]](), 0.0
    for frame, (step, count, after) in enumerate(steps):
        now += after
        if step == "s":
            granted = admission.admit(range(count), now)
            assert granted <= set(range(count))
            for index in granted:
                admission.sent((frame, index), now)
                out.append((frame, index))
            assert not granted or admission.delivery.out <= admission.bound
            most = fps * count * (2 * 0.1 + max(deadline, 0.3) + (admission.delivery.least or 0))
            assert admission.bound <= most + count + 1
        elif out and step == "c":
            admission.came(out.pop(0), "p", after, now)
        elif out and step == "f":
            admission.failed(out.pop(), now)
        elif out:
            admission.forget(out.pop())
