"""The throttle: the first of equal events passes, the others become a count, none is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2c2g.logs.throttle import Throttle


def test_a_thousand_equal_events_in_a_second_are_one_and_a_count() -> None:
    throttle: Throttle[str] = Throttle(window=1.0)
    passed = [throttle.offer("full", place / 1000) for place in range(1000)]
    assert passed == [0] + [None] * 999
    assert list(throttle.due(0.999)) == []
    assert list(throttle.due(1.0)) == [("full", 999)]
    assert len(throttle) == 0


def test_the_first_after_the_window_brings_the_count() -> None:
    throttle: Throttle[str] = Throttle(window=1.0)
    assert [throttle.offer("a", when) for when in (0.0, 0.5, 0.9, 1.0, 1.5, 2.0)] == [
        0, None, None, 2, None, 1,
    ]  # fmt: skip


def test_different_events_do_not_wait_for_each_other() -> None:
    throttle: Throttle[str] = Throttle()
    assert [throttle.offer(key, 0.0) for key in "abab"] == [0, 0, None, None]


def test_too_many_keys_are_told_before_their_time_oldest_first() -> None:
    throttle: Throttle[int] = Throttle(window=1.0, most=3)
    for key in range(5):
        throttle.offer(key, 0.0)
        throttle.offer(key, 0.0)
    assert list(throttle.due(0.0)) == [(0, 1), (1, 1)]
    assert len(throttle) == 3
    assert list(throttle.rest()) == [(2, 1), (3, 1), (4, 1)]


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 0.4)), max_size=80),
    st.integers(1, 6),
)
def test_every_event_is_told_once_and_none_twice_in_a_window(
    events: list[tuple[str, float]], most: int
) -> None:
    throttle: Throttle[str] = Throttle(window=1.0, most=most)
    now, told = 0.0, 0
    last: dict[str, float] = {}
    for key, later in events:
        now += later
        held = throttle.offer(key, now)
        if held is not None:
            told += 1 + held
            if len(last) <= most:
                assert key not in last or now - last[key] >= 1.0
            last[key] = now
        for over, count in throttle.due(now):
            told += count
            last.pop(over, None)
        assert len(throttle) <= most
    told += sum(count for _, count in throttle.rest())
    assert told == len(events)
