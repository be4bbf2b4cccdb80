"""What came of a simulation, as JSON has it: the same bytes for the same seed."""

from __future__ import annotations

import json
import logging
import operator
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from p2c2g import __version__
from p2c2g.errors import UsageError
from p2c2g.media.picture import FrameState
from p2c2g.session.tally import percentiles
from p2c2g.simulator.world import World

_COMPLETE, _DEGRADED = FrameState.COMPLETE, FrameState.DEGRADED


def jain(shares: Sequence[float]) -> float:
    """Return how even shares are: 1 where all are equal, 1/n where one has everything.

    Jain, Chiu and Hawe, "A Quantitative Measure of Fairness and Discrimination for Resource
    Allocation in Shared Computer Systems", DEC TR-301, 1984.  1 of none, and where all are 0.
    """
    squares = sum(each * each for each in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0


def build_report(world: World) -> dict[str, Any]:
    """Return the figures of a run that is over.

    ``complete`` is a share of all frames, rounded down to 1/100,000; ``late`` one of all chunks:
    those that were sent and not back in time.  Fairness over the peers is that of the seconds
    for which their slots worked, by slot, of the peers that were there all the time; over the
    sessions, that of their complete frames.
    """
    gamers, scenario = world.gamers, world.scenario
    states = _total(gamer.figures.states for gamer in gamers)
    chunks = _total(gamer.figures.chunks for gamer in gamers)
    frames, all_chunks = states.total(), chunks.total()
    captured = scenario.frames * scenario.sessions
    latencies = [latency for gamer in gamers for latency in gamer.figures.latencies]
    runs = _total(gamer.figures.runs_of_chunks for gamer in gamers)
    attempts = [gamer.core.tables.attempts for gamer in gamers]
    stayed = [peer for peer in world.peers[: scenario.peers] if peer.is_alive]
    return {
        "frames": {
            "captured": captured,
            "complete": states[_COMPLETE],
            "degraded": states[_DEGRADED],
            "dropped": captured - frames,
        },
        "complete": states[_COMPLETE] * 100_000 // captured / 1e5,
        "latency_ms": percentiles(latencies, 50, 95, 99),
        "chunks": {
            "all": all_chunks,
            "enhanced": chunks["enhanced"],
            "late": chunks["late"],
            "unsent": chunks["unsent"],
        },
        "flicker": round(sum(gamer.figures.flicker.in_all() for gamer in gamers) / len(gamers), 4),
        "late": round(chunks["late"] / all_chunks, 6),
        "runs": {str(number): runs[number] for number in sorted(runs)},
        "results": {
            "late": sum(each.late for each in attempts),
            "duplicate": sum(each.duplicate for each in attempts),
            "failed": sum(each.failed for each in attempts),
            "given_up": sum(each.silent for each in attempts),
        },
        "hedges": {
            "sent": sum(each.hedges for each in attempts),
            "won": sum(each.hedges_won for each in attempts),
            "refused": sum(gamer.core.tables.hedging.hedges.refused for gamer in gamers),
            "reruns_refused": sum(gamer.core.tables.hedging.reruns.refused for gamer in gamers),
        },
        "steals": {
            "asked": sum(gamer.core.runs.stolen for gamer in gamers),
            "moved": world.broker.moved,
            "too_late": world.broker.missed,
        },
        "lies": {
            "told": sum(peer.lies for peer in world.peers),
            "found": sum(gamer.figures.lies_found for gamer in gamers),
            "shown": sum(gamer.figures.lies_shown for gamer in gamers),
        },
        "fairness": {
            "peers": round(jain([peer.worked / peer.machine.slots for peer in stayed]), 4),
            "sessions": round(
                jain([float(gamer.figures.states[_COMPLETE]) for gamer in gamers]), 4
            ),
            "chunks": round(jain([float(gamer.figures.chunks["enhanced"]) for gamer in gamers]), 4),
        },
        "pool": {
            "joined": len(world.peers),
            "drained": world.drained,
            "vanished": world.vanished,
            "stalls": world.stalls,
            "worked": sum(peer.served > 0 for peer in world.peers),
            "least": min(world.population.values()),
            "dropped_messages": world.broker.dropped,
        },
        "order_violations": sum(gamer.figures.order_violations for gamer in gamers),
        "events": world.engine.events,
        "settings": scenario.as_dict(),
        "version": __version__,
    }


def as_json(report: dict[str, Any]) -> str:
    """Return a report as text."""
    return json.dumps(report, indent=2, sort_keys=True)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep what a session logs of its peers to those who ask for it: here it is a figure."""
    house = logging.getLogger("p2c2g")
    before = house.level
    house.setLevel(max(before, logging.ERROR))
    try:
        yield
    finally:
        house.setLevel(before)


_GATE = re.compile(r"\s*([a-z0-9_.]+)\s*(>=|<=|=)\s*([0-9]+(?:\.[0-9]*)?)\s*")
#: Figures of which less is better; of the others more is.
_LESS = re.compile(r"latency_ms\..*|late|chunks\.(late|unsent)|frames\.(degraded|dropped)|lies\..*")


def check_gates(report: dict[str, Any], gates: Sequence[str]) -> list[str]:
    """Return a sentence for each gate that a report misses.

    Args:
        report: the report.
        gates: such as ``complete=0.999``, ``late<=0.001`` or ``latency_ms.p99=60``; ``=`` is at
            least, or at most for a figure of which less is better.

    Raises:
        UsageError: one is no gate, or names no figure of the report.
    """
    missed = []
    for name, sign, bound in read_gates(gates):
        figure = _figure(report, name)
        at_most = sign == "<=" or (sign == "=" and _LESS.fullmatch(name) is not None)
        holds = operator.le if at_most else operator.ge
        if not holds(figure, bound):
            word = "most" if at_most else "least"
            missed.append(f"The gate was missed: {name} is {figure:g}, not {bound:g} at {word}.")
    return missed


def read_gates(gates: Sequence[str]) -> list[tuple[str, str, float]]:
    """Read gates: the figure's name, the sign and the bound of each.

    Raises:
        UsageError: one is no gate.
    """
    read = []
    for gate in gates:
        match = _GATE.fullmatch(gate)
        if match is None:
            raise UsageError(
                f"{gate!r} is no gate: give a figure and its bound, such as complete=0.999."
            )
        read.append((match[1], match[2], float(match[3])))
    return read


def _figure(report: dict[str, Any], name: str) -> float:
    value: Any = report
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if not isinstance(value, int | float):
        known = ", ".join(sorted(_names(report)))
        raise UsageError(f"{name!r} is no figure of the report: there are {known}.")
    return value


def _names(report: dict[str, Any], prefix: str = "") -> Iterable[str]:
    for name, value in report.items():
        if isinstance(value, dict) and name != "settings":
            yield from _names(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            yield prefix + name


def _total(counters: Iterable[Counter[Any]]) -> Counter[Any]:
    total: Counter[Any] = Counter()
    for each in counters:
        total.update(each)
    return total
