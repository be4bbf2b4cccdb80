"""The figures of all runs as one table: for the terminal, and for docs/performance.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.table import Table

from p2c2g.errors import UsageError

Report = Mapping[str, Any]

#: Columns of a terminal that is none.
WIDTH = 140
#: Peers of the run that has a target, and the share of its frames that is to be complete.
TARGET_PEERS, TARGET = 100, 0.99
_PLACE = re.compile(r"(<!-- load -->\n).*?(<!-- end of load -->)", re.DOTALL)

_FRAMES = ("peers", "policy", "complete %", "complete", "degraded", "dropped", "p50 ms", "p99")
_COST = (
    "peers", "policy", "broker % · MiB", "session % · MiB", "sends · collects · shows · keeps",
    "all peers %", "a look: ms · CPU ms · KiB", "commands/s", "waits: broker · session %", "load",
)  # fmt: skip


def _frames(each: Report) -> tuple[str, ...]:
    frames, latency = each["frames"], each["latency_ms"]
    return (
        str(each["peers"]),
        each["policy"],
        f"{each['complete'] * 100:.2f}",
        *(str(frames[state]) for state in ("complete", "degraded", "dropped")),
        f"{latency['p50']:.1f}",
        f"{latency['p99']:.1f}",
    )


def _cost(each: Report) -> tuple[str, ...]:
    cpu, memory, registry = each["cpu_percent"], each["memory_mib"], each["registry"]
    threads = (cpu[name] for name in ("sends", "collects", "shows", "keeps"))
    return (
        str(each["peers"]),
        each["policy"],
        f"{cpu['broker']:.1f} · {memory['broker']:.0f}",
        f"{cpu['session']:.1f} · {memory['session']:.0f}",
        " · ".join(f"{share:.1f}" for share in threads),
        f"{cpu['peers']:.1f}",
        f"{registry['p50_ms']:.1f} · {registry['cpu_ms']:.1f} · {registry['kib']:.0f}",
        f"{each['commands_per_s']['all']:.0f}",
        f"{cpu['broker_waits']:.0f} · {cpu['waits']:.0f}",
        " – ".join(f"{load:.1f}" for load in each["load"]),
    )


def shown(report: Report) -> Iterator[Table]:
    """Give the tables for a terminal."""
    for title, headings, row in (
        ("What became of the frames", _FRAMES, _frames),
        ("What it cost, in percent of one core", _COST, _cost),
    ):
        view = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
        for heading in headings:
            view.add_column(heading, justify="right")
        for each in report["runs"]:
            view.add_row(*row(each))
        yield view


def notes(report: Report) -> str:
    """Return what the tables do not say: the terms, and whether the target is met."""
    terms, worker = report["terms"], report["real_worker"]
    lines = []
    lines.append(
        f"{report['cpus']} cores; {terms['size']} {terms['ops']}, {terms['grid']} chunks, "
        f"{terms['fps']:g} FPS, {terms['seconds']:g} s a run, deadline {terms['deadline_ms']:g} "
        f"ms; a peer pretends to work {terms['fastest_ms']:g} to {terms['slowest_ms']:g} ms a "
        f"chunk. One real worker takes {worker['rss_mib']:g} MiB ({worker['own_mib']:g} of its "
        f"own) and {worker['start_s']:g} s to start."
    )
    for each in report["runs"]:
        if each["peers"] == TARGET_PEERS:
            met = "met" if each["complete"] >= TARGET else "missed"
            lines.append(
                f"Target, {TARGET_PEERS} peers: {TARGET:.0%} complete; {each['policy']} "
                f"{each['complete']:.2%}: {met}."
            )
    return "\n".join(lines)


def fill(document: str, report: Report) -> str:
    """Return a document with the tables between its markers.

    Raises:
        UsageError: it has no markers.
    """
    text = "\n".join(
        (
            notes(report).replace("\n", "\n\n") + "\n",
            _markdown(_FRAMES, [_frames(each) for each in report["runs"]]),
            _markdown(_COST, [_cost(each) for each in report["runs"]]),
        )
    )
    filled, count = _PLACE.subn(lambda match: f"{match[1]}\n{text}\n{match[2]}", document)
    if not count:
        raise UsageError("The document has no place for the table: <!-- load --> is missing.")
    return filled


def _markdown(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [headings, ("---:",) * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
