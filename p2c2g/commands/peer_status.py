"""What a lent machine does, for its owner: ``p2c2g peer status``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from p2c2g.lending.state import State, Word

_WORDS: Final = {
    Word.STARTING: "waits for its pool",
    Word.READY: "ready, nobody sends work now",
    Word.WORKING: "works",
    Word.PAUSED: "paused",
    Word.DRAINING: "finishes what it has, and leaves",
    Word.ENDED: "has ended",
}


def rows(state: State | None, *, running: bool, paused: str, now: float) -> list[tuple[str, str]]:
    """Return what there is to say, as names and values.

    Args:
        state: what the peer wrote last; None where it never has.
        running: whether what starts it says that it runs.
        paused: why its owner has it paused; "" where that is not so.
        now: seconds since 1970.
    """
    said = [("Peer", word(state, running=running, paused=paused, now=now))]
    if state is None:
        return said
    label = f"{state.label}, in the pool " if state.label else ""
    said.append(("Name", f"{label}{state.name or 'not known yet'}"))
    said.append(("Version", state.version))
    if state.is_fresh(now):
        said.append(("Running for", span(now - state.started)))
        rate = f"{state.chunks:,}, {state.rate:.1f} a second now"
        said.append(("Chunks since then", rate))
        if state.gamers is not None:
            said.append(("Gamers in the last minute", str(state.gamers)))
    if state.last_chunk is not None:
        moment = datetime.fromtimestamp(state.last_chunk).astimezone()
        said.append(("Last chunk", f"{moment:%Y-%m-%d %H:%M:%S}"))
    said.append(("Chunks in all", f"{state.total:,}, in {span(state.worked)} of work"))
    said.append(("Earnings", "nothing is paid yet; the chunks are counted"))
    if state.page and state.is_fresh(now):
        said.append(("Page", state.page))
    return said


def word(state: State | None, *, running: bool, paused: str, now: float) -> str:
    """Return in words what it does."""
    if state is not None and state.is_fresh(now):
        said = _WORDS[state.word]
        return f"{said}: {state.why}" if state.why else said
    if running:
        return "starting"
    return f"not running, and paused: {paused}" if paused else "not running"


def is_well(state: State | None, now: float) -> bool:
    """Tell whether it runs, be it paused."""
    return state is not None and state.is_fresh(now)


def span(seconds: float) -> str:
    """Return a time in words, such as ``3 h 20 min``."""
    minutes = int(max(seconds, 0.0) // 60)
    if minutes < 1:
        return f"{int(max(seconds, 0.0))} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} days"


def table(said: Sequence[tuple[str, str]]) -> str:
    """Return the rows as text, one a line."""
    width = max(len(name) for name, _ in said)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in said)
