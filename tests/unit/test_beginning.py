"""How a session begins: few frames, then as many chunks as came back in time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.session.admission import Admission
from p2c2g.session.beginning import COLD, WARM, Beginning

FPS = 30.0


def gentle(deadline: float = 0.1, peers: int = 1, fps: float = FPS) -> Beginning:
    return Beginning(fps, deadline, lambda: peers, gently=True)


def frame(
    beginning: Beginning, number: int, at: float, each: float, *, chunks: int = 8,
    way: float = 0.03, peer: str = "p",
) -> None:  # fmt: skip
    """Have a frame's chunks go and come back one after another, ``each`` seconds apart."""
    for index in range(chunks):
        beginning.sent((number, index), at)
    for index in range(chunks):
        beginning.came((number, index), peer, each, at + way + (index + 1) * each)


def test_it_is_cold_until_enough_was_in_time_or_for_some_seconds() -> None:
    beginning = Beginning(FPS)
    assert beginning.is_cold(1e3), "nothing was sent"
    beginning.sent((0, 0), 10.0)
    assert beginning.is_cold(10.0 + COLD - 0.1)
    assert not beginning.is_cold(10.0 + COLD)
    for _ in range(WARM):
        beginning.was_in_time()
    assert not beginning.is_cold(10.1)
    beginning.again(20.0)
    assert beginning.is_cold(20.1)


@pytest.mark.parametrize(("deadline", "frames"), [(0.1, 2), (0.4, 8), (0.01, 1)])
def test_until_the_first_answer_some_frames_may_be_out(deadline: float, frames: int) -> None:
    beginning = gentle(deadline)
    assert beginning.bound(8) == frames * 8
    beginning.sent((0, 0), 0.0)
    beginning.came((0, 0), "p", 0.001, 0.05)
    assert beginning.bound(8) > 1e6, "what is known says how many"


def test_whose_answers_fit_into_a_frames_time_is_asked_for_everything() -> None:
    beginning = gentle()
    assert beginning.most(8) == 8
    frame(beginning, 0, 0.0, 0.003)
    assert beginning.most(8) == 8


def test_else_for_as_many_as_fit() -> None:
    beginning = gentle()
    frame(beginning, 0, 0.0, 0.010)
    assert beginning.most(8) == 3
    assert beginning.end() == 3
    assert beginning.most(8) == 8, "from then on others decide"
    assert beginning.end() is None


def test_two_slots_do_twice_as_much() -> None:
    beginning = gentle()
    for index in range(8):
        beginning.sent((0, index), 0.0)
    for index in range(8):
        beginning.came((0, index), "p", 0.020, 0.03 + (index // 2 + 1) * 0.020)
    assert beginning.most(8) == 3


def test_one_answer_of_a_peer_with_more_slots_says_nothing_of_those() -> None:
    beginning = Beginning(FPS, 0.1, lambda: 1, lambda _peer: 4, gently=True)
    frame(beginning, 0, 0.0, 0.020, chunks=1)
    assert beginning.most(8) == 6
    whole = Beginning(FPS, 0.1, lambda: 1, lambda _peer: 4, gently=True)
    frame(whole, 0, 0.0, 0.010)
    assert whole.most(8) == 3, "they are not free, or its line is narrow"


def test_what_was_slow_once_counts_no_longer_when_it_comes_faster() -> None:
    beginning = gentle()
    frame(beginning, 0, 0.0, 0.2)
    assert beginning.most(8) == 1
    frame(beginning, 1, 1.7, 0.004, chunks=1)
    assert beginning.most(8) == 7
    frame(beginning, 2, 2.0, 0.3)
    assert beginning.most(8) == 7


def test_peers_that_were_not_asked_yet_count_as_much_as_those_that_were() -> None:
    few, many = gentle(), gentle(peers=10)
    for beginning in (few, many):
        frame(beginning, 0, 0.0, 0.010)
    assert (few.most(99), many.most(99)) == (3, 30)


def test_while_nobody_answers_one_chunk_is_enough() -> None:
    beginning = gentle()
    beginning.lost()
    assert beginning.most(8) == 1
    failed = gentle()
    failed.failed()
    failed.lost()
    assert failed.most(8) == 8, "somebody is there"


def test_who_does_not_begin_gently_asks_for_everything() -> None:
    beginning = Beginning(FPS)
    beginning.lost()
    frame(beginning, 0, 0.0, 0.1)
    assert beginning.most(8) == 8
    assert beginning.bound(8) > 1e6


def test_admission_waits_for_the_first_answers() -> None:
    admission = Admission(FPS, 0.1, beginning=gentle())
    granted = []
    for number in range(4):
        now = number / FPS
        chosen = admission.admit(range(8), now)
        granted.append(len(chosen))
        for index in chosen:
            admission.sent((number, index), now)
    assert granted == [8, 8, 0, 0]
    assert admission.admit(range(8), 0.5) == {0}, "they are lost: is anybody there?"


@given(
    st.lists(
        st.tuples(
            st.integers(0, 99), st.integers(0, 3), st.sampled_from("abc"),
            st.floats(-1, 1e3), st.floats(0, 0.3),
        ),
        max_size=200,
    )
)  # fmt: skip
def test_whatever_peers_say_there_is_a_bound_of_at_least_one(
    steps: list[tuple[int, int, str, float, float]],
) -> None:
    beginning, now = gentle(), 0.0
    for number, index, peer, work, after in steps:
        beginning.sent((number, index), now)
        now += after
        beginning.came((number, index), peer, work, now)
        assert 1 <= beginning.most(8) <= 8
        assert len(beginning._bursts) <= 64
