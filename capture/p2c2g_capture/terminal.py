"""What the terminal shows: a live line while a session runs, and a summary after it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from p2c2g.text import plain
from p2c2g_capture import comparing

#: Seconds between two looks at the figures.
_EVERY = 0.5
#: Lines are this many looks apart where the output is a file.
_PLAIN_EVERY = 10


#: What was given up, by the controller's word for it.
_GIVEN_UP = {
    "plainer": "better methods",
    "coarser": "quality on the line",
    "part": "a part of the picture",
    "seldom": "most of the picture",
}


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
                self._console.print(Text(f"{plain(notice)}."), soft_wrap=True)
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
            f"   {_peers(len(figures['peers']))}",
        )


def _with_notice(line: Text, figures: Mapping[str, Any]) -> RenderableType:
    notice = figures.get("notice", "")
    return Group(line, Text(f"{plain(notice)}.", "yellow")) if notice else line


def _peers(count: int) -> str:
    return f"{count} peer" if count == 1 else f"{count} peers"


def _own_line(own: Mapping[str, Any]) -> str:
    """Return what is known of the gamer's own line."""
    ways = []
    for name in ("up", "down"):
        way = own[name]
        most = way["target_mbps"]
        limit = "no limit was met" if most is None else f"{most:.1f} Mbit/s at most"
        ways.append(f"{name} {limit}, {way['rise_ms']:.0f} ms of waiting")
    if own["round_trip"] is not None:
        ways.append(f"{own['round_trip']['least_ms']:.1f} ms to the broker and back")
    return "; ".join(ways)


def _short(pipeline: str) -> str:
    """Return a pipeline as a person reads it: a net of one's own by the hash's first letters."""
    return re.sub(r"(?<=@[0-9a-f]{8})[0-9a-f]+", "…", pipeline)


def summary(report: Mapping[str, Any]) -> Table:
    """Return a finished session's figures, to be printed."""
    frames, latency = report["frames"], report["latency_ms"]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")

    def row(name: str, *parts: str | tuple[str, str]) -> None:
        # As Text: peers wrote part of it, and none of it is markup.
        texts = [(part, "") if isinstance(part, str) else part for part in parts]
        table.add_row(name, Text.assemble(*((plain(text), style) for text, style in texts)))

    row(
        "frames",
        f"{frames['captured']} captured: {frames['complete']} complete, "
        f"{frames['degraded']} degraded, {frames['dropped']} dropped (",
        (f"{report['success_rate']:.2%}", "bold"),
        " complete)",
    )
    row("pace", f"{report['fps']:.1f} frames a second")
    row(
        "latency",
        f"p50 {latency['p50']:.1f} ms, p95 {latency['p95']:.1f} ms, p99 {latency['p99']:.1f} ms",
    )
    if shown := report.get("at_once"):
        age = (
            "" if shown["age_ms"] is None else f", from {shown['age_ms']:.0f} ms before on average"
        )
        row(
            "at once",
            f"{shown['known']:.1%} of the chunks with what was known of them, "
            f"{shown['carried']:.1%} with what peers added to others{age}",
        )
    if (steady := report.get("steady")) and steady["state"] != "all":
        row(
            "given up",
            f"{_GIVEN_UP[steady['state']]} at the end: {report['enhanced']:.0%} of the chunks were "
            f"enhanced, each changed {report['flicker']:.2g} times a second",
        )
    traffic = report["bytes"]
    ways = [
        f"{way} {traffic[way]['a_frame'] / 1024:.1f} KiB a frame "
        f"({traffic[way]['a_second'] * 8 / 1e6:.1f} Mbit/s)"
        for way in ("up", "down")
    ]
    row("bytes", ", ".join(ways))
    if "lines" in report:
        row("line", _own_line(report["lines"]["own"]))
    stages = report["stages_ms"]
    row(
        "of it (p50)",
        ", ".join(f"{name} {figures['p50']:.1f}" for name, figures in stages.items()),
    )
    for peer in report["peers"]:
        row(
            "peer",
            f"{peer['id']} ({peer['queue'] or 'no result'}): {peer['chunks']} chunks, "
            f"p50 {peer['ms']['p50']:.1f} ms, p99 {peer['ms']['p99']:.1f} ms",
        )
    if report["ran"]:
        ran = sorted(report["ran"].items(), key=lambda each: -each[1])
        counts = ", ".join(f"{count} by {_short(text)}" for text, count in ran)
        row("peers chose", counts)
    if report["errors"]:
        counts = ", ".join(f"{count} {name}" for name, count in report["errors"].items())
        row("errors", (counts, "yellow"))
    # What held at the same time was said as one.
    said = (each["said"].split(". ") for each in report["notices"])
    for sentence in dict.fromkeys(chain.from_iterable(said)):
        row("note", (f"{sentence}.", "yellow"))
    for name, text in comparing.lines(report["compare"]) if "compare" in report else ():
        row(name, text)
    return table
