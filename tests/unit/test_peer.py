"""A worker's own state: what its beats tell, when they go out, and the times that it keeps."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.peers.messages import PeerState
from p2c2g_workers.peer import MAX_REASON, MAX_TIMES, Peer, Times


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make(load: float = 0.25, in_flight: int = 3, clock: Callable[[], float] | None = None) -> Peer:
    return Peer(in_flight=lambda: in_flight, load=lambda: load, clock=clock or Clock())


def woken(peer: Peer) -> bool:
    """Tell whether a beat is to go out now."""
    waiting = not peer._woken.empty()
    peer.wait(0)
    return waiting


def test_a_peer_starts_works_pauses_and_drains() -> None:
    peer = make()
    assert peer.state is PeerState.STARTING
    peer.consuming(True)
    assert peer.state is PeerState.READY
    peer.pause("the owner plays")
    assert peer.state is PeerState.PAUSED
    assert peer.beat("i", 0.0).reason == "the owner plays"
    peer.consuming(False)
    assert peer.state is PeerState.PAUSED, "a lost connection ends no pause"
    peer.consuming(True)
    peer.resume()
    assert peer.state is PeerState.READY
    assert peer.beat("i", 0.0).reason == ""
    peer.drain()
    peer.pause("late")
    peer.consuming(False)
    assert peer.state is PeerState.DRAINING, "draining is for good"
    assert peer.beat("i", 0.0).reason == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda peer: peer.consuming(True),
        lambda peer: peer.pause("why"),
        Peer.drain,
    ],
    ids=["consuming", "pause", "drain"],
)
def test_a_change_is_told_at_once_and_only_once(change: Callable[[Peer], None]) -> None:
    peer = make()
    assert not woken(peer)
    change(peer)
    assert woken(peer)
    change(peer)
    assert not woken(peer)


def test_a_resumed_peer_is_told_at_once() -> None:
    peer = make()
    peer.resume()
    assert not woken(peer), "there was no pause"
    peer.pause("why")
    assert woken(peer)
    peer.resume()
    assert woken(peer)


def test_many_changes_wait_as_one() -> None:
    peer = make()
    for number in range(1000):
        peer.pause(f"reason {number}")
    assert peer._woken.qsize() == 1
    assert peer.beat("i", 0.0).reason == "reason 999"


def test_who_waits_is_woken_by_another_thread() -> None:
    peer = make()
    waiter = threading.Thread(target=peer.wait, args=(600.0,), daemon=True)
    waiter.start()
    peer.drain()
    waiter.join(30)
    assert not waiter.is_alive()


def test_a_beat_tells_all_that_there_is() -> None:
    clock = Clock()
    peer = make(clock=clock)
    peer.consuming(True)
    clock.now += 7.5
    peer.served(0.010)
    peer.served(0.030)
    beat = peer.beat("me", 0.020)
    assert beat.instance == "me"
    assert (beat.state, beat.load, beat.in_flight) == (PeerState.READY, 0.25, 3)
    assert (beat.served, beat.seconds_per_chunk, beat.seconds_per_chunk_p95) == (
        2,
        pytest.approx(0.020),
        0.030,
    )
    assert (beat.rtt, beat.uptime) == (0.020, 7.5)
    again = peer.beat("me", 0.020)
    assert (again.served, again.seconds_per_chunk, again.seconds_per_chunk_p95) == (0, 0.0, 0.0)


@pytest.mark.parametrize(("read", "told"), [(1.7, 1.0), (-0.1, 0.0)])
def test_a_load_out_of_bounds_is_cut_off(read: float, told: float) -> None:
    assert make(load=read).beat("i", 0.0).load == told


def test_a_reason_is_never_empty_nor_too_long() -> None:
    peer = make()
    peer.pause("  ")
    assert peer.beat("i", 0.0).reason == "paused"
    peer.pause("x" * 1000)
    assert peer.beat("i", 0.0).reason == "x" * MAX_REASON


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200))
def test_times_have_a_mean_and_a_percentile(seconds: list[float]) -> None:
    times = Times()
    for each in seconds:
        times.add(each)
    count, mean, p95 = times.take()
    assert count == len(seconds)
    assert mean == pytest.approx(sum(seconds) / len(seconds))
    assert p95 in seconds
    assert sum(each <= p95 for each in seconds) >= 0.95 * len(seconds)
    assert sum(each < p95 for each in seconds) < 0.95 * len(seconds)
    assert times.take() == (0, 0.0, 0.0)


def test_the_oldest_times_are_dropped_and_still_counted() -> None:
    times = Times()
    times.add(1000.0)
    for _ in range(MAX_TIMES):
        times.add(1.0)
    assert times.take() == (MAX_TIMES + 1, 1.0, 1.0)
