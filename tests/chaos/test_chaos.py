"""The chaos itself, in the short form for every day; ``make chaos`` is the long one."""

from __future__ import annotations

import json

import pytest

from tests.chaos.__main__ import main
from tests.chaos.faults import Kind
from tests.chaos.scenario import Options, faults_of, run

#: Nothing here may depend on the machine's speed: only what is never shown is late.
NEVER = 30.0
SHORT = Options(seed=58, seconds=15.0, every=1.2, tolerance=NEVER)


def test_no_invariant_breaks_in_a_short_run() -> None:
    outcome = run(SHORT)
    assert outcome.violations == []
    assert [done.fault for done in outcome.recording.injected] == list(outcome.faults)
    recording = outcome.recording
    assert len(recording.shown) + len(recording.passed_over) == len(recording.submitted)
    assert recording.shown
    assert outcome.recording.ran, "no worker has run anything"
    assert outcome.recording.inputs, "nobody has played"
    json.dumps(outcome.figures)


def test_the_short_run_kills_stops_lies_and_restarts() -> None:
    kinds = {fault.kind for fault in faults_of(SHORT)}
    assert {Kind.BROKER, Kind.LIE, Kind.STOP} <= kinds
    assert kinds & {Kind.KILL, Kind.HALF}


def test_a_size_that_cannot_be_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--size", "wide"]) == 2
    assert "is not a size" in capsys.readouterr().err
