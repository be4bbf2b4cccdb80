"""When a guest pauses, decided from readings alone: no clock, no I/O.

There are two kinds of reason.  Those that last are reported at once: the hour, the owner at the
machine.  The two *rates*, CPU and bandwidth, are token buckets: work may overdraw one, since nobody
knows what a chunk will cost, and then there is a pause until the debt is paid, so the average
holds.  Such a pause is reported only once it has lasted :data:`TOLD_AFTER`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import time

from p2c2g.commands.guest import Limits
from p2c2g.timing.bucket import TokenBucket

#: Seconds without anybody at the machine after which an ``only_idle`` guest works again.
QUIET = 60.0
#: Share of the machine's CPU in use by others above which somebody is at work there.
OTHERS_MOST = 0.25
#: Seconds that a pause for a rate lasts before it is reported.
TOLD_AFTER = 1.0
#: Seconds of its rate that a bucket holds: how unevenly it may be used.
BURST = 0.2


@dataclass(frozen=True, slots=True)
class Readings:
    """What is known of the machine at one moment.

    Args:
        now: seconds, monotonic.
        clock: the local time of day.
        cpu: CPU seconds that this peer has used so far.
        traffic: bytes of chunks and results so far.
        idle: seconds since the owner's last input; None where that cannot be known.
        others: share of the machine's CPU in use by others lately, 0 to 1.
    """

    now: float
    clock: time
    cpu: float = 0.0
    traffic: int = 0
    idle: float | None = None
    others: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to pause; ``reason`` is for others, "" where they need not know."""

    paused: bool
    reason: str = ""


class Rate:
    """Keeps what is used to a rate: pauses where its bucket is overdrawn, until it is half full.

    Args:
        rate: tokens a second.
        burst: seconds of them that the bucket holds.
    """

    def __init__(self, rate: float, burst: float = BURST) -> None:
        self._bucket = TokenBucket(rate, rate * burst)
        self._half = rate * burst / 2
        self._used: float | None = None
        self._paused = False

    @property
    def tokens(self) -> float:
        """Return what may be used at once; below 0 where too much was."""
        return self._bucket.tokens

    def paused(self, now: float, used: float) -> bool:
        """Tell whether to pause, ``used`` tokens in all at ``now`` seconds.

        A count that went backwards (a child process of the pool has ended) costs nothing.
        """
        if self._used is not None:
            self._bucket.spend(max(0.0, used - self._used))
        self._used = used
        # Only now: what a full bucket could not hold has paid for what was used meanwhile.
        self._bucket.fill(now)
        self._paused = self.tokens < self._half if self._paused else self.tokens <= 0
        return self._paused


class Policy:
    """One guest's decisions.  Belongs to one thread.

    Args:
        limits: the limits that it keeps to.
        cores: the machine's; ``max_cpu`` is a share of them all.
        quiet: seconds without the owner after which it works again.
    """

    def __init__(self, limits: Limits, cores: int, quiet: float = QUIET) -> None:
        self._limits = limits
        self._quiet = quiet
        self._cpu = Rate(limits.max_cpu * cores) if limits.max_cpu is not None else None
        self._line = Rate(limits.max_mbps * 125_000) if limits.max_mbps is not None else None
        self._owner_at = float("-inf")
        self._owner = ""
        self._rate_since: float | None = None

    @property
    def quick(self) -> bool:
        """Return whether it has to be asked many times a second."""
        return self._cpu is not None or self._line is not None

    @property
    def allowance(self) -> float:
        """Return the bytes of chunks that may come until it is asked again.

        Half of what the line's bucket holds: each of them will have a result.
        """
        return math.inf if self._line is None else max(0.0, self._line.tokens) / 2

    def judge(self, readings: Readings) -> Verdict:
        """Return whether to pause now.  Readings come in the order of their time."""
        # Both buckets are updated in any case.
        rate = self._over_rate(readings)
        reason = self._away(readings)
        if reason:
            self._rate_since = None
            return Verdict(True, reason)
        if not rate:
            self._rate_since = None
            return Verdict(False)
        if self._rate_since is None:
            self._rate_since = readings.now
        told = readings.now - self._rate_since >= TOLD_AFTER
        return Verdict(True, rate if told else "")

    def _away(self, readings: Readings) -> str:
        hours = self._limits.hours
        if hours is not None and readings.clock not in hours:
            return f"it works from {str(hours).replace('-', ' to ')} o'clock only"
        if not self._limits.only_idle:
            return ""
        if readings.others > OTHERS_MOST:
            self._owner_at = readings.now
            self._owner = "other programs need the CPU"
        if readings.idle is not None and readings.now - readings.idle > self._owner_at:
            self._owner_at = readings.now - readings.idle
            self._owner = "its owner is at the machine"
        return self._owner if readings.now - self._owner_at < self._quiet else ""

    def _over_rate(self, readings: Readings) -> str:
        reason = ""
        if self._line is not None and self._line.paused(readings.now, readings.traffic):
            reason = f"it may send and receive {self._limits.max_mbps:g} Mbit/s at most"
        if self._cpu is not None and self._cpu.paused(readings.now, readings.cpu):
            reason = f"it may use {100 * (self._limits.max_cpu or 0):g} % of the CPU at most"
        return reason
