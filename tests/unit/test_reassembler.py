"""The reassembler: in order, once each, complete at once or at the deadline."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2c2g.session.reassembler import Pending, Reassembler


def reassembler(limit: int = 256) -> Reassembler[str, str]:
    return Reassembler(limit)


def numbers(frames: Reassembler[str, str], now: float) -> list[int]:
    return [pending.number for pending in frames.release(now)]


def test_a_complete_frame_is_released_at_once_with_its_parts() -> None:
    frames = reassembler()
    frames.open(0, "frame", count=2, deadline=10.0)
    assert frames.place(0, 1, "b")
    assert numbers(frames, 1.0) == []
    assert frames.place(0, 0, "a")
    [pending] = frames.release(1.0)
    assert (pending.frame, pending.parts, pending.complete) == ("frame", {0: "a", 1: "b"}, True)
    assert len(frames) == 0


def test_a_frame_that_lacks_a_chunk_is_released_at_its_deadline_and_not_before() -> None:
    frames = reassembler()
    frames.open(0, "frame", count=2, deadline=10.0)
    frames.place(0, 1, "b")
    assert numbers(frames, 9.999) == []
    [pending] = frames.release(10.0)
    assert (pending.parts, pending.complete) == ({1: "b"}, False)


def test_a_complete_frame_waits_for_the_earlier_one() -> None:
    frames = reassembler()
    frames.open(0, "first", count=1, deadline=10.0)
    frames.open(1, "second", count=1, deadline=11.0)
    frames.place(1, 0, "a")
    assert numbers(frames, 5.0) == []
    assert numbers(frames, 10.0) == [0, 1]


def test_a_frame_past_its_deadline_waits_for_the_earlier_one() -> None:
    frames = reassembler()
    frames.open(0, "first", count=1, deadline=10.0)
    frames.open(1, "second", count=1, deadline=1.0)
    assert numbers(frames, 5.0) == []
    assert frames.next_release == 10.0
    frames.place(0, 0, "a")
    assert numbers(frames, 5.0) == [0, 1]


def test_more_than_the_limit_releases_the_oldest_early_with_what_it_has() -> None:
    frames = reassembler(limit=2)
    for number in range(3):
        frames.open(number, "frame", count=2, deadline=100.0)
    frames.place(0, 0, "a")
    [pending] = frames.release(0.0)
    assert (pending.number, pending.parts) == (0, {0: "a"})
    assert len(frames) == 2
    assert numbers(frames, 0.0) == []


@pytest.mark.parametrize("index", [-1, 2, 7])
def test_a_chunk_of_an_index_that_the_frame_lacks_is_not_placed(index: int) -> None:
    frames = reassembler()
    frames.open(0, "frame", count=2, deadline=1.0)
    assert not frames.place(0, index, "x")
    [pending] = frames.flush()
    assert pending.parts == {}


def test_the_first_part_of_a_chunk_stays() -> None:
    frames = reassembler()
    frames.open(0, "frame", count=2, deadline=1.0)
    assert frames.place(0, 0, "first")
    assert not frames.place(0, 0, "second")
    [pending] = frames.flush()
    assert pending.parts == {0: "first"}


def test_a_frame_that_is_gone_or_never_came_takes_nothing() -> None:
    frames = reassembler()
    frames.open(3, "frame", count=1, deadline=1.0)
    assert frames.frame(3) == "frame"
    assert not frames.place(2, 0, "x")
    assert numbers(frames, 1.0) == [3]
    assert not frames.place(3, 0, "x")
    assert frames.frame(3) is None
    assert numbers(frames, inf) == []


def test_a_number_that_is_not_above_all_earlier_ones_is_refused() -> None:
    frames = reassembler()
    frames.open(4, "frame", count=1, deadline=1.0)
    with pytest.raises(ValueError, match="frame 4 came after frame 4"):
        frames.open(4, "again", count=1, deadline=2.0)
    assert numbers(frames, 1.0) == [4]
    with pytest.raises(ValueError, match="frame 3 came after frame 4"):
        frames.open(3, "older", count=1, deadline=2.0)
    frames.open(9, "with a gap", count=1, deadline=2.0)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="give 1 or more"):
        reassembler(limit=0)
    with pytest.raises(ValueError, match="0 chunks"):
        reassembler().open(0, "frame", count=0, deadline=1.0)


def test_flush_gives_everything_in_order() -> None:
    frames = reassembler()
    for number in (2, 3, 5):
        frames.open(number, "frame", count=1, deadline=1e9)
    assert [pending.number for pending in frames.flush()] == [2, 3, 5]
    assert list(frames.flush()) == []
    assert frames.next_release is None


def test_what_is_not_taken_from_a_release_stays() -> None:
    frames = reassembler()
    frames.open(0, "first", count=1, deadline=1.0)
    frames.open(1, "second", count=1, deadline=1.0)
    assert next(frames.release(2.0)).number == 0
    assert len(frames) == 1
    assert numbers(frames, 2.0) == [1]


def expiring(*deadlines: float) -> Reassembler[str, str]:
    """Return frames of one chunk, each expired a second after its deadline."""
    frames = reassembler()
    for number, deadline in enumerate(deadlines):
        frames.open(number, "frame", count=1, deadline=deadline, expires=deadline + 1.0)
    return frames


def passed_over(frames: Reassembler[str, str], now: float) -> list[int]:
    return [pending.number for pending in frames.pass_over(now)]


def test_a_frame_that_has_expired_is_passed_over_for_a_newer_one_that_may_go() -> None:
    frames = expiring(1.0, 2.0, 3.0)
    assert passed_over(frames, 1.9) == []
    assert passed_over(frames, 2.5) == [0]
    assert numbers(frames, 2.5) == [1]
    assert numbers(frames, 3.0) == [2]


def test_of_many_that_have_expired_the_newest_stays() -> None:
    frames = expiring(1.0, 2.0, 3.0, 9.0)
    assert passed_over(frames, 5.0) == [0, 1]
    assert numbers(frames, 5.0) == [2]


def test_the_only_frame_that_may_go_stays_however_old_it_is() -> None:
    frames = expiring(1.0, 9.0)
    assert passed_over(frames, 5.0) == []
    assert numbers(frames, 5.0) == [0]
    assert passed_over(reassembler(), 5.0) == []


def test_what_blocks_a_newer_one_that_may_go_is_passed_over_with_the_expired() -> None:
    frames = expiring(1.0, 9.0, 9.5)
    frames.place(2, 0, "a")
    assert passed_over(frames, 1.5) == [], "in order, as long as nothing has expired"
    assert passed_over(frames, 5.0) == [0, 1]
    assert numbers(frames, 5.0) == [2]
    assert not frames.place(1, 0, "late")
    with pytest.raises(ValueError, match="came after"):
        frames.open(1, "again", count=1, deadline=9.0)


LIMIT = 4


class AnyArrival(RuleBasedStateMachine):
    """Frames with any deadlines, chunks in any order, a clock that only goes forward."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: Reassembler[int, int] = Reassembler(LIMIT)
        self.waiting: dict[int, tuple[int, float, set[int]]] = {}
        self.next_number = 0
        self.now = 0.0
        self.released: list[int] = []
        self.expires: dict[int, float] = {}

    @rule(
        gap=st.integers(0, 2), count=st.integers(1, 3), delay=st.floats(0, 5), lasts=st.floats(0, 3)
    )
    def open(self, gap: int, count: int, delay: float, lasts: float) -> None:
        number = self.next_number + gap
        self.next_number = number + 1
        self.expires[number] = expires = self.now + delay + lasts
        self.frames.open(number, -number, count, self.now + delay, expires=expires)
        self.waiting[number] = (count, self.now + delay, set())

    @rule(back=st.integers(0, 6), index=st.integers(-1, 3))
    def place(self, back: int, index: int) -> None:
        number = self.next_number - back
        count, _, placed = self.waiting.get(number, (0, 0.0, set()))
        expected = 0 <= index < count and index not in placed
        assert self.frames.place(number, index, index * 10) is expected
        if expected:
            placed.add(index)

    @rule(step=st.floats(0, 3))
    def release(self, step: float) -> None:
        self.now += step
        for pending in self.frames.release(self.now):
            overfull = len(self.waiting) > LIMIT
            assert pending.number == min(self.waiting)  # never before an earlier frame
            self.check(pending)
            assert pending.complete or pending.deadline <= self.now or overfull
        assert len(self.frames) <= LIMIT
        if self.waiting:  # nothing stays that may go
            count, deadline, placed = self.waiting[min(self.waiting)]
            assert len(placed) < count
            assert deadline > self.now

    @rule(step=st.floats(0, 3))
    def pass_over(self, step: float) -> None:
        self.now += step
        ready = [
            number
            for number, (count, deadline, placed) in self.waiting.items()
            if deadline <= self.now or len(placed) == count
        ]
        begins_expired = bool(self.waiting) and self.expires[min(self.waiting)] <= self.now
        gone = self.frames.pass_over(self.now)
        for pending in gone:
            self.check(pending)
        assert bool(gone) == (begins_expired and len(ready) > 1)
        if begins_expired:
            fresh = [number for number in ready if self.expires[number] > self.now]
            assert min(self.waiting) == (fresh[0] if fresh else ready[-1])

    @rule()
    def flush(self) -> None:
        for pending in self.frames.flush():
            self.check(pending)
        assert not self.waiting

    def check(self, pending: Pending[int, int]) -> None:
        count, deadline, placed = self.waiting.pop(pending.number)
        assert (pending.frame, pending.count) == (-pending.number, count)
        assert pending.deadline == deadline
        assert pending.parts == {index: index * 10 for index in placed}
        assert pending.complete == (len(placed) == count)
        self.released.append(pending.number)

    @invariant()
    def released_numbers_strictly_rise(self) -> None:
        assert all(a < b for a, b in zip(self.released, self.released[1:], strict=False))

    @invariant()
    def what_waits_is_known(self) -> None:
        assert len(self.frames) == len(self.waiting)
        oldest = min(self.waiting, default=None)
        expected = None
        if oldest is not None:
            count, deadline, placed = self.waiting[oldest]
            expected = -inf if len(placed) == count else deadline
        assert self.frames.next_release == expected


TestAnyArrival = AnyArrival.TestCase
