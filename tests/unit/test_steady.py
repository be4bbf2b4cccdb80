"""The controller: down at once and as far as needed, up after calm, and never to and fro."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.session.levels import EVERY_MOST, Facts, Levels, Resource, fit, needs
from p2c2g.session.steady import REFUSED, Steady

#: Seconds between two steps.
TICK = 0.1
INF = float("inf")


@dataclass
class Pool:
    """Peers that do ``capacity`` work a second, and what a session is told of them."""

    capacity: float
    facts: Facts
    queue: float = 0.0
    history: list[Levels] = field(default_factory=list)

    def play(self, steady: Steady, seconds: float, begins: float = 0.0) -> None:
        for tick in range(round(seconds / TICK)):
            now = begins + tick * TICK
            levels = steady.levels
            asked = needs(levels, self.facts)
            work = asked[Resource.WORK]
            self.queue, over = waits(self.queue, work, self.capacity)
            done = min(work, self.capacity) / self.facts.methods[levels.method]
            told = replace(self.facts, done=done, queued=self.queue > 0.01 * work, refused=over)
            self.history.append(steady.step(told, now))


def waits(queue: float, work: float, capacity: float) -> tuple[float, float]:
    """Return the queue after a tick, and the share of the work that finds no room there."""
    queue = max(queue + (work - capacity) * TICK, 0.0)
    over = max(queue - 0.05 * work, 0.0)
    return queue - over, over / (work * TICK)


def changes(history: list[Levels], chunks: int) -> int:
    """Return how often a chunk changed between enhanced and base, over all chunks."""
    return sum(abs(one.chunks - other.chunks) for one, other in pairwise(history))


def test_enough_of_everything_changes_nothing() -> None:
    steady, pool = Steady(8), Pool(1000.0, Facts(fps=30.0))
    pool.play(steady, 60)
    assert set(pool.history) == {Levels(8)}
    assert steady.short is None


def test_twice_too_much_is_halved_within_a_second_and_stays_so() -> None:
    steady, pool = Steady(8), Pool(120.0, Facts(fps=30.0))
    pool.play(steady, 120)
    assert pool.history[10].chunks in {3, 4}
    assert {each.chunks for each in pool.history[10:]} <= {3, 4, 5, 6}
    # Flicker: changes a chunk a second, the tries included.
    assert changes(pool.history[10:], 8) / 8 / 119 < 0.1
    assert steady.failed >= 2
    assert steady.short is Resource.WORK


@given(st.integers(1, 30), st.floats(0.3, 3.0))
def test_any_constant_overload_settles_near_what_there_is(count: int, part: float) -> None:
    steady = Steady(count)
    pool = Pool(30.0 * count * part, Facts(fps=30.0))
    pool.play(steady, 120)
    last = pool.history[-600:]
    usual = sorted(each.chunks for each in last)[len(last) // 2]
    # What hardly anything is refused of is no overload.
    assert usual <= max(1, part * count / (1 - REFUSED))
    assert usual >= min(count, part * count) * 0.7 - 1
    assert changes(last, count) / count / 60 <= 0.5


def test_methods_are_given_up_before_chunks_and_come_back_last() -> None:
    steady = Steady(8)
    pool = Pool(120.0, Facts(fps=30.0, methods=(1.0, 0.25)))
    pool.play(steady, 20)
    assert pool.history[10] == Levels(8, method=1)
    pool.capacity = 40.0
    pool.play(steady, 5, 20)
    assert pool.history[-1].method == 1
    assert pool.history[-1].chunks < 8
    pool.capacity = 1000.0
    pool.play(steady, 200, 25)
    came_back = next(index for index, each in enumerate(pool.history) if each == Levels(8, 1))
    assert pool.history[-1] == Levels(8)
    assert came_back < len(pool.history) - 1


def test_a_step_that_relieves_nothing_is_passed_over() -> None:
    facts = Facts(
        fps=10.0,
        methods=(1.0, 1.0),
        residuals=(100.0, 50.0),
        sources=(200.0, 100.0),
        down=10 * 4 * 60,
    )
    found = fit(Levels(4), facts, {Resource.DOWN: facts.down})
    assert found == Levels(4, residual=1)
    found = fit(Levels(4), facts, {Resource.WORK: 20.0})
    assert found == Levels(2)  # the other method costs the peers as much


def test_what_a_line_takes_decides_at_once_and_quality_goes_before_chunks() -> None:
    steady = Steady(4)
    facts = Facts(fps=10.0, residuals=(100.0, 60.0, 30.0), down=5000.0)
    assert steady.step(facts, 0.0) == Levels(4)
    assert steady.step(replace(facts, down=2600.0), 0.1) == Levels(4, residual=1)
    assert steady.step(replace(facts, down=700.0), 0.7) == Levels(2, residual=2)
    assert steady.short is Resource.DOWN


def test_a_line_that_returns_gives_chunks_back_first_and_all_within_seconds() -> None:
    steady = Steady(4)
    facts = Facts(fps=10.0, residuals=(100.0, 60.0, 30.0), down=700.0)
    steady.step(facts, 0.0)
    wider = replace(facts, down=8000.0)
    seen = [steady.step(wider, 1.0 + tick * TICK) for tick in range(80)]
    assert seen[-1] == Levels(4)
    assert [each.chunks for each in seen] == sorted(each.chunks for each in seen)
    full = next(each for each in seen if each.chunks == 4)
    assert full.residual == 2


def test_up_needs_room() -> None:
    steady = Steady(4)
    facts = Facts(fps=10.0, residuals=(100.0, 60.0), down=3000.0, done=40.0)
    assert steady.step(facts, 0.0) == Levels(4, residual=1)
    limit = replace(facts, down=4400.0, fixed=frozenset({Resource.DOWN}))
    for tick in range(100):  # 4,000 would be needed
        assert steady.step(limit, 1 + tick * TICK) == Levels(4, residual=1)


def test_a_line_that_takes_what_it_is_given_is_given_more() -> None:
    steady = Steady(4)
    facts = Facts(fps=10.0, residuals=(100.0, 60.0), down=1000.0, done=40.0)
    assert steady.step(facts, 0.0) == Levels(1, residual=1)
    seen = [Levels(1, residual=1)]
    for tick in range(200):  # As an estimator has it: no more than half again of what was sent.
        sent = needs(seen[-1], facts)[Resource.DOWN]
        seen.append(steady.step(replace(facts, down=1.5 * sent), 1 + tick * TICK))
    assert seen[-1] == Levels(4)


def test_less_than_one_chunk_a_frame_is_one_now_and_then() -> None:
    assert fit(Levels(4), Facts(fps=30.0), {Resource.WORK: 10.0}) == Levels(1, every=3)
    assert fit(Levels(4), Facts(fps=30.0), {Resource.WORK: 0.0}) == Levels(1, every=EVERY_MOST)


def test_a_pool_that_stands_still_for_a_moment_is_no_reason() -> None:
    steady, facts = Steady(8), Facts(fps=30.0, done=240.0)
    stalled = replace(facts, done=0.0, flows=False, refused=1.0, queued=True)
    for tick in range(100):
        steady.step(stalled if 50 <= tick < 56 else facts, tick * TICK)
    assert steady.levels == Levels(8)


def test_chunks_that_are_late_again_and_again_are_left_out() -> None:
    steady = Steady(10)
    assert steady.step(Facts(fps=10.0, done=100.0, late=0.25), 0.0) == Levels(7)


def told() -> st.SearchStrategy[Facts]:
    return st.builds(
        Facts,
        fps=st.floats(1, 240),
        sent=st.floats(0, 1),
        done=st.floats(0, 5000),
        flows=st.booleans(),
        queued=st.booleans(),
        refused=st.floats(0, 1),
        late=st.floats(0, 1),
        methods=st.just((1.0, 0.3)),
        residuals=st.just((5000.0, 3000.0, 900.0)),
        sources=st.just((9000.0, 4000.0)),
        up=st.floats(0, 1e7) | st.just(INF),
        down=st.floats(0, 1e7) | st.just(INF),
        up_full=st.booleans(),
        down_full=st.booleans(),
    )


@given(st.lists(told(), min_size=1, max_size=200), st.integers(1, 64))
def test_whatever_it_is_told_it_stays_within_bounds_and_rises_slowly(
    facts: list[Facts], count: int
) -> None:
    steady, seen = Steady(count), [Levels(count)]
    for tick, each in enumerate(facts):
        seen.append(steady.step(each, tick * TICK))
    for levels in seen:
        assert 1 <= levels.chunks <= count
        assert 1 <= levels.every <= EVERY_MOST
        assert 0 <= levels.method < 2
        assert 0 <= levels.residual < 3
        assert 0 <= levels.source < 2
    better = [
        index
        for index, (one, other) in enumerate(pairwise(seen))
        if other.chunks > one.chunks and index * TICK > 0
    ]
    # A step up, or one that takes a step of another kind back, needs a second of calm.
    assert all(after - before >= 5 for before, after in pairwise(better))


@pytest.mark.parametrize("sizes", [(8, 8), (8, 4), (5, 2), (2, 7)])
def test_sessions_that_share_a_pool_come_to_have_alike(sizes: tuple[int, int]) -> None:
    """Two that send to the same queue: each gets back in proportion to what it sends."""
    capacity, fps, count = 8 * 30.0, 30.0, 8
    sessions = [Steady(count), Steady(count)]
    for steady, chunks in zip(sessions, sizes, strict=True):
        steady.levels = Levels(chunks)
        steady.short = Resource.WORK
    totals, queue = [0.0, 0.0], 0.0
    for tick in range(3000):
        asked = [each.levels.chunks * fps for each in sessions]
        queue, over = waits(queue, sum(asked), capacity)
        part = min(1.0, capacity / sum(asked))
        for index, steady in enumerate(sessions):
            facts = Facts(
                fps=fps, done=asked[index] * part, queued=queue > 0.01 * sum(asked), refused=over
            )  # fmt: skip
            steady.step(facts, tick * TICK)
            if tick > 600:
                totals[index] += steady.levels.chunks
    assert min(totals) / max(totals) > 0.5
    assert sum(totals) / 2399 > 0.7 * count
