"""The benchmarks run, tell figures in the shape that they promise, and refuse what cannot be.

No figure is judged here: a busy machine must not fail the build.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench, report, targets
from benchmarks.confinement import ROWS
from benchmarks.contenders import CONTENDERS
from benchmarks.plot import draw
from benchmarks.rungs import RUNGS
from benchmarks.streaming import ROLES, TARGET_60, TARGET_144
from p2c2g.errors import BrokerUnavailableError, UsageError
from p2c2g.media.frame import Size
from p2c2g.session.tally import STAGES
from p2c2g_capture.sources.pattern import PatternSource
from tests import forks
from tests.films import write_film

ROOT = Path(__file__).resolve().parents[2]
FIGURES = {"p50_ms", "p95_ms", "p99_ms", "tasks_per_s"}

WRONG = {
    "no such contender": ("roundtrip.py", ["rabbit", "--rtt", "0"], "choose from redis"),
    "negative distance": ("roundtrip.py", ["--rtt=-1"], "from 0 to 10000"),
    "no number": ("roundtrip.py", ["--kib", "many"], "a size in KiB"),
    "no threads": ("roundtrip.py", ["--threads", "0"], "from 1 to 64"),
    "no time": ("pipeline.py", ["--seconds", "0"], "from 0.2 to 3600"),
    "unknown option": ("pipeline.py", ["--fast"], "--fast"),
    "ladder's time": ("roundtrip.py", ["--ladder", "--seconds", "soon"], "a time in seconds"),
    "a ladder of one": ("roundtrip.py", ["redis", "--ladder"], "give one or the other"),
    "no such part": ("lines.py", ["--parts", "speed"], "choose from 'lines'"),
    "no such film": ("lines.py", ["--films", "nowhere.mp4"], "no file 'nowhere.mp4'"),
    "no such version": ("lines.py", ["--before", "nowhere"], "no version of p2c2g"),
    "JSON by another name": ("bench.py", ["--out", "bench.txt"], "ends in .json"),
    "plot by another name": ("bench.py", ["--plot", "plot.jpg"], "ends in .png"),
    "no report": ("report.py", ["nowhere.json"], "make bench writes"),
}


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks" / script, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=ROOT,
    )


def figures(script: str, *arguments: str) -> Any:
    done = run(script, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("script", "arguments", "expected"), WRONG.values(), ids=WRONG.keys())
def test_wrong_arguments_exit_with_2(script: str, arguments: list[str], expected: str) -> None:
    done = forks.finish([ROOT / "benchmarks" / script, *arguments])
    assert done.code == 2
    assert expected in done.errors
    assert len(done.errors.strip().splitlines()) == 1, done.errors
    assert not done.output


def test_a_round_trip_of_two_contenders() -> None:
    got = figures(
        "roundtrip.py", "redis", "p2c2g",
        *("--rtt", "0", "--kib", "4", "--work-ms", "0", "--seconds", "0.3"),
    )  # fmt: skip
    assert list(got) == ["redis", "p2c2g"]
    for contender in got.values():
        assert set(contender) == FIGURES
        assert 0 < contender["p50_ms"] <= contender["p95_ms"] <= contender["p99_ms"]
        assert contender["tasks_per_s"] > 0


def test_several_cases_are_told_apart() -> None:
    got = figures(
        "roundtrip.py", "redis",
        *("--rtt", "0", "--kib", "1", "2", "--work-ms", "0", "--seconds", "0.1"),
    )  # fmt: skip
    assert set(got) == {"rtt=0,kib=1", "rtt=0,kib=2"}
    assert set(got["rtt=0,kib=1"]["redis"]) == FIGURES


def test_every_rung_of_the_ladder_carries_the_task() -> None:
    got = figures(
        "roundtrip.py", "--ladder", "--rtt", "0", "--kib", "1", "--work-ms", "0", "--seconds", "0.1"
    )
    assert list(got) == [rung.name for rung in RUNGS]
    assert all(set(rung) == FIGURES and rung["tasks_per_s"] > 0 for rung in got.values())


def test_the_whole_pipeline() -> None:
    got = figures("pipeline.py", "--quick", "--seconds", "0.4")
    assert set(got["streams"]) == {TARGET_60, TARGET_144}
    for stream in got["streams"].values():
        frames = stream["frames"]
        shown = frames["complete"] + frames["degraded"]
        assert frames["captured"] == shown + frames["dropped"]
        assert shown > 0
        assert set(stream["latency_ms"]) == {"p50", "p95", "p99"}
        assert set(stream["stages_ms"]) == set(STAGES)
        assert set(ROLES) <= set(stream["cpu_ms"])
        # A broker that has no processor for a tenth of a second is sent nothing meanwhile.
        assert set(stream["errors"]) <= {BrokerUnavailableError.__name__}
    (capacity,) = got["capacity"].values()
    assert set(capacity["frames_per_s"]) == {"pool", "plain", "plain_raw"}
    assert all(rate > 0 for rate in capacity["frames_per_s"].values())
    assert capacity["ratio"] > 0
    assert set(got["dispatcher"]) == {"percent", "unbatched", "stock", "on_time"}


def test_lines_of_a_home(tmp_path: Path) -> None:
    out, plot = tmp_path / "lines.json", tmp_path / "fall.png"
    pattern = PatternSource(Size(1280, 720))
    film = write_film(tmp_path / "film.mp4", map(pattern.grab, range(30)), 30)
    done = run(
        "lines.py", "--parts", "lines", "fall", "--cases", "phone", "--seconds", "1",
        *("--films", str(film), "--out", str(out), "--plot", str(plot)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    got = json.loads(out.read_text())
    ((_, versions),) = got["lines"].items()
    assert list(versions) == ["now"]
    assert versions["now"]["shown"] > 0
    series = got["fall"]["now"]["series"]
    assert len(series["at"]) == len(series["mbps"]) == len(series["enhanced"]) > 0
    assert plot.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


# -- what is made of the figures ---------------------------------------------------------------


def a_report() -> dict[str, Any]:
    """Return a report of every part, with figures that are easy to follow."""

    def trip(p50: float, rate: float) -> dict[str, float]:
        return {"p50_ms": p50, "p95_ms": 2 * p50, "p99_ms": 3 * p50, "tasks_per_s": rate}

    def stream(p50: float, complete: int) -> dict[str, Any]:
        return {
            "frames": {"captured": 100, "complete": complete, "degraded": 0, "dropped": 0},
            "success_rate": complete / 100,
            "latency_ms": {"p50": p50, "p95": 2 * p50, "p99": 2 * p50},
            "stages_ms": {stage: {"p50": 1.0, "p99": 2.0} for stage in STAGES},
            "cpu_ms": dict.fromkeys(ROLES, 1.0),
        }

    trips = {
        f"rtt={rtt},kib=20": {
            name: trip(rtt + number + 1.0, 800.0 / (number + 1))
            for number, name in enumerate(CONTENDERS)
        }
        for rtt in (0, 20, 40)
    }
    point = {"latency_ms": {"p50": 5.0, "p99": 9.0}, "cpu_ms": dict.fromkeys(ROLES, 1.0)}
    rates = {"pool": 90.0, "plain": 100.0, "plain_raw": 200.0}
    return {
        "made": bench.made(bench.QUICK),
        "roundtrip": trips,
        "loopback": {"redis": trip(1.0, 9.0), "p2c2g": trip(1.25, 8.0)},
        "ladder": {rung.name: trip(90.0 - 10 * n, 10.0 + n) for n, rung in enumerate(RUNGS)},
        "streams": {TARGET_60: stream(11.0, 100), TARGET_144: stream(9.0, 98)},
        "capacity": {
            "640x360 ×2": {
                "frames_per_s": rates, "ratio": 0.9, "ratio_raw": 0.45,
                "cpu_ms": {"pool": 20.0, "plain": 18.0, "plain_raw": 9.0},
            }
        },
        "dispatcher": {"percent": 15.0, "unbatched": 20.0, "stock": 45.0, "on_time": 1.0},
        "sealing": {
            kib: {
                **dict.fromkeys(("seal", "open", "sign and seal", "open result"), 0.01),
                "check signature": 0.1, "whole": 0.06, "bytes": 146,
            }
            for kib in ("12", "60")
        },
        "confinement": {
            kind: dict.fromkeys(ROWS, 9.0) for kind in ("own", "open")
        },
        "growth": {
            name: [{"n": n, **point} for n in (1, 2)] for name in ("chunks", "workers", "sessions")
        },
    }  # fmt: skip


def test_targets_are_judged() -> None:
    found = {target.measure: target for target in targets.targets(a_report())}
    assert found[f"{TARGET_60}, complete"].met
    assert not found[f"{TARGET_144}, complete"].met  # 98 % where 99 % is due
    assert not found[f"{TARGET_144}, p99"].met  # 18 ms where less than 16 is due
    loopback = next(each for name, each in found.items() if "loopback" in name)
    assert loopback.value == 1.25
    assert loopback.met
    stock = next(each for name, each in found.items() if "stock" in name)
    p2c2g, celery = list(CONTENDERS).index("p2c2g"), list(CONTENDERS).index("celery")
    assert stock.value == round((celery + 1) / (p2c2g + 1), 2)
    assert not stock.met


def test_targets_of_what_was_not_measured_are_left_out() -> None:
    assert targets.targets({}) == []
    only = targets.targets({"dispatcher": {"percent": 50.0}})
    assert [(target.value, target.met) for target in only] == [(50.0, True)]


def test_the_documents_figures_are_replaced() -> None:
    before = "Above\n<!-- figures: dispatcher -->\nold\n<!-- end -->\nbelow\n"
    once = report.fill(before, a_report())
    assert "old" not in once
    assert "**15.0**" in once
    assert once.startswith("Above\n<!-- figures: dispatcher -->\n")
    assert once.endswith("<!-- end -->\nbelow\n")
    assert report.fill(once, a_report()) == once


def test_a_marker_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match=r"asks for 'weather'.*targets"):
        report.fill("<!-- figures: weather -->\n<!-- end -->", a_report())


def test_the_document_asks_for_each_table_once() -> None:
    document = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    filled = report.fill(document, a_report())
    for name in report.NAMES:
        table = report.written(name, a_report())
        assert filled.count(f"<!-- figures: {name} -->\n\n{table}") == 1, name


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    draw(a_report(), path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
