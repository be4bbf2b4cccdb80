"""A good guest: the bootstep that pauses a worker while its machine is needed by the owner.

What is promised is in :mod:`p2c2g.commands.guest`, when to pause in
:mod:`p2c2g_workers.guest_policy`; here the readings are taken and the reads stopped.  A pause
that lasts recalls the outstanding reads, and the peer says that it is paused; a short one for
a rate only sends no more reads.  What has been received is finished either way.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from datetime import datetime, time
from time import monotonic
from typing import Any

import psutil
from celery import bootsteps, signals

from p2c2g.commands.guest import Limits
from p2c2g.errors import UsageError
from p2c2g.system.cpus import cores
from p2c2g_workers import guest_policy
from p2c2g_workers.guest_policy import Policy, Readings, Verdict
from p2c2g_workers.owner import OwnerWatch, own_cpu

logger = logging.getLogger(__name__)

#: Seconds between two decisions: where a rate is kept, and otherwise.
QUICK, SLOW = 0.05, 0.5
#: A guest's priority, as ``nice`` counts: 0 is the usual, 19 the lowest.
NICE = 10


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
        max_mbps: such as ``20``, in megabits a second.

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
        if self._prefork and limits.max_mbps is not None:
            raise UsageError(
                "--max-mbps cannot be kept with -P processes, whose results leave by themselves: "
                "use -P threads."
            )
        self.enabled = bool(limits)
        super().__init__(consumer, **kwargs)
        if not self.enabled:
            return
        be_nice()  # Before the pool's threads and processes start: they inherit it.
        self._pool = consumer.pool
        self._policy = Policy(limits, cores(), quiet=guest_policy.QUIET)
        self._owner = OwnerWatch(self._own_cpu) if limits.only_idle else None
        self._results = ResultBytes()
        self._received = 0
        self._channel: Any = None
        self._timer: Any = None
        self._verdict = Verdict(False)

    def start(self, consumer: Any) -> None:
        """Decide before the first read and then repeatedly; runs again after a reconnect."""
        if self._channel is not None:
            self._received += self._channel.traffic
        self._channel = consumer.task_consumer.channel
        self._verdict = Verdict(False)
        if self._owner is not None:
            self._owner.start()
        self._decide(consumer)
        interval = QUICK if self._policy.quick else SLOW
        # On the loop's thread where there is a loop.
        self._timer = consumer.timer.call_repeatedly(interval, self._decide, (consumer,))

    def stop(self, consumer: Any) -> None:
        """Stop deciding."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._owner is not None:
            self._owner.stop()

    def _decide(self, consumer: Any) -> None:
        before, self._verdict = self._verdict, self._policy.judge(self._readings())
        verdict = self._verdict
        self._channel.allowance = self._policy.allowance
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
            traffic=self._received + self._channel.traffic + self._results.count,
            idle=owner.idle_now() if owner is not None else None,
            others=owner.others if owner is not None else 0.0,
        )

    def _own_cpu(self) -> tuple[float, float]:
        return own_cpu(self._pool.info.get("processes", ()) if self._prefork else ())


class ResultBytes:
    """Counts the bytes of the results that the pool's threads make."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()
        # Weakly held by the signal.
        signals.task_postrun.connect(self._on_end, dispatch_uid="p2c2g-guest")

    def _on_end(self, retval: Any = None, **_: Any) -> None:
        payload = getattr(retval, "payload", b"")
        if isinstance(payload, bytes):
            with self._lock:
                self.count += len(payload)


def be_nice() -> None:
    """Give this process the priority of a guest."""
    try:
        if sys.platform == "win32":
            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            os.nice(max(0, NICE - os.nice(0)))
    except (OSError, psutil.Error) as error:
        logger.warning("Could not lower this worker's priority: %s", error)
