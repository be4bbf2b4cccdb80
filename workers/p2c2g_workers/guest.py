"""A good guest: the bootstep that pauses a worker while its machine is needed by the owner.

What is promised is in :mod:`p2c2g.commands.guest`, when to pause in
:mod:`p2c2g_workers.guest_policy`; here the readings are taken and the reads stopped.  A pause
that lasts recalls the outstanding reads, and the peer says that it is paused; a short one for
a rate only sends no more reads.  What has been received is finished either way.  A limit of the
line is no pause: there are never more reads outstanding than it has room for.

Where the owner can change what they want while the worker runs (:mod:`p2c2g_workers.wishes`), each
decision goes by what is wanted then.
"""

from __future__ import annotations

import logging
import math
import threading
from datetime import datetime, time
from time import monotonic
from typing import Any

import psutil
from celery import bootsteps, signals
from celery.worker import state

from p2c2g.commands.guest import Limits
from p2c2g.errors import UsageError
from p2c2g.lending.peer_settings import LimitsPart
from p2c2g.messaging.metering import meter
from p2c2g.system import priority
from p2c2g.system.cpus import cores
from p2c2g_workers import guest_policy
from p2c2g_workers.guest_policy import Policy, Readings, Verdict
from p2c2g_workers.owner import OwnerWatch, own_cpu
from p2c2g_workers.wishes import Wishes, wishes_of_process

logger = logging.getLogger(__name__)

#: Seconds between two decisions: where a rate is kept, and otherwise.
QUICK, SLOW = 0.05, 0.5
#: A guest's priority, as ``nice`` counts: 0 is the usual, 19 the lowest.
NICE = 10
#: Bytes around a result's picture.
AROUND_RESULT = 1024
#: Weight of the newest result in the average of their sizes.
SMOOTHING = 0.1


def local_clock() -> time:
    """Return the local time of day."""
    return datetime.now().time()


class Guest(bootsteps.StartStopStep):
    """Keeps the worker to its limits; left out where it has none.

    Args:
        consumer: the worker's.
        max_cpu: such as ``50%`` or ``0.5``, of the whole machine.
        only_idle: whether to work only while nobody uses the machine.
        hours: such as ``22-7``.
        max_mbps: such as ``20``, in megabits a second, in each direction.

    Raises:
        UsageError: a limit is not valid, or cannot be kept in this pool.
    """

    # Enrolment adds consumer.peer, which tells others of a pause.
    requires = ("celery.worker.consumer.tasks:Tasks", "p2c2g_workers.enrolment:EnrolmentStep")

    def __init__(
        self,
        consumer: Any,
        max_cpu: str | float | None = None,
        only_idle: bool = False,
        hours: str | None = None,
        max_mbps: str | float | None = None,
        **kwargs: Any,
    ) -> None:
        self._prefork = bool(consumer.pool.uses_semaphore)
        limits = Limits.parse(
            max_cpu=max_cpu, only_idle=bool(only_idle), hours=hours, max_mbps=max_mbps
        )
        self._wishes: Wishes | None = None
        if not self._prefork:
            self._wishes = consumer.wishes = wishes_of_process(_part(limits))
            limits = limits if self._wishes is None else self._wishes.limits()
        if self._prefork and limits.max_mbps is not None:
            raise UsageError(
                "--max-mbps cannot be kept with -P processes, whose results leave by themselves: "
                "use -P threads."
            )
        self.enabled = bool(limits) or self._wishes is not None
        super().__init__(consumer, **kwargs)
        if not self.enabled:
            return
        be_nice()  # Before the pool's threads and processes start: they inherit it.
        self._pool = consumer.pool
        self._owner: OwnerWatch | None = None
        self._follow(limits)
        self._results = ResultBytes()
        self._channel: Any = None
        self._timer: Any = None
        self._verdict = Verdict(False)

    def start(self, consumer: Any) -> None:
        """Decide before the first read and then repeatedly; runs again after a reconnect."""
        self._channel = consumer.task_consumer.channel
        self._verdict = Verdict(False)
        if self._owner is not None:
            self._owner.start()
        self._decide(consumer)
        self._arm(consumer)

    def stop(self, consumer: Any) -> None:
        """Stop deciding."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._owner is not None:
            self._owner.stop()

    def _arm(self, consumer: Any) -> None:
        interval = QUICK if self._policy.quick else SLOW
        # On the loop's thread where there is a loop.
        self._timer = consumer.timer.call_repeatedly(interval, self._decide, (consumer,))

    def _follow(self, limits: Limits) -> None:
        """Decide by these limits from now on."""
        self._limits = limits
        self._policy = Policy(limits, cores(), quiet=guest_policy.QUIET)
        if self._owner is not None and not limits.only_idle:
            self._owner.stop()
            self._owner = None
        elif self._owner is None and limits.only_idle:
            self._owner = OwnerWatch(self._own_cpu)

    def _follow_wishes(self, consumer: Any) -> None:
        """Look whether the owner wants something else."""
        limits = self._limits if self._wishes is None else self._wishes.limits()
        if limits == self._limits:
            return
        line, watched = self._limits.max_mbps, self._owner
        self._follow(limits)
        if self._owner is not None and watched is None:
            self._owner.start()
        if limits.max_mbps != line:
            consumer.tell_line(limits.max_mbps)
        if self._timer is not None:
            self._timer.cancel()
            self._arm(consumer)

    def _decide(self, consumer: Any) -> None:
        self._follow_wishes(consumer)
        readings = self._readings()
        before, self._verdict = self._verdict, self._policy.judge(readings)
        verdict = self._verdict
        channel, transport = self._channel, consumer.connection.transport
        more = self._policy.more(
            channel.usual, self._results.usual, transport.round_trip, readings.now
        )
        channel.allowance = math.inf
        if more is not None:
            # Half a chunk more: one may be larger than the usual.
            channel.allowance = (channel.reads + more + 0.5) * max(channel.usual, 1.0)
        if verdict == before:
            return
        if not verdict.paused:
            self._channel.resume()
        elif not before.paused or (verdict.reason and not before.reason):
            self._channel.pause(recall=bool(verdict.reason))
        if verdict.reason == before.reason:
            return
        logger.info("Paused: %s." if verdict.reason else "Works again.%s", verdict.reason)
        peer = getattr(consumer, "peer", None)
        if peer is None:
            return
        if verdict.reason:
            peer.pause(verdict.reason)
        else:
            peer.resume()

    def _readings(self) -> Readings:
        owner = self._owner
        return Readings(
            now=monotonic(),
            clock=local_clock(),
            cpu=sum(self._own_cpu()),
            received=meter.down,
            sent=meter.up,
            asked=self._channel.reads * max(self._channel.usual, 1.0),
            owed=(self._channel.reads + len(state.reserved_requests)) * self._results.usual,
            idle=owner.idle_now() if owner is not None else None,
            others=owner.others if owner is not None else 0.0,
            paused="" if self._wishes is None else self._wishes.paused(),
        )

    def _own_cpu(self) -> tuple[float, float]:
        return own_cpu(self._pool.info.get("processes", ()) if self._prefork else ())


class ResultBytes:
    """How many bytes the results that the pool's threads make have of late, 0 before the first."""

    def __init__(self) -> None:
        self.usual = 0.0
        self._lock = threading.Lock()
        # Weakly held by the signal.
        signals.task_postrun.connect(self._on_end, dispatch_uid="p2c2g-guest")

    def _on_end(self, retval: Any = None, **_: Any) -> None:
        payload = getattr(retval, "payload", b"")
        if isinstance(payload, bytes):
            size = len(payload) + AROUND_RESULT
            with self._lock:
                self.usual += (SMOOTHING if self.usual else 1.0) * (size - self.usual)


def _part(limits: Limits) -> LimitsPart:
    """Return limits as a file has them."""
    return LimitsPart(
        max_cpu="" if limits.max_cpu is None else f"{100 * limits.max_cpu:g}%",
        only_idle=limits.only_idle,
        hours="" if limits.hours is None else str(limits.hours),
        max_mbps=limits.max_mbps or 0,
    )


def be_nice() -> None:
    """Give this process the priority of a guest."""
    try:
        priority.lower(NICE)
    except (OSError, psutil.Error) as error:
        logger.warning("Could not lower this worker's priority: %s", error)
