"""One score for a peer, 0 to 100, and what moved it.

Pure.  The score is a product of factors, each from 0 to 1, times 100: a peer is of use if it is in
time *and* fast *and* near *and* to be trusted, and any of these alone makes it useless.

========  ======================================  ==========================================
factor    of                                      value
========  ======================================  ==========================================
on time   ``o``: share of its chunks in time      ``o²``; the first results beside
                                                  :data:`PRIOR` assumed ones
speed     ``s``: seconds a megapixel, 95th        ``1 / (1 + s / 0.1)``
          percentile
nearness  ``r``: seconds of a round trip          ``1 / (1 + r / 0.1)``
trust     ``n``: agreeing comparisons in a row    ``(1 + n / 10) / 2``, 1 from ten on
breaker   its state                               closed 1, half-open 1/4, open 0
========  ======================================  ==========================================

Each is monotone: what is better never lowers the score.  Speed and nearness halve the score at
100 ms, the default deadline: who takes that long has no time for the other.  The share in time is
squared, since a frame is complete only if *each* of its two or more chunks is in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from p2c2g.peers.breaker import State
from p2c2g.peers.candidate import UNKNOWN_RTT, UNKNOWN_SECONDS_PER_MEGAPIXEL
from p2c2g.peers.health import Record
from p2c2g.peers.trust import ENOUGH

#: Results that are assumed beside the real ones, and their share in time: a single late result
#: of a new peer says little.
PRIOR, PRIOR_ON_TIME = 5, 0.9
#: Seconds a megapixel, and of a round trip, that halve a score.
HALF_SECONDS_PER_MEGAPIXEL = 0.1
HALF_RTT = 0.1
_BREAKER = {State.CLOSED: 1.0, State.HALF_OPEN: 0.25, State.OPEN: 0.0}
#: A factor that costs less than this is not worth a word.
_WORTH_A_WORD = 0.97


@dataclass(slots=True)  # not frozen: a session makes one of each peer twice a second
class Merits:
    """What a score is made of.

    ``on_time`` is the share in time of ``results`` outcomes; ``seconds_per_megapixel`` the 95th
    percentile; ``rtt`` seconds of a round trip; ``in_a_row`` comparisons in a row that agreed.
    Times are None where unknown.
    """

    on_time: float = 1.0
    results: int = 0
    seconds_per_megapixel: float | None = None
    rtt: float | None = None
    in_a_row: int = 0
    breaker: State = State.CLOSED


@dataclass(frozen=True, slots=True)
class Score:
    """A score, its factors by name, and in words which of them costs most."""

    value: float
    factors: dict[str, float]
    moved: str


def merits(
    record: Record | None, in_a_row: int, breaker: State, *, rtt: float | None = None
) -> Merits:
    """Gather what a score is made of.

    Args:
        record: what sessions have seen of a peer, or None.
        in_a_row: comparisons in a row that agreed.
        breaker: its state.
        rtt: seconds to the broker and back by the peer's own word, for want of a record.
    """
    if record is None or not record.count + record.failed:
        return Merits(rtt=rtt, in_a_row=in_a_row, breaker=breaker)
    seen = record.count > 0
    return Merits(
        on_time=record.on_time,
        results=record.count + record.failed,
        seconds_per_megapixel=record.seconds_per_megapixel_p95 if seen else None,
        rtt=record.rtt if seen else rtt,
        in_a_row=in_a_row,
        breaker=breaker,
    )


def score(given: Merits) -> Score:
    """Return the score of a peer, and what moved it."""
    factors = _factors(given)
    return Score(100.0 * prod(factors.values()), factors, _moved(given, factors))


def rank(given: Merits) -> float:
    """Return the score's value alone: a session asks for a hundred of them every half second."""
    return 100.0 * prod(_factors(given).values())


def _factors(given: Merits) -> dict[str, float]:
    on_time = (given.on_time * given.results + PRIOR_ON_TIME * PRIOR) / (given.results + PRIOR)
    seconds_per_megapixel = (
        UNKNOWN_SECONDS_PER_MEGAPIXEL
        if given.seconds_per_megapixel is None
        else given.seconds_per_megapixel
    )
    rtt = UNKNOWN_RTT if given.rtt is None else given.rtt
    return {
        "on time": on_time**2,
        "speed": 1 / (1 + seconds_per_megapixel / HALF_SECONDS_PER_MEGAPIXEL),
        "nearness": 1 / (1 + rtt / HALF_RTT),
        "trust": (1 + min(given.in_a_row / ENOUGH, 1.0)) / 2,
        "breaker": _BREAKER[given.breaker],
    }


def _moved(given: Merits, factors: dict[str, float]) -> str:
    """Say which factor costs most."""
    worst = min(factors, key=lambda name: factors[name])
    if factors[worst] >= _WORTH_A_WORD:
        return "nothing: as good as can be"
    if worst == "breaker":
        return f"shut out: its breaker is {given.breaker.value}"
    if worst == "trust":
        return f"new: {given.in_a_row} of {ENOUGH} good comparisons in a row"
    if worst == "on time":
        if not given.results:
            return "unknown: no result seen yet"
        return f"late: {_percent(1 - given.on_time)} of its chunks"
    known = given.seconds_per_megapixel if worst == "speed" else given.rtt
    if known is None:
        return f"unknown: no {'result' if worst == 'speed' else 'round trip'} seen yet"
    if worst == "speed":
        return f"slow: {_milliseconds(known)} a megapixel"
    return f"far: {_milliseconds(known)}"


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %") if share >= 0.095 else f"{share * 100:.1f} %"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if seconds >= 0.0095 else f"{seconds * 1e3:.1f} ms"
