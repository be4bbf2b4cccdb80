"""What the benchmark of lines makes of what was shown, and of what was promised."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.lines_cases import HOME, over, saved
from benchmarks.lines_figures import (
    back_after,
    bytes_at,
    flicker,
    frames,
    gain,
    late,
    longest_bare,
    since,
)
from benchmarks.lines_tables import TABLES, targets
from benchmarks.report import fill, kept


def rows(chunks: list[str], delays: list[float] | None = None, fps: float = 10.0) -> list[Any]:
    """Return rows of frames with these chunks, each shown so many seconds after its capture."""
    delays = delays or [0.05] * len(chunks)
    return [
        (number, number / fps, number / fps + delay, number / fps + delay, each)
        for number, (each, delay) in enumerate(zip(chunks, delays, strict=True))
    ]


def test_what_became_of_frames() -> None:
    found = frames(rows(["11", "10", "00", "11"]), 5)
    assert found["complete"] == 0.4  # of those due, one was never shown
    assert found["enhanced"] == 0.5
    assert found["shown"] == 0.8
    assert found["p50_ms"] == found["playout_p50_ms"] == 50.0


def test_nothing_shown_is_nothing_complete() -> None:
    found = frames([], 10)
    assert found["complete"] == found["p99_ms"] == found["flicker"] == 0.0


def test_flicker_is_changes_a_chunk_a_second() -> None:
    assert flicker(rows(["10"] * 11)) == 0.0
    # Ten changes of one of two chunks in a second.
    assert flicker(rows(["10", "11"] * 5 + ["10"])) == pytest.approx(5.0)


def test_late_is_after_the_deadline() -> None:
    assert late(rows(["1"] * 3, [0.05, 0.104, 0.2]), 0.1) == 1


def test_the_longest_time_of_base_alone() -> None:
    shown = rows(["11"] * 5 + ["00"] * 4 + ["10"] + ["00"] * 6 + ["11"] * 4)
    assert longest_bare(shown, 0.0, 9.0) == pytest.approx(0.5)
    assert longest_bare(shown, 0.0, 0.7) == pytest.approx(0.1)


def test_a_playout_delay_is_back_when_it_stays_as_before() -> None:
    good, bad = [0.05], [0.1]
    shown = rows(["1"] * 30, good * 10 + bad * 12 + good * 8)
    before = since(shown, 0.0, 1.0)
    assert back_after(shown, before, 2.0) == pytest.approx(2.1 + 0.1 - 2.0)
    assert back_after(shown, before, 2.5) == 0.0
    assert back_after(rows(["1"] * 20, good * 10 + bad * 10), before, 1.5) is None
    assert back_after([], before, 1.0) is None


def test_decibels_are_of_the_frames_that_count() -> None:
    decibels = [(1, 30.0, 31.0), (2, 30.0, 33.0), (9, 0.0, 9.0)]
    assert gain(decibels, {1, 2}) == 2.0
    assert gain(decibels, {3}) is None


def test_bits_are_compared_at_the_same_decibels() -> None:
    points = [(10.0, 1.0), (6.0, 0.8), (2.0, 0.4)]
    assert bytes_at(dict(points), 0.9) == pytest.approx(8.0)
    assert bytes_at(dict(points), 2.0) == 10.0  # better than any of them
    assert bytes_at(dict(points), 0.1) is None  # worse than all: nothing to compare with
    got = {"gain_db": 0.9, "mbps_up": 1.0, "mbps_down": 3.0}
    assert saved(points, got) == 0.5
    assert saved(points, {**got, "gain_db": None}) is None


def test_a_limit_is_looked_at_over_any_two_seconds() -> None:
    steady = [(at / 10, 12_500) for at in range(100)]  # 1 Mbit/s
    assert over(steady, 1e6) == 0.0
    assert over([*steady, (10.0, 50_000)], 1e6) == pytest.approx(0.15)


def test_targets_of_what_was_not_measured_are_left_out() -> None:
    assert targets({}) == []
    assert all(not list(table({})) for table in TABLES.values())
    got = {
        "complete": 0.995, "enhanced": 1.0, "p50_ms": 40.0, "p99_ms": 90.0, "playout_p50_ms": 50.0,
        "gain_db": None, "mbps_up": 1.0, "mbps_down": 2.0, "flicker": 0.0,
    }  # fmt: skip
    report = {
        "lines": {HOME: {"before": got, "now": got}},
        "fall": {"now": {"late": 0, "lost": 0, "again_s": 0.4, "back_s": None}},
    }
    assert [each.met for each in targets(report)] == [True, False, True, True, False]
    (bounds,) = TABLES["targets"](report)
    assert [row[1] for row in bounds.rows] == ["99.5", "90", "–", "–", "–"]


def test_a_run_of_a_part_keeps_what_others_have_measured() -> None:
    made = {
        "machine": {"cpus": 2, "cpu": "x"}, "versions": {}, "load": [1, 1], "quick": False,
        "at": "2026-11-30",
    }  # fmt: skip
    before = "".join(f"<!-- figures: {name} -->\nold {name}\n<!-- end -->\n" for name in TABLES)
    once = fill(before, {"made": made, "limits": {"gamer up": -0.2}}, TABLES, is_part=True)
    assert "old lines" in once
    assert "old targets" not in once
    assert "**-20** %" in once
    twice = fill(once, {"made": made, "limits": {"gamer down": 0.1}}, TABLES, is_part=True)
    assert twice.index("gamer up") < twice.index("gamer down")
    again = fill(twice, {"made": made, "limits": {"gamer up": 0.01}}, TABLES, is_part=True)
    assert "**1** %" in again
    assert "**-20** %" not in again
    assert again.count("gamer up") == again.count("gamer down") == 1


def test_rows_without_a_name_go_with_the_one_before_them() -> None:
    head = "| line |  |\n| --- | ---: |\n"
    before = head + "| a | before 1 |\n|  | now 1 |\n| b | before 2 |\n|  | now 2 |\n"
    now = head + "| b | now 3 |\n"
    assert kept(before, now) == head + "| a | before 1 |\n|  | now 1 |\n| b | now 3 |\n"
    assert kept(before, "") == before
    other = "| game | saved |\n| --- | ---: |\n| a | 1 |\n"
    assert kept(before, other) == other
