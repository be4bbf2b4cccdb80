"""What a session's report says of its pool: who is in it, how they stand, and who was shut out."""

from __future__ import annotations

from typing import Any

from p2c2g.session.core import Core
from p2c2g.session.frames import P, S


def breakers(core: Core[S, P], now: float) -> dict[str, dict[str, Any]]:
    """Return the state of each peer's breaker, and how often this session opened it."""
    return {
        peer: {"state": state.value, "opened": opened}
        for peer, (state, opened) in sorted(core.tables.breakers.states(now).items())
    }


def routing(core: Core[S, P]) -> dict[str, Any]:
    """Return who is in the session's pool and how they stand, and what became of moves."""
    tables, examiner = core.tables, core.tables.examiner
    return {
        "policy": tables.config.policy,
        "pool": {
            peer: {
                "score": round(candidate.score, 1),
                "ms_per_megapixel": round(candidate.seconds_per_megapixel * 1e3, 2),
                "rtt_ms": round(candidate.rtt * 1e3, 2),
                "in_a_row": tables.trust.in_a_row(peer),
            }
            for peer, candidate in tables.router.pool.items()
        },
        "stolen": core.runs.stolen,
        "examinations": {
            "begun": examiner.begun,
            "canaries": examiner.canaries,
            "agreed": examiner.agreed,
            "differed": examiner.differed,
            "incomparable": examiner.incomparable,
        },
    }
