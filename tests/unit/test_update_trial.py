"""Whether a new version works, by what is seen of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.lending.state import State, Word
from p2c2g.updating.trial import Patience, Verdict, judge

PATIENCE = Patience(60.0, 30.0)


def state(word: Word = Word.READY, **fields: Any) -> State:
    return State(pid=1, version="0.2.0", word=word, **fields)


@pytest.mark.parametrize(
    ("seconds", "there", "ended", "seen", "verdict"),
    [
        # Not there yet, and too late.
        (59.0, 0.0, None, None, None),
        (60.0, 0.0, None, None, Verdict.FAILED),
        (60.0, 0.0, None, state(Word.STARTING), Verdict.FAILED),
        (5.0, 0.0, 1, None, Verdict.FAILED),
        (5.0, 4.0, 0, state(chunks=9), Verdict.FAILED),
        # Idle: long enough.
        (10.0, 5.0, None, state(), None),
        (59.0, 29.0, None, state(), None),
        (59.0, 30.0, None, state(), Verdict.GOOD),
        (85.0, 30.0, None, state(Word.PAUSED), Verdict.GOOD),
        # At work.
        (4.0, 1.0, None, state(Word.WORKING, chunks=1), None),
        (8.0, 3.0, None, state(Word.WORKING, chunks=1), Verdict.GOOD),
        (8.0, 3.0, None, state(failed=2), None),
        (8.0, 3.0, None, state(failed=3), Verdict.FAILED),
        (8.0, 3.0, None, state(chunks=3, failed=3), None),
        (40.0, 30.0, None, state(chunks=3, failed=3), Verdict.FAILED),
        (40.0, 30.0, None, state(failed=1), Verdict.FAILED),
        (40.0, 30.0, None, state(Word.WORKING), Verdict.FAILED),
        # There, and gone again.
        (20.0, 10.0, None, None, None),
        (75.0, 10.0, None, state(Word.STARTING), Verdict.FAILED),
    ],
)
def test_what_is_seen_says_whether_it_works(
    seconds: float, there: float, ended: int | None, seen: State | None, verdict: Verdict | None
) -> None:
    judged = judge(seconds, there, ended, seen, PATIENCE)
    assert (judged and judged.verdict) == verdict
    assert judged is None or judged.verdict is Verdict.GOOD or judged.why.endswith(".")


@given(
    st.floats(0, 500), st.one_of(st.none(), st.integers(-9, 9)), st.sampled_from(list(Word)),
    st.integers(0, 9), st.integers(0, 9),
)  # fmt: skip
def test_whatever_is_seen_a_trial_ends_and_no_dead_one_is_good(
    there: float, ended: int | None, word: Word, chunks: int, failed: int
) -> None:
    seen = state(word, chunks=chunks, failed=failed)
    judged = judge(PATIENCE.start + there + PATIENCE.idle, there, ended, seen, PATIENCE)
    assert there < PATIENCE.idle or judged is not None
    if judged is not None and judged.verdict is Verdict.GOOD:
        assert ended is None
        assert word in (Word.READY, Word.WORKING, Word.PAUSED)
        assert not failed or chunks
