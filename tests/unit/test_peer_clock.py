"""A peer's clock: spans that are never negative and add up, whatever that clock says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.errors import WireError
from p2c2g.peers.peer_clock import PeerClock

#: Seconds of a chunk's round trip: when it is sent, there, at work, back.
TRIPS = st.lists(
    st.tuples(st.floats(0, 10), st.floats(1e-4, 0.5), st.floats(0, 0.5), st.floats(1e-4, 0.5)),
    min_size=1,
    max_size=40,
)
OFFSETS = st.floats(-1e8, 1e8)
#: Of seconds near 1e8, which floats hold to 1.5e-8.
EXACT = 1e-6


def test_even_ways_are_split_evenly_whatever_the_offset() -> None:
    for offset in (0.0, 5000.0, -5000.0):
        there, back = PeerClock().spans(
            sent=1.0, started=1.010 + offset, done=1.015 + offset, arrived=1.025
        )
        assert [there, back] == pytest.approx([0.010, 0.010])


def test_a_queue_is_told_from_the_way_by_the_fastest_chunk() -> None:
    clock, offset = PeerClock(), 777.0
    clock.spans(0.0, 0.010 + offset, 0.015 + offset, 0.025)
    there, back = clock.spans(1.0, 1.060 + offset, 1.065 + offset, 1.075)
    assert [there, back] == pytest.approx([0.060, 0.010])


def test_bounds_older_than_the_window_are_forgotten() -> None:
    clock = PeerClock(window=2)
    clock.spans(0.0, 0.0, 0.0, 0.010)  # it was there in no time at all
    assert clock.spans(1.0, 1.008, 1.008, 1.010)[0] == pytest.approx(0.008 - (0.0 - 0.002) / 2)
    assert clock.spans(2.0, 2.008, 2.008, 2.010)[0] == pytest.approx(0.005)


@given(TRIPS, OFFSETS)
def test_spans_are_never_negative_and_add_up(
    trips: list[tuple[float, float, float, float]], offset: float
) -> None:
    clock = PeerClock(window=8)
    for sent, there, work, back in trips:
        started = sent + there + offset
        done = started + work
        arrived = sent + there + work + back
        forward, backward = clock.spans(sent, started, done, arrived)
        assert forward >= 0
        assert backward >= 0
        assert forward + backward == pytest.approx(arrived - sent - (done - started), abs=EXACT)


@given(TRIPS, OFFSETS, st.floats(-1e-3, 1e-3))
def test_a_drifting_clock_changes_neither(
    trips: list[tuple[float, float, float, float]], offset: float, drift: float
) -> None:
    clock = PeerClock()
    now = 0.0
    for pause, there, work, back in trips:
        sent = now + pause
        now = sent + there + work + back
        started = (sent + there) * (1 + drift) + offset
        done = started + work
        forward, backward = clock.spans(sent, started, done, now)
        assert forward >= 0
        assert backward >= 0
        assert forward + backward == pytest.approx(there + back, abs=EXACT)


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_begins_again_is_believed_from_the_first_chunk(jump: float) -> None:
    clock = PeerClock()
    for sent in range(10):
        clock.spans(sent, sent + 0.010, sent + 0.015, sent + 0.025)
    for sent in range(10, 20):
        there, back = clock.spans(sent, sent + 0.010 + jump, sent + 0.015 + jump, sent + 0.025)
        assert [there, back] == pytest.approx([0.010, 0.010], abs=EXACT)


@pytest.mark.parametrize("claimed", [9.0e9, 0.5, -1e-3])
def test_a_claim_that_cannot_be_is_refused_and_nothing_learnt_from_it(claimed: float) -> None:
    clock, fresh = PeerClock(), PeerClock()
    with pytest.raises(WireError, match=r"away for 0\.1"):
        clock.spans(sent=0.0, started=50.0, done=50.0 + claimed, arrived=0.1)
    honest = (1.0, 1.030, 1.035, 1.045)
    assert clock.spans(*honest) == fresh.spans(*honest)
