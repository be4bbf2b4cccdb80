"""How many frames may be out: fewer when they are late, more when they are not."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.session.admission import Admission

CHUNKS = range(2)
DEADLINE = 0.1


def back(admission: Admission, frame: int) -> None:
    for chunk in CHUNKS:
        admission.returned(frame, chunk)


def test_as_many_as_the_window_and_no_more() -> None:
    admission = Admission(most=3, deadline=DEADLINE)
    assert [admission.admit(number, CHUNKS, 0.0) for number in range(4)] == [True] * 3 + [False]
    assert admission.refused == 1
    admission.returned(1, 0)
    assert not admission.admit(4, CHUNKS, 0.0)  # a chunk of it is still out
    admission.returned(1, 1)
    assert admission.admit(5, CHUNKS, 0.0)


def test_a_frame_that_was_not_sent_takes_no_room() -> None:
    admission = Admission(most=1, deadline=DEADLINE)
    assert admission.admit(0, CHUNKS, 0.0)
    admission.forget(0)
    assert admission.admit(1, CHUNKS, 0.0)


def test_a_late_frame_shrinks_the_window_once_a_deadline() -> None:
    admission = Admission(most=10, deadline=DEADLINE)
    admission.shown(complete=False, now=1.0)
    assert admission.window == pytest.approx(7.0)
    admission.shown(complete=False, now=1.05)
    assert admission.window == pytest.approx(7.0)
    admission.shown(complete=False, now=1.1)
    assert admission.window == pytest.approx(4.9)


def test_it_never_closes_and_is_wide_again_within_ten_frames() -> None:
    admission = Admission(most=4, deadline=DEADLINE)
    for number in range(50):
        admission.shown(complete=False, now=float(number))
    assert admission.window == 1.0
    for _ in range(10):
        admission.shown(complete=True, now=100.0)
    assert admission.window == 4.0


def test_what_was_lost_takes_up_room_for_a_moment_and_longer_while_all_is_lost() -> None:
    admission = Admission(most=1, deadline=DEADLINE, lost_after=0.2, lost_most=0.5)
    sent = [now / 100 for now in range(1000) if admission.admit(now, CHUNKS, now / 100)]
    pauses = [after - before for before, after in pairwise(sent)]
    assert pauses[0] == pytest.approx(0.21)
    assert pauses[-1] == pytest.approx(0.51)
    assert admission.is_lost
    admission.returned(0, 0)  # late as it is: somebody is there
    assert not admission.is_lost


@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 30)), max_size=200),
)
def test_never_more_out_than_the_most(most: int, steps: list[tuple[str, int]]) -> None:
    admission = Admission(most, DEADLINE)
    now, number, out = 0.0, 0, {}
    for step, value in steps:
        now += value / 100
        if step == "a":
            if admission.admit(number, CHUNKS, now):
                out[number] = now
            number += 1
        elif step == "b" and out:
            back(admission, out_first := min(out))
            del out[out_first]
        else:
            admission.shown(complete=step == "c", now=now)
        young = [at for at in out.values() if now - at <= 0.2]
        assert len(young) <= most
        assert 1 <= admission.window <= most
