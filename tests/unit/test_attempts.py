"""The table of attempts: three runs and never a fourth, and every result counted once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from p2c2g.messaging.dispatcher import parse_task_id, task_id
from p2c2g.session.attempts import MAX_ATTEMPTS, Attempts, Decision, Verdict

KEY = (7, 2)


def opened() -> Attempts:
    attempts = Attempts()
    assert attempts.open(KEY) == 1
    return attempts


def test_three_failures_are_exactly_three_runs() -> None:
    assert MAX_ATTEMPTS == 3
    attempts = opened()
    decisions = []
    runs = 1
    while (decision := attempts.fail(KEY, runs)) is Decision.RETRY:
        decisions.append(decision)
        runs += 1
        assert len(attempts.runs(KEY)) == runs
    assert (runs, decision) == (3, Decision.GIVE_UP)
    assert (attempts.failed, attempts.exhausted) == (3, 1)


@pytest.mark.parametrize("run", [1, 2, 3])
def test_a_result_of_any_run_is_accepted_and_counted_under_it(run: int) -> None:
    attempts = opened()
    for earlier in range(1, run):
        assert attempts.fail(KEY, earlier) is Decision.RETRY
    assert attempts.succeed(KEY, run) is Verdict.ACCEPTED
    assert attempts.accepted == {run: 1}
    assert attempts.is_done(KEY)


def test_only_the_first_result_of_a_chunk_is_accepted() -> None:
    attempts = opened()
    attempts.fail(KEY, 1)
    assert attempts.succeed(KEY, 1) is Verdict.ACCEPTED
    assert attempts.succeed(KEY, 2) is Verdict.DUPLICATE
    assert (attempts.accepted.total(), attempts.duplicate) == (1, 1)


def test_a_result_after_the_frame_was_shown_is_late() -> None:
    attempts = opened()
    attempts.close(KEY)
    assert attempts.succeed(KEY, 1) is Verdict.LATE
    assert attempts.fail(KEY, 1) is Decision.IGNORE
    assert (attempts.late, attempts.failed) == (2, 0)


def test_a_failure_of_an_older_run_grants_nothing() -> None:
    attempts = opened()
    assert attempts.fail(KEY, 1) is Decision.RETRY
    assert attempts.fail(KEY, 1) is Decision.IGNORE
    assert len(attempts.runs(KEY)) == 2
    assert (attempts.failed, attempts.duplicate) == (1, 1)


def test_the_last_failure_told_twice_exhausts_one_chunk_and_not_two() -> None:
    attempts = opened()
    for run in (1, 2, 3):
        attempts.fail(KEY, run)
    assert attempts.fail(KEY, 3) is Decision.IGNORE
    assert (attempts.failed, attempts.exhausted, attempts.duplicate) == (3, 1, 1)


def test_a_failure_after_a_result_grants_nothing() -> None:
    attempts = opened()
    attempts.succeed(KEY, 1)
    assert attempts.fail(KEY, 1) is Decision.IGNORE
    assert len(attempts.runs(KEY)) == 1
    assert attempts.failed == 1


def test_a_good_result_still_counts_after_the_runs_are_spent() -> None:
    attempts = opened()
    for run in (1, 2, 3):
        attempts.fail(KEY, run)
    assert attempts.succeed(KEY, 2) is Verdict.ACCEPTED


def test_a_run_that_was_never_granted_counts_as_the_newest_and_grants_none() -> None:
    attempts = opened()
    assert attempts.fail(KEY, 200) is Decision.IGNORE
    assert len(attempts.runs(KEY)) == 1
    assert attempts.succeed(KEY, 200) is Verdict.ACCEPTED
    assert attempts.accepted == {1: 1}


def test_a_chunk_is_opened_once_and_forgotten_when_closed() -> None:
    attempts = opened()
    with pytest.raises(KeyError, match="in flight already"):
        attempts.open(KEY)
    assert (len(attempts), len(attempts.runs(KEY)), attempts.is_done(KEY)) == (1, 1, False)
    attempts.close(KEY)
    attempts.close(KEY)
    assert (len(attempts), len(attempts.runs(KEY)), attempts.is_done(KEY)) == (0, 0, True)


def test_fewer_than_one_run_is_refused() -> None:
    with pytest.raises(ValueError, match="give 1 or more"):
        Attempts(max_attempts=0)


KEYS = st.tuples(st.integers(0, 2), st.integers(0, 1))
RUNS = st.integers(0, 6)


class AnySequence(RuleBasedStateMachine):
    """Peers that answer whatever they like, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = Attempts()
        self.granted: dict[tuple[int, int], int] = {}  # runs of a chunk since it was opened
        self.failed: set[tuple[tuple[int, int], int]] = set()
        self.done: set[tuple[int, int]] = set()
        self.gave_up: set[tuple[int, int]] = set()
        self.told = 0

    @rule(key=KEYS)
    def open(self, key: tuple[int, int]) -> None:
        if key in self.granted:
            with pytest.raises(KeyError):
                self.attempts.open(key)
        else:
            self.granted[key] = self.attempts.open(key)

    @rule(key=KEYS, run=RUNS)
    def succeed(self, key: tuple[int, int], run: int) -> None:
        self.told += 1
        verdict = self.attempts.succeed(key, run)
        if key not in self.granted:
            assert verdict is Verdict.LATE
        elif key in self.done:
            assert verdict is Verdict.DUPLICATE
        else:
            assert verdict is Verdict.ACCEPTED
            self.done.add(key)

    def told_to_fail(self, key: tuple[int, int], run: int) -> None:
        self.told += 1
        decision = self.attempts.fail(key, run)
        expected = Decision.IGNORE
        newest = run == self.granted.get(key) and (key, run) not in self.failed
        if newest:
            self.failed.add((key, run))
            if key not in self.done:
                expected = Decision.RETRY if run < MAX_ATTEMPTS else Decision.GIVE_UP
        assert decision is expected
        if decision is Decision.RETRY:
            self.granted[key] += 1
        if decision is Decision.GIVE_UP:
            assert key not in self.gave_up
            self.gave_up.add(key)

    @rule(key=KEYS, run=RUNS)
    def fail(self, key: tuple[int, int], run: int) -> None:
        self.told_to_fail(key, run)

    @precondition(lambda self: self.granted)
    @rule(data=st.data())
    def fail_the_newest_run(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.granted)))
        self.told_to_fail(key, self.granted[key])

    @rule(key=KEYS)
    def close(self, key: tuple[int, int]) -> None:
        self.attempts.close(key)
        self.granted.pop(key, None)
        self.done.discard(key)
        self.gave_up.discard(key)
        self.failed = {each for each in self.failed if each[0] != key}

    @invariant()
    def no_fourth_run(self) -> None:
        assert all(runs <= MAX_ATTEMPTS for runs in self.granted.values())
        assert {key: len(self.attempts.runs(key)) for key in self.granted} == self.granted
        assert len(self.attempts) == len(self.granted)

    @invariant()
    def everything_told_is_counted_once(self) -> None:
        attempts = self.attempts
        counted = attempts.accepted.total() + attempts.duplicate + attempts.late + attempts.failed
        assert counted == self.told
        assert attempts.exhausted <= attempts.failed

    @invariant()
    def done_is_known(self) -> None:
        for key in self.granted:
            assert self.attempts.is_done(key) == (key in self.done)


TestAnySequence = AnySequence.TestCase


@given(st.text("0123456789abcdef", min_size=1), st.integers(0, 2**53), st.integers(0, 65_535))
def test_a_task_id_is_read_as_it_was_written(session: str, frame: int, chunk: int) -> None:
    assert parse_task_id(task_id(session, frame, chunk)) == (frame, chunk)


@pytest.mark.parametrize(
    "text",
    ["", "s", "s.1", "s.1.", ".1.2", "s.1.2.3", "s.-1.0", "s. 1.2", "s.1_0.2", "s.01.2", "s.١.2",
     "s.1.2\n", "s.1.123456", "s." + "9" * 5000 + ".1", "5f1c2a64-8d0e-4a5c-9f0e-7b1d2c3e4f50"],
)  # fmt: skip
def test_a_task_id_of_somebody_else_is_none_of_ours(text: str) -> None:
    assert parse_task_id(text) is None


@given(st.text())
def test_what_is_read_as_a_task_id_would_be_written_just_so(text: str) -> None:
    key = parse_task_id(text)
    assert key is None or task_id(text.partition(".")[0], *key) == text
