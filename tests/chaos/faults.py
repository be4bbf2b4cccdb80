"""What will happen in a run: every fault, drawn from a seed before anything starts.

Pure.  The same seed, length and number of workers give the same schedule on any machine.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

#: The broker, and the gamer's own line to it, as targets beside the workers' names.
BROKER = "broker"
SESSION = "session"
#: Seconds after the start at which faults begin, and before the end at which all are over.
QUIET_START, QUIET_END = 2.0, 3.0
#: Seconds that a worker is left alone after a fault, so that the next one finds it at work.
REST = 1.0
#: The same after its death: a new one has to start.
REST_DEAD = 4.0


class Kind(Enum):
    """What can go wrong."""

    KILL = "kill -9 of a worker"
    HALF = "kill -9 of half of the workers at once"
    STOP = "SIGSTOP of a worker"
    SLOW = "slow peer"
    LIE = "lying peer"
    MUTE = "peer that never answers"
    SKEW = "clock skew at a peer"
    BROKER = "broker killed and restarted"
    CUT = "connections cut"
    PAUSE = "line silent"
    DELAY = "line long"
    BANDWIDTH = "line narrow"
    LOSS = "messages lost"
    DUPLICATE = "messages duplicated"
    DISK = "no disk for logs"


#: What a liar sends in place of its work: bytes that are no picture, a picture of noise, black,
#: its own work of some frames ago, its work moved by some pixels, another chunk's picture.
LIES = ("garbage", "noise", "black", "stale", "shifted", "other")
#: How a peer does not answer: it throws each chunk away at once and asks for more, or keeps it.
SILENCES = ("swallow", "hang")
#: How a disk is full: no file may grow (RLIMIT_FSIZE), or a file has the folder's name.
DISKS = ("full", "folder")

#: Seconds that each lasts, at least and at most.
_LENGTH: dict[Kind, tuple[float, float]] = {
    Kind.KILL: (0.5, 1.5),
    Kind.HALF: (0.5, 1.0),
    Kind.STOP: (0.3, 3.0),
    Kind.SLOW: (1.0, 3.0),
    Kind.LIE: (2.0, 5.0),
    Kind.MUTE: (0.5, 3.0),
    Kind.SKEW: (1.0, 3.0),
    Kind.BROKER: (0.1, 1.0),
    Kind.CUT: (0.0, 0.0),
    Kind.PAUSE: (0.2, 1.5),
    Kind.DELAY: (1.0, 3.0),
    Kind.BANDWIDTH: (1.0, 3.0),
    Kind.LOSS: (1.0, 1.0),
    Kind.DUPLICATE: (1.0, 1.0),
    Kind.DISK: (1.0, 3.0),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    ``at`` and ``seconds`` are its begin after the run's start and its length.  ``targets`` are
    workers' names, :data:`BROKER` or :data:`SESSION`.  ``value`` is how bad it is: a factor
    (SLOW), milliseconds of round trip (DELAY), bits per second (BANDWIDTH), seconds (SKEW), or
    how many messages (LOSS, DUPLICATE); ``how`` is one of :data:`LIES`, :data:`SILENCES` or
    :data:`DISKS`.
    """

    at: float
    kind: Kind
    targets: tuple[str, ...]
    seconds: float
    value: float = 0.0
    how: str = ""

    @property
    def until(self) -> float:
        """Return when it is over, in seconds after the run's start."""
        return self.at + self.seconds

    def __str__(self) -> str:
        detail = " ".join(part for part in (f"{self.value:g}" if self.value else "", self.how))
        return (
            f"{self.at:7.2f} s  {self.kind.value} ({', '.join(self.targets)}"
            f"{'; ' + detail.strip() if detail.strip() else ''}) for {self.seconds:.2f} s"
        )


class _Draw:
    """One drawing of a schedule."""

    def __init__(self, seed: int, workers: tuple[str, ...], proxied: tuple[str, ...]) -> None:
        self.random = random.Random(seed)
        self.workers = workers
        self.proxied = proxied
        self.busy_until = dict.fromkeys((*workers, BROKER, SESSION), 0.0)
        self.bag: list[Kind] = []

    def fault(self, at: float, end: float) -> Fault | None:
        """Draw the next fault: each kind once before any comes again."""
        if not self.bag:
            self.bag = list(Kind)
            self.random.shuffle(self.bag)
        for index, kind in enumerate(self.bag):
            targets = self._targets(kind, at)
            if targets:
                del self.bag[index]
                return self._of(kind, targets, at, end)
        return None

    def _free(self, names: tuple[str, ...], at: float) -> list[str]:
        return [name for name in names if self.busy_until[name] <= at]

    def _targets(self, kind: Kind, at: float) -> tuple[str, ...]:
        free = self._free(self.workers, at)
        match kind:
            case Kind.BROKER | Kind.LOSS | Kind.DUPLICATE:
                return (BROKER,) if self._free((BROKER,), at) else ()
            case Kind.HALF:
                half = len(self.workers) // 2
                return tuple(sorted(self.random.sample(free, half))) if len(free) > half else ()
            case Kind.CUT | Kind.PAUSE | Kind.DELAY | Kind.BANDWIDTH:
                free = self._free((*self.proxied, SESSION), at)
            case Kind.DISK:
                free = self._free((*self.workers, SESSION), at)
        return (self.random.choice(free),) if free else ()

    def _of(self, kind: Kind, targets: tuple[str, ...], at: float, end: float) -> Fault:
        draw = self.random
        least, most = _LENGTH[kind]
        seconds = min(round(draw.uniform(least, most), 3), max(0.0, end - at))
        value, how = 0.0, ""
        match kind:
            case Kind.SLOW:
                value = draw.choice((10, 10, 50))
            case Kind.SKEW:
                value = draw.choice((-3600, 3600))
            case Kind.DELAY:
                value = draw.choice((20, 80, 200))
            case Kind.BANDWIDTH:
                value = draw.choice((1e6, 4e6, 16e6))
            case Kind.LOSS | Kind.DUPLICATE:
                value = draw.randint(1, 12)
            case Kind.LIE:
                how = draw.choice(LIES)
            case Kind.MUTE:
                how = draw.choice(SILENCES)
            case Kind.DISK:
                # No limit on the gamer's own process: it is the one that keeps the records.
                how = draw.choice(DISKS) if targets != (SESSION,) else "folder"
        rest = REST_DEAD if kind in {Kind.KILL, Kind.HALF, Kind.BROKER} else REST
        for target in targets:
            self.busy_until[target] = at + seconds + rest
        return Fault(at, kind, targets, seconds, value, how)


def schedule(
    seed: int,
    seconds: float,
    workers: tuple[str, ...],
    proxied: tuple[str, ...],
    every: float = 2.0,
) -> tuple[Fault, ...]:
    """Draw the faults of a run, in order.

    Args:
        seed: the same one gives the same faults.
        seconds: length of the run; all faults are over :data:`QUIET_END` before it ends.
        workers: names of all workers.
        proxied: those whose line to the broker can be harmed.
        every: seconds from one fault's begin to the next one's.
    """
    draw = _Draw(seed, workers, proxied)
    end = seconds - QUIET_END
    faults = []
    at = QUIET_START
    while at < end:
        fault = draw.fault(round(at, 3), end)
        if fault is not None:
            faults.append(fault)
        at += every
    return tuple(faults)
