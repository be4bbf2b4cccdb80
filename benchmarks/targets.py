"""The figures that somebody promised, from one run's JSON: what was aimed at, and what came.

Pure.  A figure whose part was left out of the run is left out here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.streaming import TARGET_60, TARGET_144

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """One line: what, the figure, and its bound."""

    measure: str
    value: float
    relation: Literal["≤", "≥", "<"]
    bound: float
    unit: str = ""

    @property
    def met(self) -> bool:
        """Tell whether the figure keeps its bound."""
        if self.relation == "≥":
            return self.value >= self.bound
        return self.value < self.bound or (self.relation == "≤" and self.value == self.bound)


def _get(report: Report, *path: str) -> Any:
    value: Any = report
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def _ratio(over: Any, under: Any) -> float | None:
    return round(over / under, 2) if over is not None and under else None


def near(report: Report) -> dict[str, Any]:
    """Return each contender's figures of 100 KiB on loopback without work."""
    return dict(_get(report, "loopback") or {})


def _ratios(report: Report) -> Iterator[Target | None]:
    def figure(case: str, name: str, field: str) -> Any:
        return _get(report, "roundtrip", case, name, field)

    sizes = _get(report, "made", "kib") or ["20"]
    at = {rtt: f"rtt={rtt},kib={sizes[0]}" for rtt in (0, 20, 40)}
    yield _target(
        f"tasks/s of one worker, RTT 40 ms ÷ RTT 0 ({sizes[0]} KiB, 5 ms of work)",
        _ratio(figure(at[40], "p2c2g", "tasks_per_s"), figure(at[0], "p2c2g", "tasks_per_s")),
        "≥", 0.9,
    )  # fmt: skip
    yield _target(
        f"tasks/s ÷ stock Celery's at RTT 20 ms ({sizes[0]} KiB)",
        _ratio(figure(at[20], "p2c2g", "tasks_per_s"), figure(at[20], "celery", "tasks_per_s")),
        "≥", 15, "×",
    )  # fmt: skip
    yield _target(
        "round trip on loopback, 100 KiB both ways, p50 ÷ raw Redis push and pop",
        _ratio(
            _get(report, "loopback", "p2c2g", "p50_ms"), _get(report, "loopback", "redis", "p50_ms")
        ),
        "≤", 1.5, "×",
    )  # fmt: skip
    for name, figures in (_get(report, "capacity") or {}).items():
        yield _target(
            f"frames/s through the pool ÷ plain processes, {name}", figures["ratio"], "≥", 0.85
        )
    yield _target(
        "frames/s in an open pool ÷ one's own",
        _ratio(
            _get(report, "confinement", "open", "frames_per_s"),
            _get(report, "confinement", "own", "frames_per_s"),
        ),
        "≥", 0.9,
    )  # fmt: skip


def _absolutes(report: Report) -> Iterator[Target | None]:
    last = list((_get(report, "ladder") or {}).values())[-1:]
    yield _target(
        "round trip at RTT 20 ms, 30 KiB, 5 ms of work, p50",
        last[0]["p50_ms"] if last else None, "≤", 30, "ms",
    )  # fmt: skip
    for name, p50, p99, complete in ((TARGET_60, 12, 25, 99.9), (TARGET_144, None, 16, 99)):
        figures = _get(report, "streams", name)
        if figures is None:
            continue
        if p50 is not None:
            yield _target(f"{name}, p50", figures["latency_ms"]["p50"], "≤", p50, "ms")
        yield _target(f"{name}, p99", figures["latency_ms"]["p99"], "≤" if p50 else "<", p99, "ms")
        share = round(figures["success_rate"] * 100, 2)
        yield _target(f"{name}, complete", share, "≥", complete, "%")
    yield _target(
        "dispatcher at 576 chunks/s of 40 KiB, of one core",
        _get(report, "dispatcher", "percent"), "≤", 50, "%",
    )  # fmt: skip
    alone = [_get(report, "confinement", kind, "p50_ms") for kind in ("open", "own")]
    if None not in alone:
        more = round(alone[0] - alone[1], 2)
        yield _target("p50 of a frame alone, open pool less own", more, "≤", 1, "ms")
    yield _target(
        "a key in the browser → the game's window",
        _get(report, "input", "still", "p99_ms"),
        "≤",
        5,
        "ms at p99",
    )
    yield _target(
        "a key → Chocolate Doom's map on the canvas",
        _get(report, "input", "automap", "p95_ms"),
        "≤",
        _get(report, "input", "automap", "allowed_p95_ms") or 0,
        "ms at p95",
    )
    for kib in _get(report, "sealing") or {}:
        figure = _get(report, "sealing", kib, "whole")
        yield _target(f"sealing and signing, {kib} KiB each way, both ends", figure, "≤", 0.2, "ms")


def _target(
    measure: str,
    value: float | None,
    relation: Literal["≤", "≥", "<"],
    bound: float,
    unit: str = "",
) -> Target | None:
    return None if value is None else Target(measure, value, relation, bound, unit)


def targets(report: Report) -> list[Target]:
    """Return every figure that has a bound, ratios first."""
    found = [*_ratios(report), *_absolutes(report)]
    return [target for target in found if target is not None]
