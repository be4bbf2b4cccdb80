"""The schedule: the same from the same seed, over in time, and nobody harmed twice at once."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.faults import QUIET_END, QUIET_START, Kind, schedule
from tests.chaos.records import RecordWriter, Step, read_records

WORKERS = ("w1", "w2", "w3", "w4")
PROXIED = ("w3", "w4")
SEEDS = st.integers(0, 2**32)


@given(SEEDS)
def test_a_seed_is_a_schedule(seed: int) -> None:
    first = schedule(seed, 60, WORKERS, PROXIED)
    assert first == schedule(seed, 60, WORKERS, PROXIED)
    assert first != schedule(seed + 1, 60, WORKERS, PROXIED)


@given(SEEDS, st.floats(10, 120))
def test_faults_begin_and_end_within_their_time(seed: int, seconds: float) -> None:
    faults = schedule(seed, seconds, WORKERS, PROXIED)
    assert faults
    for before, after in pairwise(faults):
        assert before.at < after.at
    assert min(fault.at for fault in faults) >= QUIET_START
    assert max(fault.until for fault in faults) <= seconds - QUIET_END + 1e-6


@given(SEEDS)
def test_nobody_is_harmed_twice_at_once(seed: int) -> None:
    over: dict[str, float] = defaultdict(float)
    for fault in schedule(seed, 120, WORKERS, PROXIED):
        for target in fault.targets:
            assert over[target] <= fault.at
            over[target] = fault.until
        assert len(set(fault.targets) & set(WORKERS)) <= len(WORKERS) // 2


@given(SEEDS)
def test_every_kind_comes_in_a_minute_or_two(seed: int) -> None:
    assert {fault.kind for fault in schedule(seed, 120, WORKERS, PROXIED)} == set(Kind)


def test_records_are_read_as_written_and_survive_their_writer(tmp_path: Path) -> None:
    path = tmp_path / "w1-1.records"
    writer = RecordWriter(path)
    writer.write(Step.RECEIVED, 2**33, 65_535)
    writer.write(Step.LIED, 7, 1, 3)
    first, second = read_records(path)
    assert (first.step, first.frame, first.chunk, first.attempt) == (
        Step.RECEIVED,
        2**33,
        65_535,
        0,
    )
    assert (second.step, second.frame, second.chunk, second.attempt) == (Step.LIED, 7, 1, 3)
    assert first.at <= second.at


def test_records_that_do_not_fit_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.chaos.records.SLOTS", 2)
    path = tmp_path / "w1-1.records"
    writer = RecordWriter(path)
    for frame in range(3):
        writer.write(Step.STARTED, frame, 0, 1)
    assert [record.frame for record in read_records(path)] == [0, 1]
