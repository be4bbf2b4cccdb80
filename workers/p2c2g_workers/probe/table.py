"""What was measured, for a person to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from p2c2g.commands.worker_checks import without_nets
from p2c2g.media.methods import DEFAULT_METHOD
from p2c2g.peers.messages import Capabilities

if TYPE_CHECKING:
    from p2c2g_workers.engine.choosing import Trial
    from p2c2g_workers.probe.peaks import Peak

#: Megapixels of a frame of 720p.
_HD = 1280 * 720 / 1e6


def show(measured: Capabilities, console: Console, trials: Sequence[Trial] = ()) -> None:
    """Print the machine, the line to its broker, and how fast it is.

    Args:
        measured: what the probe measured.
        console: to print on.
        trials: of the graphics cards that were tried.
    """
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="bold")
    facts.add_column()
    plural = "" if measured.cores == 1 else "s"
    facts.add_row("Machine", f"{measured.cpu}, {measured.cores} core{plural}")
    facts.add_row("Memory", f"{measured.memory / 2**30:.1f} GiB")
    for row in _gpus(measured, trials) or ["none found by CUDA, OpenCL or Metal"]:
        facts.add_row("GPU", Text(row))  # no markup: it may contain p2c2g[cuda]
    if hint := without_nets():
        facts.add_row("Nets", Text(hint))
    facts.add_row("Queues", ", ".join(measured.queues))
    facts.add_row("Broker", _line(measured))
    console.print(facts)
    console.print()
    works = {name: speed for name, speed in measured.speeds.items() if _adds(name)}
    console.print(_speeds("Processor", works, "1280x720 results/s"))
    console.print()
    console.print(_speeds("Codec, both ways", measured.codecs, "1280x720 frames/s"))


def _speeds(what: str, speeds: dict[str, float], frames: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(what, min_width=18)
    table.add_column("Megapixels/s", justify="right")
    table.add_column(frames, justify="right", style="dim")
    for name, speed in sorted(speeds.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{speed:,.0f}" if speed >= 10 else f"{speed:.1f}", _frames(speed))
    if not speeds:
        table.add_row("none works", "", "")
    return table


def _adds(processor: str) -> bool:
    """Tell whether a processor adds anything: the speed of one that does not means nothing."""
    operation, _, method = processor.partition(":")
    return operation != "pass" and method != DEFAULT_METHOD


def _frames(speed: float) -> str:
    return f"{speed / _HD:,.0f}"


def show_memory(peaks: Sequence[Peak], whose: str, console: Console) -> None:
    """Print how much memory chunks take: a row a size, a column a batch."""
    batches = sorted({peak.batch for peak in peaks})
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(f"{whose}, MiB at most", min_width=18)
    for batch in batches:
        table.add_column(f"{batch} at once", justify="right")
    rows: dict[str, dict[int, str]] = {}
    for peak in peaks:
        said = "too much" if peak.memory is None else f"{peak.memory / 2**20:,.0f}"
        rows.setdefault(f"{peak.size}, {peak.pipeline}", {})[peak.batch] = said
    for name, row in rows.items():
        table.add_row(name, *(row.get(batch, "") for batch in batches))
    console.print()
    console.print(table)


def _gpus(measured: Capabilities, trials: Sequence[Trial]) -> list[str]:
    tried = {trial.gpu: trial.problem or "works" for trial in trials}
    return [
        f"{gpu.name} ({gpu.kind}"
        + (f", {gpu.memory / 2**30:.1f} GiB)" if gpu.memory else ")")
        + f": {tried.get(gpu, 'not tried')}"
        for gpu in measured.gpus
    ]


def _line(measured: Capabilities) -> str:
    if not measured.rtt:
        return "does not answer; give --broker URL to measure the line to it"
    return (
        f"{measured.rtt * 1000:.2f} ms round trip, {measured.up / 1e6:,.0f} Mbit/s up, "
        f"{measured.down / 1e6:,.0f} Mbit/s down"
    )
