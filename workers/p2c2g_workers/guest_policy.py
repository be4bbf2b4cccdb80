"""When a guest pauses, decided from readings alone: no clock, no I/O.

There are two kinds of reason.  Those that last are reported at once: the owner's word, the hour,
the owner at the machine.  The other are *rates*.  The CPU's is a token bucket: work may overdraw
it, since nobody knows what a chunk will cost, and then there is a pause until the debt is paid, so
the average holds.  The line's holds in every two seconds and in each direction by itself: chunks
are asked for as far as there is room for them and for their results, so work goes on evenly and
there is no pause, unless one was larger than all of that.  A pause for a rate is reported only once
it has lasted :data:`TOLD_AFTER`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time

from p2c2g.commands.guest import Limits
from p2c2g.lines.least import Least
from p2c2g.timing.bucket import TokenBucket
from p2c2g.timing.held import HeldRate

#: Seconds without anybody at the machine after which an ``only_idle`` guest works again.
QUIET = 60.0
#: Share of the machine's CPU in use by others above which somebody is at work there.
OTHERS_MOST = 0.25
#: Seconds that a pause for a rate lasts before it is reported.
TOLD_AFTER = 1.0
#: Seconds of its rate that a bucket holds: how unevenly it may be used.
BURST = 0.2
#: Seconds for which chunks may be asked for ahead, beyond a round trip: until the next decision.
REACH = 0.1
#: Part of the shortest round trip of late that any chunk takes to come: a way may become shorter.
SURE = 0.8
#: Chunks that are asked for at one decision, at most.
MOST = 256
#: Bytes a second of a megabit a second.
_MEGABIT = 125_000


@dataclass(frozen=True, slots=True)
class Readings:
    """What is known of the machine at one moment.

    Args:
        now: seconds, monotonic.
        clock: the local time of day.
        cpu: CPU seconds that this peer has used so far.
        received: bytes that its connections to the broker have brought so far, of whatever.
        sent: bytes that they have taken.
        asked: bytes of chunks that were asked for and have not come, about.
        owed: bytes of the results of these and of those that are here.
        idle: seconds since the owner's last input; None where that cannot be known.
        others: share of the machine's CPU in use by others lately, 0 to 1.
        paused: why the owner has it paused; "" where that is not so.
    """

    now: float
    clock: time
    cpu: float = 0.0
    received: int = 0
    sent: int = 0
    asked: float = 0.0
    owed: float = 0.0
    idle: float | None = None
    others: float = 0.0
    paused: str = ""


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
        self._down = self._up = None
        if limits.max_mbps is not None:
            self._down, self._up = (HeldRate(limits.max_mbps * _MEGABIT) for _ in range(2))
        self._round_trip = Least()
        self._carried: tuple[int, int] | None = None
        self._owner_at = float("-inf")
        self._owner = ""
        self._rate_since: float | None = None

    @property
    def quick(self) -> bool:
        """Return whether it has to be asked many times a second."""
        return self._cpu is not None or self._down is not None

    def more(self, chunk: float, result: float, round_trip: float, now: float) -> int | None:
        """Return how many more chunks may be asked for; None for any number.

        Args:
            chunk: bytes of one of late, 0 where none has come.
            result: the same of one's result.
            round_trip: seconds to the broker and back.
            now: seconds, monotonic: those of the readings that were judged last.
        """
        down, up = self._down, self._up
        if down is None or up is None:
            return None
        if not chunk:
            return int(not down.promised)
        # As much as is on its way where the rate is used up, and not more: it may come at once.
        reach = down.rate * (round_trip + REACH)
        after = SURE * self._round_trip.add(round_trip, now)
        more = 0
        while (
            down.promised < reach and more < MOST
            and down.fits(chunk, now, after) and up.fits(result, now, after)
        ):  # fmt: skip
            down.promise(chunk, now)
            up.promise(result, now)
            more += 1
        if not more and down.is_full(now) and up.is_full(now):
            # Larger than two seconds of the rate, and no chunk can be cut: one at a time.
            return 1
        return more

    def judge(self, readings: Readings) -> Verdict:
        """Return whether to pause now.  Readings come in the order of their time."""
        # All of them are updated in any case.
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
        if readings.paused:
            return readings.paused
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
        if self._exceeded(readings):
            reason = f"it may send and receive {self._limits.max_mbps:g} Mbit/s at most"
        if self._cpu is not None and self._cpu.paused(readings.now, readings.cpu):
            reason = f"it may use {100 * (self._limits.max_cpu or 0):g} % of the CPU at most"
        return reason

    def _exceeded(self, readings: Readings) -> bool:
        """Note what the line has carried; tell whether something was too large for it."""
        if self._down is None or self._up is None:
            return False
        carried = readings.received, readings.sent
        before, self._carried = self._carried or carried, carried
        self._down.balance(readings.asked, carried[0] - before[0], readings.now)
        self._up.balance(readings.owed, carried[1] - before[1], readings.now)
        return max(self._down.debt(readings.now), self._up.debt(readings.now)) > 0
