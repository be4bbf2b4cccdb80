"""One run of the benchmark of lines as tables and targets (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.lines_cases import FALL_FROM, FALL_TO, HOME
from benchmarks.tables import Table
from benchmarks.targets import Target

Report = Mapping[str, Any]
#: The versions that are compared, in the order in which they are told.
BEFORE, NOW = "before", "now"


def _number(value: Any, form: str = ".1f") -> str:
    return "–" if value is None else f"{value:{form}}"


def lines(report: Report) -> Iterator[Table]:
    """Give what came over each line, by version."""
    head = ("line", "", "complete %", "enhanced %", "p50 ms", "p99 ms", "playout ms",
            "dB over base", "Mbit/s up", "down", "flicker")  # fmt: skip
    rows = [
        (
            name if version == next(iter(versions)) else "",
            version,
            _number(got["complete"] * 100),
            _number(got["enhanced"] * 100),
            _number(got["p50_ms"]),
            _number(got["p99_ms"]),
            _number(got["playout_p50_ms"]),
            _number(got["gain_db"], "+.2f"),
            _number(got["mbps_up"], ".2f"),
            _number(got["mbps_down"], ".2f"),
            _number(got["flicker"], ".2f"),
        )
        for name, versions in report.get("lines", {}).items()
        for version, got in versions.items()
    ]
    if rows:
        yield Table("Over lines", head, rows)


def targets(report: Report) -> list[Target]:
    """Return every figure that somebody promised; those not measured are left out."""
    return [
        *_home(report.get("lines", {}).get(HOME, {}).get(NOW)),
        *_fall(report.get("fall", {}).get(NOW)),
        *_overload(report.get("overload", {}).get(NOW)),
        *_still(report.get("still", {}).get(NOW)),
        *(
            Target(f"bits saved at the same dB, {film}", round(got["saved"] * 100, 1), "≥", 40, "%")
            for film, got in report.get("saved", {}).items()
            if got.get("saved") is not None
        ),
        *(
            Target(f"{name}, most of any 2 s over the limit", round(value * 100, 1), "≤", 5, "%")
            for name, value in report.get("limits", {}).items()
        ),
    ]


def _home(got: Report | None) -> Iterator[Target]:
    if got:
        what = f"720p30 from 640x360, one {HOME} Mbit/s, RTT 30 ms"
        yield Target(f"{what}: complete", round(got["complete"] * 100, 2), "≥", 99, "%")
        yield Target(f"{what}: p99", got["p99_ms"], "≤", 80, "ms")


def _fall(got: Report | None) -> Iterator[Target]:
    if not got:
        return
    what = f"a line that falls from {FALL_FROM} to {FALL_TO} Mbit/s"
    never = float("inf")
    yield Target(f"{what}: frames late or lost", got["late"] + got["lost"], "≤", 0)
    yield Target(f"{what}: longest without enhancement", got["again_s"], "≤", 1, "s")
    back = never if got["back_s"] is None else got["back_s"]
    yield Target(f"{what}: playout delay back after its return", back, "≤", 3, "s")


def _overload(got: Report | None) -> Iterator[Target]:
    if got and got["p50_ratio"] is not None:
        yield Target("twice what a peer can do: p50 ÷ unloaded", got["p50_ratio"], "≤", 1.5)
        yield Target("twice what a peer can do: flicker", got["flicker"], "≤", 0.5)


def _still(got: Report | None) -> Iterator[Target]:
    if got:
        for name, what in (("bytes_ratio", "bytes"), ("cpu_ratio", "CPU of peers")):
            share = round(got[name] * 100, 2)
            yield Target(f"a still picture, of a moving one: {what}", share, "≤", 1, "%")


def bounds(report: Report) -> Iterator[Table]:
    """Give what has a target, with the figure of the version before where it was measured."""
    before = {
        each.measure: each.value
        for each in targets({part: _as_now(got) for part, got in report.items()})
    }
    rows = [
        (
            each.measure,
            f"{before[each.measure]:.4g}" if each.measure in before else "–",
            f"**{each.value:.4g}** {each.unit}".strip(),
            f"{each.relation} {each.bound:g}",
            "met" if each.met else "missed",
        )
        for each in targets(report)
    ]
    if rows:
        yield Table("Home lines", ("measure", "before", "now", "target", ""), rows)


def _as_now(part: Any) -> Any:
    """Return a part of a report as if the version before were this one."""
    if not isinstance(part, Mapping):
        return part
    if BEFORE in part or NOW in part:
        return {NOW: part[BEFORE]} if BEFORE in part else {}
    return {name: _as_now(got) for name, got in part.items() if isinstance(got, Mapping)}


def overload(report: Report) -> Iterator[Table]:
    """Give what a peer could do, and what came of asking it for twice that."""
    head = ("", "a peer can do", "enhanced %", "p50 ms", "unloaded p50", "playout ms", "flicker")
    rows = [
        (
            version,
            f"{got['capacity']:.0f} frames/s",
            _number(got["overloaded"]["enhanced"] * 100),
            _number(got["overloaded"]["p50_ms"]),
            _number(got["unloaded"]["p50_ms"]),
            _number(got["overloaded"]["playout_p50_ms"]),
            _number(got["flicker"], ".2f"),
        )
        for version, got in report.get("overload", {}).items()
    ]
    if rows:
        yield Table("Twice what a peer can do", head, rows)


def saved(report: Report) -> Iterator[Table]:
    """Give the curve of fixed settings of each film, and what was used at which dB."""
    rows = []
    for film, got in report.get("saved", {}).items():
        points = " · ".join(f"{mbps:.1f} for {db:+.2f}" for mbps, db in got["fixed"])
        rows.append(
            (film, points, f"{got['mbps']:.1f} for {_number(got['gain_db'], '+.2f')}",
             "–" if got["saved"] is None else f"{got['saved']:.0%}")
        )  # fmt: skip
    if rows:
        yield Table("Bits", ("game", "fixed settings, Mbit/s for dB", "now", "saved"), rows)


#: What a marker of docs/lines.md may ask for.
TABLES: Mapping[str, Callable[[Report], Iterator[Table]]] = {
    "lines": lines,
    "targets": bounds,
    "overload": overload,
    "saved": saved,
}
