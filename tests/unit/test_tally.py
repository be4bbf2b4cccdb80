"""The tally: nothing counted twice, nothing merged, and stages that add up."""

from __future__ import annotations

import threading
from collections import Counter
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.media.picture import FrameState
from p2c2g.peers.peer_clock import PeerClock
from p2c2g.session.attempts import Decision
from p2c2g.session.frames import FrameInFlight, Part, Shown, stages_of
from p2c2g.session.tally import MAX_ERRORS, MAX_PEERS, OTHERS, STAGES, Tally, percentiles
from tests.recipes import USUAL, all_sent

COMPLETE, DEGRADED = FrameState.COMPLETE, FrameState.DEGRADED
SPANS = st.lists(st.floats(1e-4, 1.0), min_size=8, max_size=8)


def show(
    tally: Tally, number: int, at: float, *, latency: float = 0.05, state: FrameState = COMPLETE
) -> None:
    tally.frame_shown(shown(number, at - latency, at, complete=state is COMPLETE))


def shown(
    number: int,
    captured: float,
    ready: float,
    stages: tuple[float, ...] | None = None,
    *,
    complete: bool = True,
) -> Shown[None, None]:
    frame = FrameInFlight(
        number, None, {}, all_sent(), captured, captured, due=inf, deadline=inf, was_sent=True,
        missing=set(),
    )  # fmt: skip
    return Shown(frame, {}, complete, ready, ready, stages)


def fail(tally: Tally, peer: str, error: str) -> None:
    tally.run_failed((0, 0), 1, peer, error, Decision.RETRY)


def accept(tally: Tally, peer: str, seconds: float) -> None:
    tally.chunk_accepted((0, 0), peer, seconds, "")


def test_percentiles_are_milliseconds_and_zero_without_samples() -> None:
    assert percentiles([0.001, 0.002, 0.003], 0, 50, 100) == {"p0": 1.0, "p50": 2.0, "p100": 3.0}
    assert percentiles([], 50, 99) == {"p50": 0.0, "p99": 0.0}


@given(st.lists(st.floats(0, 100), min_size=1), st.integers(0, 100))
def test_a_percentile_lies_between_the_samples_around_it(samples: list[float], point: int) -> None:
    value = percentiles(samples, point)[f"p{point}"] / 1e3
    ordered = sorted(samples)
    rank = point / 100 * (len(ordered) - 1)
    below, above = ordered[int(rank)], ordered[min(int(rank) + 1, len(ordered) - 1)]
    assert below - 1e-6 <= value <= above + 1e-6


def test_frames_are_counted_by_how_they_ended() -> None:
    tally = Tally()
    tally.captured = 10
    for number, state in enumerate([COMPLETE, COMPLETE, DEGRADED]):
        show(tally, number, 1.0 + number, state=state)
    expected = {"captured": 10, "complete": 2, "degraded": 1}
    assert tally.frames() == expected | {"dropped": 7}
    assert tally.frames(in_flight=4) == expected | {"dropped": 3}
    assert tally.summary()["frames"] == tally.frames()


@given(st.lists(st.sampled_from([COMPLETE, DEGRADED])), st.integers(0, 50))
def test_every_captured_frame_has_one_ending(states: list[FrameState], lost: int) -> None:
    tally = Tally()
    tally.captured = len(states) + lost
    for number, state in enumerate(states):
        show(tally, number, 1.0 + number, state=state)
    frames = tally.frames()
    assert frames["complete"] + frames["degraded"] + frames["dropped"] == frames["captured"]
    assert frames["dropped"] == lost


def test_order_violations_are_what_comes_after_a_later_frame_or_twice() -> None:
    tally = Tally()
    for number in (0, 1, 4, 3, 4, 5):
        show(tally, number, 1.0)
    assert tally.order_violations == 2
    assert tally.summary()["order_violations"] == 2


def test_a_success_rate_of_one_is_every_single_frame() -> None:
    tally = Tally()
    assert tally.summary()["success_rate"] == 0.0
    tally.captured = 1_000_000
    tally.states[COMPLETE] = 999_999
    assert tally.summary()["success_rate"] == 0.99999
    tally.states[COMPLETE] = 1_000_000
    assert tally.summary()["success_rate"] == 1.0


def test_bytes_are_those_of_all_runs_and_of_all_that_came_back() -> None:
    tally = Tally()
    for number in range(5):
        for index, attempt in ((0, 1), (1, 1), (1, 2)):
            tally.run_sent((number, index), attempt, "", 100)
            tally.result_arrived((number, index), "a", 1000)
        show(tally, number, 7.0 + number / 2)
    traffic = tally.summary()["bytes"]
    assert traffic["up"] == {"total": 1500, "a_frame": 300, "a_second": 600}
    assert traffic["down"] == {"total": 15_000, "a_frame": 3000, "a_second": 6000}
    assert tally.live(9.0, 0)["bytes_a_second"] == {"up": 600, "down": 6000}
    assert tally.live(99.0, 0)["bytes_a_second"] == {"up": 0, "down": 0}
    assert Tally().summary()["bytes"]["up"] == {"total": 0, "a_frame": 0, "a_second": 0}


def test_a_readout_is_told_what_was_run_of_late_and_the_bit_rate() -> None:
    tally = Tally("cpu", "upscale:2:ml")
    assert tally.live(1.0, 0)["methods"] == {}
    for number in range(5):
        ran = "upscale:2:ml-small,sharpen:0.5" if number else ""
        tally.chunk_accepted((number, 0), "a", 0.1, ran)
        tally.run_sent((number, 0), 1, "", 1_000_000)
        tally.result_arrived((number, 0), "a", 250_000)
        show(tally, number, 7.0 + number / 2)
    live = tally.live(9.0, 0)
    assert live["methods"] == {"ml-small": 0.8, "ml": 0.2}
    assert (live["mbps_up"], live["mbps_down"]) == (16.0, 4.0)
    for number in range(5, 1000):
        tally.chunk_accepted((number, 0), "a", 0.1, "sharpen:0.5")
    assert tally.live(9.0, 0)["methods"] == {"sharpen:0.5": 1.0}


def test_a_frame_that_could_not_be_sent_has_no_bytes() -> None:
    tally = Tally()
    for number in range(3):
        tally.run_sent((number, 0), 1, "", 100)
        tally.run_sent((number, 1), 1, "", 10)
    tally.frame_not_sent(1, "BrokerUnavailableError: away")
    tally.frame_not_sent(1, "BrokerUnavailableError: told twice")
    show(tally, 0, 1.0)
    tally.frame_not_sent(0, "BrokerUnavailableError: it has been shown")
    assert tally.up == 220


def test_a_summary_gives_rate_and_latency() -> None:
    tally = Tally()
    for number in range(11):
        show(tally, number, 100.0 + number / 10, latency=0.010 + number / 1000)
    summary = tally.summary()
    assert summary["fps"] == 10.0
    assert summary["latency_ms"] == {"p50": 15.0, "p95": 19.5, "p99": 19.9}


def test_a_rate_counts_from_a_clock_that_begins_at_zero() -> None:
    tally = Tally()
    show(tally, 0, 0.0)
    show(tally, 1, 0.5)
    assert tally.summary()["fps"] == 2.0
    assert tally.live(now=0.5, in_flight=0)["fps"] == 4.0


def test_one_frame_or_none_has_no_rate() -> None:
    tally = Tally()
    assert tally.summary()["fps"] == tally.live(5.0, 0)["fps"] == 0.0
    show(tally, 0, 5.0)
    assert tally.summary()["fps"] == tally.live(5.0, 0)["fps"] == 0.0


def test_live_figures_are_those_of_the_window() -> None:
    tally = Tally()
    tally.captured = 10
    for number in range(5):
        show(tally, number, 1.0, latency=9.0)
    for number in range(5, 9):
        show(tally, number, 9.0 + number / 10, latency=0.020)
    live = tally.live(now=10.0, in_flight=1, window=2.0)
    assert live["fps"] == 2.0
    assert live["latency_ms"] == {"p50": 20.0, "p99": 20.0}
    assert live["frames"] == {"captured": 10, "complete": 9, "degraded": 0, "dropped": 0}


def test_peers_are_told_apart_and_sorted() -> None:
    tally = Tally("cpu")
    accept(tally, "zoe", 0.010)
    fail(tally, "ada", "CodecError: no picture")
    accept(tally, "ada", 0.020)
    accept(tally, "ada", 0.040)
    assert tally.summary()["peers"] == [
        {"id": "ada", "queue": "cpu", "chunks": 2, "failed": 1, "ran": {},
             "ms": {"p50": 30.0, "p99": 39.8}},
        {"id": "zoe", "queue": "cpu", "chunks": 1, "failed": 0, "ran": {},
             "ms": {"p50": 10.0, "p99": 10.0}},
    ]  # fmt: skip
    assert tally.live(0.0, 0)["peers"] == [
        {"id": "ada", "queue": "cpu", "chunks": 2},
        {"id": "zoe", "queue": "cpu", "chunks": 1},
    ]


def test_errors_are_counted_by_kind() -> None:
    tally = Tally()
    fail(tally, "ada", "CodecError: one thing")
    fail(tally, "ada", "CodecError: another")
    fail(tally, "", "BrokerUnavailableError")
    assert tally.summary()["errors"] == {"CodecError": 2, "BrokerUnavailableError": 1}
    assert list(tally.peers) == ["ada"]


def test_names_that_strangers_make_up_do_not_fill_the_memory() -> None:
    tally = Tally()
    for number in range(MAX_PEERS + 50):
        accept(tally, f"peer {number}", 0.01)
        fail(tally, f"peer {number}", f"Error{number}" + "x" * 1000)
    accept(tally, "peer 0", 0.01)
    assert len(tally.peers) == MAX_PEERS + 1
    assert (tally.peers[OTHERS].chunks, tally.peers[OTHERS].failed) == (50, 50)
    assert tally.peers["peer 0"].chunks == 2
    assert len(tally.errors) == MAX_ERRORS + 1
    assert tally.errors.total() == MAX_PEERS + 50
    assert max(map(len, tally.errors)) <= 80


def test_each_stage_has_its_own_figures() -> None:
    tally = Tally()
    tally.frame_shown(shown(0, 0.0, 0.028, tuple(index / 1000 for index in range(1, 8))))
    medians = {name: figures["p50"] for name, figures in tally.summary()["stages_ms"].items()}
    assert medians == dict(zip(STAGES, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], strict=True))


@given(SPANS, st.floats(-1e6, 1e6))
def test_the_stages_of_a_chunk_add_up_to_its_frames_latency(
    spans: list[float], offset: float
) -> None:
    grab, encode, queue, decode, process, pack, back, ready_after = spans
    captured = 100.0
    sent = captured + grab + encode
    started = sent + queue + offset
    done = started + decode + process + pack
    arrived = done - offset + back
    there, home = PeerClock().spans(sent, started, done, arrived)
    part = Part(
        payload=b"", residual=None, recipe=USUAL, peer="", ran="", sent=sent, queue=there,
        decode=decode, process=process, result=done - started - decode - process + home,
        arrived=arrived,
    )  # fmt: skip
    frame = FrameInFlight(
        0, None, {0: b""}, all_sent(), captured, captured + grab, due=inf, deadline=inf,
        was_sent=True, missing=set(),
    )  # fmt: skip
    stages = stages_of(frame, {0: part}, ready=arrived + ready_after)
    assert len(stages) == len(STAGES)
    assert min(stages) >= -1e-6
    assert sum(stages) == pytest.approx(arrived + ready_after - captured, abs=1e-6)


class Watched(Counter[Any]):
    """A counter that notes whether a lock is held whenever it changes."""

    def __init__(self, lock: threading.Lock) -> None:
        super().__init__()
        self.lock = lock
        self.held: list[bool] = []

    def __setitem__(self, key: Any, count: int) -> None:
        self.held.append(self.lock.locked())
        super().__setitem__(key, count)


def test_nothing_is_counted_outside_the_lock() -> None:
    # Threads that race would show it once in a million times; this shows it each time.
    tally = Tally()
    tally.states = states = Watched(tally._lock)
    tally.errors = errors = Watched(tally._lock)
    show(tally, 0, 1.0)
    fail(tally, "", "CodecError")
    assert states.held == errors.held == [True]
    assert not tally._lock.locked()
    tally.live(1.0, 0)
    tally.summary()  # and no reader waits for itself
