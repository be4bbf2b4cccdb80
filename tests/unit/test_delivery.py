"""What comes back: its rate, its shortest way, and how much of it is waiting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.session.delivery import ENOUGH, EPOCH, RISEN, Delivery

FPS = 60


def play(
    delivery: Delivery, seconds: float, begins: float = 0.0, *, wait: float = 0.01,
    work: float = 0.005, chunks: int = 4, grows: float = 0.0, peer: str = "p",
) -> float:  # fmt: skip
    """Send frames whose chunks come back one by one; return when the last did."""
    first = round(begins * FPS)
    events = []
    for frame in range(first, first + round(seconds * FPS)):
        at = frame / FPS
        for index in range(chunks):
            took = wait + grows * (at - begins) + (index + 1) * work
            events += [(at, 0, (frame, index)), (at + took, 1, (frame, index))]
    for at, is_back, key in sorted(events):
        if is_back:
            delivery.came(key, peer, work, at)
        else:
            delivery.sent(key, at)
    return max(at for at, _, _ in events)


def test_an_idle_pool_has_no_queue_though_a_frames_chunks_wait_for_each_other() -> None:
    delivery = Delivery()
    now = play(delivery, 3.0)
    assert delivery.least == pytest.approx(0.015)
    assert delivery.rise(now) == pytest.approx(0.0, abs=1e-9)
    assert delivery.rate(now) == pytest.approx(4 * FPS, rel=0.1)
    assert delivery.flows(now)
    assert delivery.out == 0


def test_a_queue_that_stands_is_seen_within_half_a_second() -> None:
    delivery = Delivery()
    play(delivery, 3.0)
    now = play(delivery, 0.5, 3.0, grows=0.2)
    assert delivery.rise(now) > RISEN
    assert delivery.risen(now)


def test_one_slow_moment_is_no_queue() -> None:
    delivery = Delivery()
    play(delivery, 3.0)
    play(delivery, 0.1, 3.0, wait=0.08)
    assert not delivery.risen(play(delivery, 0.4, 3.1))


def test_a_queue_of_minutes_does_not_pass_for_the_way() -> None:
    delivery = Delivery()
    play(delivery, 3.0)
    now = play(delivery, 4 * EPOCH, 3.0, wait=0.06)
    assert delivery.risen(now)


def test_a_longer_way_is_learnt_in_time() -> None:
    delivery = Delivery()
    play(delivery, 3.0)
    assert not delivery.risen(play(delivery, 15 * EPOCH, 3.0, wait=0.06))


def test_each_peer_has_a_way_of_its_own() -> None:
    delivery = Delivery()
    play(delivery, 1.0, peer="near")
    now = play(delivery, 1.0, 1.0, peer="far", wait=0.05)
    assert not delivery.risen(now)


def test_where_nothing_comes_nothing_flows() -> None:
    delivery = Delivery()
    now = play(delivery, 2.0)
    assert not delivery.flows(now + 0.3)
    assert delivery.rate(now + 1) == 0.0
    assert delivery.rise(now + 1) == 0.0


def test_what_is_lost_is_out_no_longer_and_teaches_all_the_same_when_it_comes() -> None:
    delivery = Delivery()
    delivery.sent((0, 0), 0.0)
    delivery.sent((1, 0), 1.0)
    assert delivery.lose(0.5) == 1
    assert delivery.out == 1
    delivery.came((0, 0), "p", 0.0, 2.0)
    assert delivery.least == 2.0
    delivery.came((0, 0), "p", 0.0, 9.0)  # nobody asked for it again
    assert delivery.rate(9.0) == 0.0


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.sampled_from("abc"), st.floats(-1, 5), st.floats(0, 0.2)),
        min_size=ENOUGH,
        max_size=200,
    )
)
def test_whatever_peers_say_figures_stay_sane(
    steps: list[tuple[int, str, float, float]],
) -> None:
    delivery, now = Delivery(), 0.0
    for number, (frame, peer, work, after) in enumerate(steps):
        delivery.sent((frame, number), now)
        now += after
        delivery.came((frame, number), peer, work, now)
        assert delivery.out == 0
        assert 0 <= delivery.rise(now) <= now
        assert 0 <= (delivery.least or 0.0) <= 0.2 + 1e-9
        assert delivery.rate(now) >= 0
