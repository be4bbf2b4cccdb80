"""What the benchmark of a graphics card tells: its tables, its plot, and what it ran on."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: pictures a second, ``ratio`` beside what ``beside`` names."""

    table: str
    what: str
    batch: int
    per_second: float
    ratio: float | None = None
    beside: str = ""


def told(row: Row) -> str:
    """Return a row as a line of a table in Markdown."""
    beside = f"{row.ratio:.2f} × {row.beside}" if row.ratio is not None else ""
    each = f"{1e3 / row.per_second:.2f} ms"
    return (
        f"| {row.table} | {row.what} | {row.batch} | {row.per_second:.1f}/s | {each} | {beside} |"
    )


def memory_table(memory: Sequence[dict[str, Any]]) -> str:
    """Return MiB by size and batch as a table in Markdown."""
    batches = sorted({row["batch"] for row in memory})
    lines = [f"| MiB | {' | '.join(map(str, batches))} |", "|---" * (len(batches) + 1) + "|"]
    for size in dict.fromkeys(row["size"] for row in memory):
        peaks = {row["batch"]: row["peak"] for row in memory if row["size"] == size}
        cells = ["none" if peaks[one] is None else f"{peaks[one] / 2**20:.0f}" for one in batches]
        lines.append(f"| {size} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(memory: Sequence[dict[str, Any]], path: Path, about: dict[str, str]) -> None:
    """Draw the peak of memory against the batch, a line a size."""
    if importlib.util.find_spec("matplotlib") is None:
        print("The plot is left out: pip install 'p2c2g[bench]'", file=sys.stderr)
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for size in dict.fromkeys(row["size"] for row in memory):
        rows = [row for row in memory if row["size"] == size and row["peak"] is not None]
        axes.plot([row["batch"] for row in rows], [row["peak"] / 2**20 for row in rows],
                  marker="o", label=size)  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(batches := sorted({row["batch"] for row in memory}), map(str, batches))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("chunks at once")
    axes.set_ylabel("MiB at most")
    how = "the card's own figure" if any(row["told"] for row in memory) else "a count of tensors"
    axes.set_title(f"Memory of {about['net']} on {about['device']} ({how})", loc="left")
    axes.legend(title="chunk")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def driver(index: int) -> dict[str, str]:
    """Return the driver and the clocks, where nvidia-ml-py is installed."""
    if importlib.util.find_spec("pynvml") is None:
        return {"driver": "unknown: pip install nvidia-ml-py"}
    nvml: Any = importlib.import_module("pynvml")
    nvml.nvmlInit()
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        now = nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)
        most = nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)
        driver = nvml.nvmlSystemGetDriverVersion()
        return {"driver": str(driver), "clock": f"{now} MHz now, {most} MHz at most"}
    finally:
        nvml.nvmlShutdown()
