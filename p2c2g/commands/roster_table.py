"""Tables of the pool, for a terminal of eighty columns and wider ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from p2c2g.commands.roster import Member, Pool
from p2c2g.peers.breaker import State
from p2c2g.peers.versions import left_out
from p2c2g.text import plain

_STATES = {
    "starting": "cyan",
    "ready": "green",
    "paused": "yellow",
    "draining": "magenta",
    "banned": "red",
}
_LINE_STATES = {
    "unknown": Text("unknown", "dim"),
    "normal": Text("clear", "green"),
    "underuse": Text("draining", "yellow"),
    "overuse": Text("full", "red"),
}
#: Seconds of waiting that are worth a word.
_SHOWN = 0.001
_BREAKERS = {State.CLOSED: "green", State.HALF_OPEN: "yellow", State.OPEN: "red"}


def listed(pool: Pool) -> RenderableType:
    """Return the list of all peers; name and region only where any has one."""
    if not pool.members:
        return _with_bans(_nobody(pool), pool)
    members = pool.members
    columns = [
        _Column("id", [_safe(member.id) for member in members]),
        _Column("name", [_safe(member.record.enrolment.name) for member in members], widest=10),
        _Column("region", [_safe(member.record.enrolment.region) for member in members], widest=7),
        _Column("state", [_state(member) for member in members]),
        _Column("queues", [_safe(" ".join(each.record.enrolment.queues)) for each in members]),
    ]
    figures: dict[str, Sequence[str | Text]] = {
        "busy/\nslots": [f"{m.beat.in_flight}/{m.record.enrolment.slots}" for m in members],
        "wait-\ning": [str(member.record.waiting) for member in members],
        "load\n%": [f"{member.beat.load * 100:.0f}" for member in members],
        "chunks\n/s": [_rate(member.rate) for member in members],
        "work\nms": [_ms(member.beat.seconds_per_chunk) for member in members],
        "RTT\nms": [_ms(member.beat.rtt) for member in members],
        "score": [_score(member) for member in members],
    }
    columns += [_Column(name, cells, justify="right") for name, cells in figures.items()]
    # Name and region only where any has one.
    shown = {each.heading: each for each in columns if any(map(str, each.cells))}
    return _with_bans(_Fitting(shown), pool)


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    cells: Sequence[str | Text]
    justify: Literal["left", "right"] = "left"
    widest: int | None = None


class _Fitting:
    """A table that leaves out columns where it would not fit, those first that are needed least."""

    _LEAST = ("region", "wait-\ning", "load\n%", "RTT\nms", "work\nms", "queues", "name")

    def __init__(self, columns: Mapping[str, _Column]) -> None:
        self._columns = columns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        left = dict(self._columns)
        endless = options.update(max_width=1000)
        for least in self._LEAST:
            if console.measure(_built(left), options=endless).maximum <= options.max_width:
                break
            left.pop(least, None)
        yield _built(left)
        if len(left) < len(self._columns):
            yield Text("More: a wider terminal, or p2c2g peers show PEER.", "dim")


def _built(columns: Mapping[str, _Column]) -> Table:
    table = _table()
    for each in columns.values():
        # An id that does not fit is folded: it has to be given whole to the other commands.
        table.add_column(
            each.heading,
            justify=each.justify,
            max_width=each.widest,
            overflow="fold" if each.widest is None else "ellipsis",
            no_wrap=each.widest is not None,
        )
    for row in zip(*(each.cells for each in columns.values()), strict=True):
        table.add_row(*row)
    return table


def _nobody(pool: Pool) -> Text:
    if pool.is_open:
        return Text("This broker is an open pool's: p2c2g pool list says who is in it.")
    return Text("No peer is enrolled.")


def ranked(pool: Pool) -> RenderableType:
    """Return the peers by score, with each factor and what moved it."""
    if not pool.members:
        return _with_bans(_nobody(pool), pool)
    table = _table()
    table.add_column("", justify="right", style="dim")
    table.add_column("id", no_wrap=True)
    table.add_column("score", justify="right")
    for factor in pool.members[0].score.factors:
        table.add_column(factor, justify="right", style="dim")
    table.add_column("what costs most", overflow="fold")
    for place, member in enumerate(pool.ranked(), 1):
        table.add_row(
            str(place),
            _safe(member.id),
            _score(member),
            *(f"{factor:.2f}" for factor in member.score.factors.values()),
            _safe(member.score.moved),
        )
    of = f"Scores at {pool.operation}" if pool.operation else "No session has told of results yet"
    return _with_bans(Group(table, Text(f"{of}.", "dim")), pool)


def shown(member: Member) -> RenderableType:
    """Return everything of one peer."""
    enrolment, beat = member.record.enrolment, member.beat
    can = enrolment.capabilities
    about = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    about.add_column(style="dim", no_wrap=True)
    about.add_column(overflow="fold")
    state = _state(member)
    if beat.reason or member.record.banned:
        state.append(f": {plain(member.record.banned or beat.reason)}", "default")
    breaker = Text(member.breaker.value, _BREAKERS[member.breaker])
    rows: list[tuple[str, str | Text]] = [
        ("id", _safe(member.id)),
        ("name", _safe(enrolment.name)),
        ("region", _safe(enrolment.region)),
        ("state", state),
        ("score", _safe(f"{member.score.value:.0f}: {member.score.moved}")),
        ("made of", ", ".join(f"{name} {each:.2f}" for name, each in member.score.factors.items())),
        ("breaker", breaker),
        ("trust", f"{member.in_a_row} comparisons in a row agreed, {member.caught} ever did not"),
        ("queues", _safe(" ".join(enrolment.queues))),
        ("chunks", (f"{beat.in_flight} in flight in {enrolment.slots} slots, "
                    f"{member.record.waiting} wait in its own queue")),
        ("pace", (f"{_rate(member.rate)} chunks/s, {_ms(beat.seconds_per_chunk)} ms each "
                  f"(95th percentile {_ms(beat.seconds_per_chunk_p95)} ms)")),
        ("round trip", f"{_ms(beat.rtt)} ms to the broker and back"
                       + (f", {_ms(beat.rise)} ms of waiting" if beat.rise >= _SHOWN else "")),
        ("machine", _safe(f"{can.cpu or 'CPU unknown'}, {can.cores} cores, "
                          f"{can.memory / 2**30:.1f} GiB, load {beat.load * 100:.0f} %")),
        *(("GPU", _safe(f"{gpu.name} ({gpu.kind}), {gpu.memory / 2**30:.1f} GiB"))
          for gpu in can.gpus),
        ("line", f"{_bits(can.up)} up, {_bits(can.down)} down" if can.up or can.down else ""),
        ("up for", f"{beat.uptime:.0f} s, a beat every {enrolment.interval:g} s"),
        ("versions", _safe(", ".join(f"{name} {v}" for name, v in can.versions.items()))),
    ]  # fmt: skip
    for name, value in rows:
        if value:
            about.add_row(name, value)
    parts: list[RenderableType] = [about]
    if member.up is not None or member.down is not None:
        parts += [Text(), _lines(member)]
    if member.operations:
        parts += [Text(), _operations(member)]
    speeds = {**can.speeds, **can.codecs}
    if speeds:
        parts += [Text(), _speeds(speeds)]
    return Group(*parts)


def _operations(member: Member) -> Table:
    table = _table("What sessions have seen of it")
    table.add_column("operation", overflow="fold")
    for heading in ("results", "failed", "in time", "ms/MP", "p95", "RTT ms"):
        table.add_column(heading, justify="right")
    for name, seen in member.operations.items():
        table.add_row(
            _safe(name),
            str(seen.count),
            str(seen.failed),
            f"{seen.on_time * 100:.1f} %",
            _ms(seen.seconds_per_megapixel),
            _ms(seen.seconds_per_megapixel_p95),
            _ms(seen.rtt),
        )
    return table


def _lines(member: Member) -> Table:
    table = _table("Its line, as sessions measure it")
    table.add_column("way")
    for heading in ("Mbit/s", "at most", "least ms", "waits ms", "state", "sessions"):
        table.add_column(heading, justify="right")
    for way, seen in (("to it", member.up), ("from it", member.down)):
        if seen is not None:
            table.add_row(
                way,
                f"{seen.goodput * 8e-6:.1f}",
                f"{seen.target * 8e-6:.1f}" if seen.target else "–",
                _ms(seen.least),
                _ms(seen.rise),
                _LINE_STATES[seen.state],
                str(seen.sessions),
            )
    return table


def _speeds(speeds: dict[str, float]) -> Table:
    table = _table("What it has measured of itself")
    table.add_column("work")
    table.add_column("megapixels/s", justify="right")
    for name, speed in sorted(speeds.items()):
        table.add_row(_safe(name), f"{speed:.1f}")
    return table


def _table(title: str | None = None) -> Table:
    return Table(
        box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold",
        title=title, title_justify="left", title_style="bold",
    )  # fmt: skip


def _with_bans(table: RenderableType, pool: Pool) -> RenderableType:
    """Add the bans of those that are not there, and those of other versions."""
    there = {member.id for member in pool.members}
    gone = {peer: why for peer, why in sorted(pool.banned.items()) if peer not in there}
    lines = [Text(f"Banned: {plain(peer)} ({plain(why)})", "dim") for peer, why in gone.items()]
    lines += [
        Text(left_out(plain(peer), version), "yellow")
        for peer, version in pool.other_versions.items()
    ]
    return Group(table, *lines)


def _state(member: Member) -> Text:
    """Return what it is doing; of one that is ready, whether it is given any work."""
    if member.state == "ready" and member.breaker is not State.CLOSED:
        word = "shut out" if member.breaker is State.OPEN else "on trial"
        return Text(word, _BREAKERS[member.breaker])
    return Text(member.state, _STATES[member.state])


def _safe(text: str) -> Text:
    # As Text, so that a stranger's square brackets are no markup.
    return Text(plain(text))


def _score(member: Member) -> Text:
    value = member.score.value
    style = "green" if value >= 50 else "yellow" if value >= 20 else "red"
    return Text(f"{value:.0f}", style)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}" if seconds < 0.0995 else f"{seconds * 1e3:.0f}"


def _rate(rate: float) -> str:
    return f"{rate:.1f}" if rate < 99.5 else f"{rate:.0f}"


def _bits(rate: float) -> str:
    return f"{rate / 1e6:.1f} Mbit/s"


def counts(pool: Pool) -> dict[str, Any]:
    """Return the pool as JSON: its peers, and the bans."""
    return {
        "peers": [member.row() for member in pool.members],
        "banned": pool.banned,
        **({"other_versions": pool.other_versions} if pool.other_versions else {}),
    }
