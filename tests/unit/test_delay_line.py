"""A line: what it carries, what waits, what a loss looks like, and what it counts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from itertools import pairwise
from statistics import mean

import pytest

from p2c2g.errors import UsageError
from p2c2g.testing.delay_line import Line, Meter, Shape, losses, lte, most_within

WRONG = {
    "no rate": ({"bps": 0.0}, "0 bits/s"),
    "a trace that stands": ({"trace": ((1.0, 0.0),)}, "0 bits/s"),
    "a trace without time": ({"trace": ((0.0, 1e6),)}, "more than 0 seconds"),
    "a delay back in time": ({"delay_ms": -1}, "delay_ms=-1"),
    "jitter back in time": ({"jitter_ms": -1}, "jitter_ms=-1"),
    "no queue": ({"queue_bytes": 0}, "queue_bytes=0"),
    "a queue of no time": ({"queue_ms": 0}, "queue_ms=0"),
    "a stall of no time": ({"stalls": ((1.0, 0.0),)}, "A stall"),
}
MBPS = 1e6


def dues(line: Line[str], until: float = 1e9) -> list[float]:
    return [due for _, _, due in line.take(until)]


def filled(shape: Shape, size: int) -> Line[str]:
    line: Line[str] = Line(shape, 0.0)
    line.put("a", bytes(size), 0.0)
    return line


def grows(values: Iterable[float]) -> bool:
    return all(one <= next_ for one, next_ in pairwise(values))


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Shape(**given)  # type: ignore[arg-type]


def test_it_travels_as_json() -> None:
    shape = Shape(trace=lte(5 * MBPS, 1.0), stalls=((1.0, 0.2),), queue_ms=50, jitter_ms=3)
    assert Shape.parse(json.loads(json.dumps(asdict(shape)))) == shape


def test_bytes_leave_at_the_rate_and_arrive_after_the_delay() -> None:
    line = filled(Shape(bps=8 * MBPS, delay_ms=15), 10_000)
    found = line.take(1.0)
    assert b"".join(piece for _, piece, _ in found) == bytes(10_000)
    assert found[-1][2] == pytest.approx(0.010 + 0.015)
    assert grows(due for _, _, due in found)
    assert line.next_at is None


def test_nothing_is_taken_before_it_has_left() -> None:
    line = filled(Shape(bps=8 * MBPS), 10_000)
    assert sum(len(piece) for _, piece, _ in line.take(0.005)) <= 5000
    assert line.next_at is not None
    assert line.next_at > 0.005


def test_without_a_rate_only_the_delay_counts() -> None:
    line = filled(Shape(delay_ms=20), 1 << 20)
    assert dues(line, 0.0) == [0.02]


def test_the_end_of_a_stream_comes_after_its_bytes() -> None:
    line = filled(Shape(bps=8 * MBPS), 3000)
    line.put("a", b"", 0.0)
    pieces = [piece for _, piece, _ in line.take(1.0)]
    assert pieces[-1] == b""
    assert b"" not in pieces[:-1]


def test_what_waits_when_the_rate_falls_leaves_at_the_new_one() -> None:
    shape = Shape(bps=40 * MBPS)
    line = filled(shape, 50_000)  # 10 ms at that rate
    line.reshape(Shape(bps=4 * MBPS), 0.005)
    # Half has left; the other half takes ten times as long.
    assert dues(line)[-1] == pytest.approx(0.005 + 0.05, rel=1e-6)


def test_a_trace_is_followed_over_and_over() -> None:
    line = filled(Shape(trace=((0.1, 8 * MBPS), (0.1, 0.8 * MBPS))), 220_000)
    # 110,000 bytes a round of 0.2 s.
    assert dues(line)[-1] == pytest.approx(0.4, rel=1e-6)


def test_a_queue_has_room_for_so_much() -> None:
    line: Line[str] = Line(Shape(bps=8 * MBPS, queue_bytes=20_000), 0.0)
    assert line.room(0.0) == 20_000
    line.put("a", bytes(15_000), 0.0)
    assert line.room(0.0) == 5000
    line.take(0.01)
    assert line.room(0.01) == pytest.approx(15_000, abs=1448)


def test_a_queue_in_milliseconds_is_of_the_rate_of_the_moment() -> None:
    line: Line[str] = Line(Shape(bps=8 * MBPS, queue_ms=50), 0.0)
    assert line.room(0.0) == 50_000
    line.reshape(Shape(bps=0.8 * MBPS, queue_ms=50), 0.0)
    assert line.room(0.0) == 5000
    line.put("a", bytes(9000), 0.0)
    assert line.room(0.0) == 0


def test_jitter_lets_nothing_overtake_and_is_the_same_each_time() -> None:
    shape = Shape(bps=8 * MBPS, delay_ms=10, jitter_ms=30, seed=3)
    found = dues(filled(shape, 100_000))
    assert grows(found)
    assert found == dues(filled(shape, 100_000))
    plain = dues(filled(Shape(bps=8 * MBPS, delay_ms=10), 100_000))
    late = [one - other for one, other in zip(found, plain, strict=True)]
    assert min(late) >= 0
    assert 0.01 < max(late) <= 0.0300001


def test_a_loss_is_a_silence_and_a_burst() -> None:
    line = filled(Shape(bps=8 * MBPS, stalls=((0.1, 0.2),)), 400_000)
    found = dues(line)
    assert not [due for due in found if 0.1 <= due < 0.3]
    burst = sum(due == pytest.approx(0.3, abs=1e-9) for due in found)
    assert burst == pytest.approx(200, rel=0.4)  # pieces of a packet, 1.4 ms each
    assert grows(found)


def test_a_silence_fills_the_window_and_no_more() -> None:
    line: Line[str] = Line(Shape(bps=8 * MBPS, delay_ms=10, queue_ms=20, stalls=((0, 1.0),)), 0.0)
    given, now = 0, 0.0
    while now < 0.9:
        if room := line.room(now):
            line.put("a", bytes(room), now)
            given += room
        line.take(now)
        now += 0.001
    assert given == pytest.approx(30_000, abs=2000)  # 20 ms of queue and 10 of the way
    assert line.room(1.01) > 0


def test_a_phones_line_keeps_its_mean_and_changes() -> None:
    trace = lte(10 * MBPS, 300.0, seed=5)
    rates = [rate for _, rate in trace]
    assert lte(10 * MBPS, 300.0, seed=5) == trace
    assert lte(10 * MBPS, 300.0, seed=6) != trace
    assert mean(rates) == pytest.approx(10 * MBPS, rel=0.2)
    assert min(rates) < 2 * MBPS
    assert max(rates) > 15 * MBPS


def test_losses_are_timeouts_that_do_not_overlap() -> None:
    found = losses(200.0, every=5.0, seed=2)
    assert found == losses(200.0, every=5.0, seed=2)
    assert 20 < len(found) < 60
    assert {round(length, 6) for _, length in found} <= {0.2, 0.6, 1.4}
    assert all(at + length <= later for (at, length), (later, _) in pairwise(found))


def test_what_went_over_it_is_counted_by_time() -> None:
    meter = Meter()
    for at, size in ((1.001, 10), (1.002, 5), (1.5, 20), (2.9, 40), (3.2, 1)):
        meter.count(size, at)
    assert meter.total == 76
    assert [size for _, size in meter.samples] == [15, 20, 40, 1]
    assert most_within(meter.samples, 2.0) == 75
    assert most_within(meter.samples, 1.0) == 41
    assert most_within([], 2.0) == 0
