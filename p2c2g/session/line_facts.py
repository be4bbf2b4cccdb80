"""What the lines of a session give, as its controller needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from statistics import median_low

from p2c2g.lines.line import Lines, LineState
from p2c2g.session.delivery import RISEN
from p2c2g.session.levels import Resource

#: In parts of what a line carries, what it takes in any case: where things wait in it, and else.
CARRIED_FULL, CARRIED = 0.9, 1.15


@dataclass(frozen=True, slots=True)
class LineFacts:
    """What the lines give, both ways: bytes a second, inf where unknown, and whether they queue.

    ``up_burst`` and ``down_burst`` are the bytes a second that go through in bursts, None where
    nobody knows.
    ``limited`` are those of which the gamer allows less than they carry; ``busy`` is the part of
    the time for which the peer in the middle works.
    """

    up: float = inf
    down: float = inf
    up_full: bool = False
    down_full: bool = False
    limited: frozenset[Resource] = frozenset()
    busy: float = 0.0
    up_burst: float | None = None
    down_burst: float | None = None

    @property
    def allowed(self) -> LineFacts:
        """Return what is certain also while nothing is known of the lines: the gamer's limits."""
        return LineFacts(
            up=self.up if Resource.UP in self.limited else inf,
            down=self.down if Resource.DOWN in self.limited else inf,
            limited=self.limited,
        )


def line_facts(lines: Lines, pool: Iterable[str], limits: tuple[float, float]) -> LineFacts:
    """Return what a session's lines give: its own, those of its peers together, its limits."""
    peers = tuple(pool)

    def most(own: LineState, way: Callable[[str], LineState]) -> float:
        theirs = [_most(way(peer)) for peer in peers]
        return min(_most(own), sum(theirs) if theirs else inf)

    def full(own: LineState, way: Callable[[str], LineState]) -> bool:
        states = {way(peer).state for peer in peers}
        return own.state == "overuse" or states == {"overuse"}

    own_up, own_down = lines.own_up, lines.own_down
    up, down = most(own_up, lines.up), most(own_down, lines.down)
    limited = {Resource.UP: limits[0] < up, Resource.DOWN: limits[1] < down}
    return LineFacts(
        up=min(limits[0], up),
        down=min(limits[1], down),
        limited=frozenset(each for each, is_limited in limited.items() if is_limited),
        up_full=full(own_up, lines.up),
        down_full=full(own_down, lines.down),
        busy=median_low(map(lines.compute, peers)) if peers else 0.0,
        up_burst=_together(lines.up, peers),
        down_burst=_together(lines.down, peers),
    )


def _together(way: Callable[[str], LineState], peers: Iterable[str]) -> float | None:
    """Return the bytes a second that go through in bursts to all peers of whom that is known."""
    return sum(way(peer).burst or 0.0 for peer in peers) or None


def _most(line: LineState) -> float:
    """Return the bytes a second that a line takes: its target, or what it carries if that is more.

    Where a line falls, what is stuck in it pulls the target far below what it carries.
    """
    if line.target is None:
        return inf
    full = line.state == "overuse" or line.rise > RISEN
    return max(line.target, (CARRIED_FULL if full else CARRIED) * (line.goodput or 0.0))
