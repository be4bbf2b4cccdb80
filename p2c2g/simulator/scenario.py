"""What a simulation is asked for: checked when it is made, and whole in its report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import isqrt
from random import Random
from typing import Any

from p2c2g.errors import UsageError
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.routing.policies import make
from p2c2g.session.config import SessionConfig
from p2c2g.simulator.distributions import JITTER_SIGMA, Machines

#: Peers at most: ten times what was asked of us; more has not been tried.
MAX_PEERS = 10_000
MAX_SESSIONS = 1_000
MAX_CHUNKS = 64


@dataclass(frozen=True, slots=True)
class Scenario:
    """A pool, its users and its troubles.

    Args:
        peers: in the pool at the beginning, and on average.
        sessions: gamers; each has frames, tables and a router of its own.
        seconds: how long frames are captured.
        fps: frames a second of each session.
        chunks: of each frame.
        seed: of everything that is drawn.
        policy: who gets a chunk.
        stealing: whether what waits at a slow peer is moved to one that would finish it sooner.
        second_runs: whether chunks that are slow or silent are run again; without, what the other
            means do by themselves is seen.
        churn: share of the peers that leaves in a minute, and is replaced.
        goodbye: share of those that leave in order (they drain); the others vanish.
        stragglers: share of the peers that stall now and then.
        stall: seconds of a straggler's stall, on average.
        stall_every: seconds from one stall of a straggler to the next, on average.
        liars: share of the peers that lie in half of their results.
        subtle: share of the lies that the check of every result does not find out, so that
            only a comparison with another peer does.
        made_up: sessions that are nobody's, and praise the liars and blame all others that are
            there at the beginning.
        deadline: seconds from a frame's capture to its showing at the latest.
        day: seconds of a day in which machines are switched off and on; 0 for none.
        machines: what the peers' machines are like.
        jitter: how much one chunk's time differs from the next: the log-normal's width.
        size: of the frames that are captured, as WIDTHxHEIGHT; peers make them twice as large.
        sent: bytes of a frame's chunks on their way to the peers, together.
        returned: bytes of their results.
        reads_webp: megapixels of residuals a second that a gamer's machine reads as WebP.
        gamer_rtt: seconds from the gamer to the broker and back.
        gamer_line: what each gamer's line takes, as steps: from so many seconds on, bits a second
            up and down; empty for no bound.
        cold: seconds that a peer's first chunk takes on top of its usual time; each later one half
            of what the one before did.
        steady: whether sessions keep queues short and give up what there is too little for.
        stall_at: seconds at which the peer that did most until then stalls once, for
            ``stall``; None for never.

    Raises:
        UsageError: a figure is out of its bounds; the sentence says what would be right.
    """

    peers: int = 100
    sessions: int = 1
    seconds: float = 60.0
    fps: float = 60.0
    chunks: int = 4
    seed: int = 7
    policy: str = "predictive"
    stealing: bool = True
    second_runs: bool = True
    churn: float = 0.0
    goodbye: float = 0.5
    stragglers: float = 0.0
    stall: float = 0.5
    stall_every: float = 5.0
    liars: float = 0.0
    subtle: float = 0.0
    made_up: int = 0
    deadline: float = 0.1
    day: float = 0.0
    machines: Machines = field(default_factory=Machines)
    jitter: float = JITTER_SIGMA
    size: str = "640x360"
    sent: int = 60 * 1024
    returned: int = 214 * 1024
    reads_webp: float = 0.0
    gamer_rtt: float = 0.014
    stall_at: float | None = None
    gamer_line: tuple[tuple[float, float, float], ...] = ()
    steady: bool = True
    cold: float = 0.0

    def __post_init__(self) -> None:
        _whole("peers", self.peers, 1, MAX_PEERS)
        _whole("sessions", self.sessions, 1, MAX_SESSIONS)
        _whole("chunks a frame", self.chunks, 1, MAX_CHUNKS)
        _whole("seed", self.seed, 0, 2**63 - 1)
        _between("seconds", self.seconds, 0.1, 86_400)
        _between("frames a second", self.fps, 1, 1000)
        _between("churn (a share of the peers a minute)", self.churn, 0, 60)
        _between("goodbye (a share)", self.goodbye, 0, 1)
        _between("stragglers (a share)", self.stragglers, 0, 1)
        _between("liars (a share)", self.liars, 0, 1)
        _between("subtle (a share)", self.subtle, 0, 1)
        _whole("made-up sessions", self.made_up, 0, MAX_SESSIONS)
        _between("deadline (seconds)", self.deadline, 0.001, 60)
        _between("stall (seconds)", self.stall, 0, 60)
        _between("stall_every (seconds)", self.stall_every, 0.1, 3600)
        _between("jitter", self.jitter, 0, 2)
        _between("cold (seconds)", self.cold, 0, 60)
        self.config()
        _whole("bytes sent", self.sent, 0, 2**30)
        _whole("bytes returned", self.returned, 0, 2**30)
        _between("WebP (megapixels a second)", min(self.machines.webp, self.reads_webp), 0, 1e6)
        _between("gamer's round trip (seconds)", self.gamer_rtt, 0, 10)
        if self.day:
            _between("day (seconds)", self.day, 1, 86_400)
        for at, up, down in self.gamer_line:
            _between("a step of the gamer's line (seconds)", at, 0, 86_400)
            _between("the gamer's line (bits a second)", min(up, down), 1e3, 1e13)
        if self.stall_at is not None:
            _between("stall_at (seconds)", self.stall_at, 0, self.seconds)
        machines = self.machines
        if machines.rtt is not None:
            _between("round trip (seconds)", machines.rtt, 0, 10)
        if machines.seconds_per_megapixel is not None:
            _between("service (seconds a megapixel)", machines.seconds_per_megapixel, 1e-6, 60)
        if machines.spread is not None:
            _between("spread", machines.spread, 1, 1000)
        if machines.slots is not None:
            _whole("slots", machines.slots, 1, 4096)
        if machines.bandwidth is not None:
            _between("bandwidth (bits a second)", machines.bandwidth, 1e3, 1e13)
        if machines.up is not None:
            _between("bandwidth to the broker (bits a second)", machines.up, 1e3, 1e13)
        make(self.policy, Random(0))  # noqa: S311 - only its name is of interest

    @property
    def frames(self) -> int:
        """Return the frames of each session."""
        return max(1, round(self.seconds * self.fps))

    def config(self) -> SessionConfig:
        """Return what each session does to its frames.

        Raises:
            UsageError: the size is none, or the frames cannot be cut into so many chunks.
        """
        rows = next(n for n in range(isqrt(self.chunks), 0, -1) if self.chunks % n == 0)
        return SessionConfig(
            Size.parse(self.size),
            Pipeline.parse("upscale:2,sharpen:0.5"),
            Grid(rows, self.chunks // rows),
            deadline=self.deadline,
            fps=self.fps,
            policy=self.policy,
            steady=self.steady,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything that was asked for, for the report."""
        return asdict(self)


def share(text: str, what: str) -> float:
    """Read a share: ``5%``, or a plain ``5``, which is the same, as numbers of a hundred.

    Raises:
        UsageError: it is none.
    """
    number = text.strip().removesuffix("%").strip()
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise UsageError(f"{text!r} is no {what}: give a number of a hundred, such as 5%.")
    return value / 100


def _between(what: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise UsageError(f"{value:g} cannot be for {what}: give {least:g} to {most:g}.")


def _whole(what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise UsageError(f"{value} cannot be for {what}: give a whole number, {least} to {most}.")
