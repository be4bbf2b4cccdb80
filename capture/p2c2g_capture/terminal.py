"""What the terminal shows: a live line while a session runs, and a summary after it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from p2c2g_capture import comparing

#: Seconds between two looks at the figures.
_EVERY = 0.5
#: Lines are this many looks apart where the output is a file.
_PLAIN_EVERY = 10


class LiveLine:
    """Draws the figures of ``live()`` twice a second, on a thread of its own.

    Below them stands its ``notice``: what those who watch should know now.  In a file that is a
    line of its own, once, when it begins.
    """

    def __init__(self, console: Console, live: Callable[[], Mapping[str, Any]]) -> None:
        self._console = console
        self._figures = live
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="p2c2g-live", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError):  # The terminal may have been closed.
            self._draw()

    def _draw(self) -> None:
        if not self._console.is_terminal:
            self._draw_plainly()
            return
        with Live(console=self._console, refresh_per_second=4, transient=True) as live:
            while not self._ended.wait(_EVERY):
                figures = self._figures()
                live.update(_with_notice(self._line(figures), figures))

    def _draw_plainly(self) -> None:
        looks, said = 0, ""
        while not self._ended.wait(_EVERY):
            figures = self._figures()
            notice = figures.get("notice", "")
            if notice and notice != said:
                self._console.print(f"{notice}.", soft_wrap=True, markup=False)
            said = notice
            looks += 1
            if looks % _PLAIN_EVERY == 0:
                self._console.print(self._line(figures), soft_wrap=True)

    @staticmethod
    def _line(figures: Mapping[str, Any]) -> Text:
        frames, latency = figures["frames"], figures["latency_ms"]
        return Text.assemble(
            (f"{figures['fps']:5.1f} FPS", "bold"),
            f"   p50 {latency['p50']:.1f} ms  p99 {latency['p99']:.1f} ms   ",
            (f"{frames['complete']} complete", "green"),
            ("  ", ""),
            (f"{frames['degraded']} degraded", "yellow" if frames["degraded"] else "dim"),
            ("  ", ""),
            (f"{frames['dropped']} dropped", "red" if frames["dropped"] else "dim"),
            f"   {len(figures['peers'])} peers",
        )


def _with_notice(line: Text, figures: Mapping[str, Any]) -> RenderableType:
    notice = figures.get("notice", "")
    return Group(line, Text(f"{notice}.", "yellow")) if notice else line


def summary(report: Mapping[str, Any]) -> Table:
    """Return a finished session's figures, to be printed."""
    frames, latency = report["frames"], report["latency_ms"]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(
        "frames",
        f"{frames['captured']} captured: {frames['complete']} complete, "
        f"{frames['degraded']} degraded, {frames['dropped']} dropped "
        f"([bold]{report['success_rate']:.2%}[/] complete)",
    )
    table.add_row("pace", f"{report['fps']:.1f} frames a second")
    table.add_row(
        "latency",
        f"p50 {latency['p50']:.1f} ms, p95 {latency['p95']:.1f} ms, p99 {latency['p99']:.1f} ms",
    )
    traffic = report["bytes"]
    ways = [
        f"{way} {traffic[way]['a_frame'] / 1024:.1f} KiB a frame "
        f"({traffic[way]['a_second'] * 8 / 1e6:.1f} Mbit/s)"
        for way in ("up", "down")
    ]
    table.add_row("bytes", ", ".join(ways))
    stages = report["stages_ms"]
    table.add_row(
        "of it (p50)",
        ", ".join(f"{name} {figures['p50']:.1f}" for name, figures in stages.items()),
    )
    for peer in report["peers"]:
        table.add_row(
            "peer",
            f"{peer['id']} ({peer['queue'] or 'no result'}): {peer['chunks']} chunks, "
            f"p50 {peer['ms']['p50']:.1f} ms, p99 {peer['ms']['p99']:.1f} ms",
        )
    if report["ran"]:
        counts = ", ".join(f"{count} by {text}" for text, count in report["ran"].items())
        table.add_row("peers chose", counts)
    if report["errors"]:
        counts = ", ".join(f"{count} {name}" for name, count in report["errors"].items())
        table.add_row("errors", f"[yellow]{counts}[/]")
    for said in dict.fromkeys(each["said"] for each in report["notices"]):
        table.add_row("note", Text(f"{said}.", "yellow"))
    for name, text in comparing.lines(report["compare"]) if "compare" in report else ():
        table.add_row(name, text)
    return table
