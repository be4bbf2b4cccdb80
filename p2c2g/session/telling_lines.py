"""What a session tells others of its peers' lines."""

from __future__ import annotations

from itertools import islice

from p2c2g.lines.line import Lines, LineState
from p2c2g.messaging.labels import is_name
from p2c2g.peers.line_words import MAX_LINES, MAX_RATE, MAX_SECONDS, DirectionWord, LineWord


def line_words(lines: Lines) -> dict[str, LineWord]:
    """Return a word on the line of each peer, those heard of last first."""
    return {
        peer: LineWord(
            up=_word(lines.up(peer)),
            down=_word(lines.down(peer)),
            busy=round(lines.compute(peer), 3),
        )
        for peer in islice(filter(is_name, reversed(lines.peers())), MAX_LINES)
    }


def _word(state: LineState) -> DirectionWord:
    return DirectionWord(
        goodput=_within(state.goodput, MAX_RATE),
        target=_within(state.target, MAX_RATE),
        least=_within(state.least, MAX_SECONDS),
        rise=_within(state.rise, MAX_SECONDS),
        state=state.state,
    )


def _within(number: float | None, most: float) -> float:
    # A stranger's times are in it.
    return round(min(number or 0.0, most), 5)
