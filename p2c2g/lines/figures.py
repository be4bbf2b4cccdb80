"""Lines as reports and readouts have them: rates in Mbit/s, times in milliseconds."""

from __future__ import annotations

from typing import Any

from p2c2g.lines.line import Lines, LineState

#: Peers that a report names, those heard of last.
MAX_TOLD = 64
_MBIT = 8e-6


def direction(state: LineState) -> dict[str, Any]:
    """Return what is known of one direction; None stands for what is not."""
    return {
        "state": state.state,
        "mbps": _rounded(state.goodput, _MBIT),
        "target_mbps": _rounded(state.target, _MBIT),
        "burst_mbps": _rounded(state.burst, _MBIT),
        "least_ms": _rounded(state.least, 1e3),
        "rise_ms": _rounded(state.rise, 1e3),
    }


def own(lines: Lines) -> dict[str, Any]:
    """Return what is known of the gamer's own line."""
    round_trip = lines.own_round_trip
    return {
        "up": direction(lines.own_up),
        "down": direction(lines.own_down),
        "round_trip": None if round_trip is None else {
            "least_ms": _rounded(round_trip.least, 1e3),
            "rise_ms": _rounded(round_trip.rise, 1e3),
        },
    }  # fmt: skip


def report(lines: Lines) -> dict[str, Any]:
    """Return what is known of a session's lines: its own, and of how many peers' how much."""
    peers = lines.peers()
    return {
        "own": own(lines),
        "known": len(peers),
        "peers": {
            peer: {
                "up": direction(lines.up(peer)),
                "down": direction(lines.down(peer)),
                "busy": round(lines.compute(peer), 3),
                "silent": lines.silent(peer),
            }
            for peer in reversed(peers[-MAX_TOLD:])
        },
    }


def _rounded(number: float | None, factor: float) -> float | None:
    return None if number is None else round(number * factor, 2)
