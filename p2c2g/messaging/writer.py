"""The thread that takes results to the broker, so that the pool's threads need not wait."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

import redis
from redis.exceptions import ResponseError

from p2c2g.messaging.errors import BROKER_ERRORS
from p2c2g.messaging.pipelining import CommandStream

logger = logging.getLogger(__name__)

#: Results waiting to leave, oldest dropped: none of them is worth more than a deadline.
MAX_WAITING = 512
#: Seconds after which a finished result is of no use to any session.
RESULT_LIFETIME = 2.0
#: Seconds between attempts to reach a broker that is away.
RETRY_INTERVAL = 0.1
#: Seconds after the last result at which its reply is looked for.
CONFIRM_INTERVAL = 0.05
#: Seconds without any reply after which the connection counts as dead.
SILENCE = 1.0

Commands = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One result's commands, and when it was finished (seconds of the writer's clock)."""

    commands: Commands
    finished_at: float

    @property
    def size(self) -> int:
        """Return about how many bytes it has."""
        return sum(len(part) for one in self.commands for part in one if isinstance(part, bytes))


class ResultWriter:
    """A thread that sends results in order, and again where the broker went away.

    Where the line is free and the kernel has room, a result leaves from the thread that
    finished it, which costs no change of threads.

    What waits is bounded by :data:`MAX_WAITING`, dropping the oldest, and what is older than
    :data:`RESULT_LIFETIME` is dropped rather than sent; ``dropped`` counts both.  Results
    leave without waiting for the replies to earlier ones; one whose reply was lost with its
    connection is sent again, and its reader knows the duplicate by its attempt.

    Args:
        pool: gives the connections' pool; asked for by the thread, at its first result.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        pool: Callable[[], redis.ConnectionPool],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._stream = CommandStream(pool, patience=SILENCE)
        self._clock = clock
        self._waiting: deque[Outgoing] = deque()
        self._unconfirmed: deque[Outgoing] = deque()
        self._answered_at = 0.0
        self._changed = threading.Condition()
        # Its holder uses the stream; never taken by one who holds the condition's.
        self._line = threading.Lock()
        self._asleep = False
        self._woken = True
        self._closing = False
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def put(self, commands: Commands) -> None:
        """Hand over one result; never blocks.  After :meth:`close` it starts again."""
        outgoing = Outgoing(commands, self._clock())
        with self._changed:
            self._waiting.append(outgoing)
            self._trim()
            self.open()
        sent = False
        if self._line.acquire(blocking=False):
            try:
                sent = self._send_at_once(outgoing)
            finally:
                self._line.release()
        with self._changed:
            if not sent or self._waiting or self._asleep:
                self._changed.notify()

    def _send_at_once(self, outgoing: Outgoing) -> bool:
        """Send a result from the thread that finished it, where that waits for nothing."""
        try:
            self._confirm(wait=False)
            if len(self._waiting) > 1 or outgoing.size > self._stream.room():
                return False
            self._send()
        except BROKER_ERRORS as error:
            self._recover(error)
            return False
        return True

    def open(self) -> None:
        """Connect now, so that the first result need not wait for it; never blocks."""
        with self._changed:
            if self._thread is None:
                self._closing = False
                self._thread = threading.Thread(target=self._run, name="p2c2g-results", daemon=True)
                self._thread.start()

    def close(self, timeout: float = 3.0) -> bool:
        """Send what waits, for at most ``timeout`` seconds, and end the thread.

        Returns:
            Whether the thread has ended: everything was confirmed, or was too old.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        with self._line, suppress(*BROKER_ERRORS):  # The first result tells.
            self._stream.connect()
        while True:
            with self._changed:
                if not self._waiting and not self._closing:
                    # Timed while results come, so that nobody need wake it for each.
                    self._asleep = not self._unconfirmed and not self._woken
                    self._woken = False
                    self._changed.wait(None if self._asleep else CONFIRM_INTERVAL)
                    self._asleep = False
                closing = self._closing
            away = False
            with self._line:
                try:
                    self._confirm(wait=False)
                    self._send()
                    if closing:
                        self._confirm(wait=True)
                except BROKER_ERRORS as error:
                    away = self._recover(error)
            if away:
                # Not woken by new results: each would be one more attempt.
                threading.Event().wait(RETRY_INTERVAL)
            if closing:
                with self._line, self._changed:
                    if not self._waiting and not self._unconfirmed:
                        self._stream.close()
                        self._thread = None
                        return

    def _recover(self, error: Exception) -> bool:
        """Deal with what the stream raised; tell whether the broker is away."""
        if isinstance(error, ResponseError):
            # It is there and refuses, for instance because it is full.
            logger.warning("The broker refused a result: %s", error)
            self._confirm_answered()
            return False
        logger.warning("Results wait for the broker: %s", error)
        self._stream.close()
        self._keep_for_later()
        return True

    def _take(self) -> list[Outgoing]:
        oldest = self._clock() - RESULT_LIFETIME
        with self._changed:
            batch = [outgoing for outgoing in self._waiting if outgoing.finished_at >= oldest]
            self.dropped += len(self._waiting) - len(batch)
            self._waiting.clear()
        return batch

    def _send(self) -> None:
        batch = self._take()
        if not batch:
            return
        was_idle = not self._unconfirmed
        self._woken = True
        self._unconfirmed.extend(batch)
        try:
            self._stream.send([command for result in batch for command in result.commands])
        except ResponseError:
            # An earlier result was refused; this batch has not left.
            for _ in batch:
                self._unconfirmed.pop()
            with self._changed:
                self._waiting.extendleft(reversed(batch))
            raise
        if was_idle:
            self._answered_at = self._clock()  # After connecting, which takes its time.

    def _confirm(self, *, wait: bool) -> None:
        if self._stream.collect(leave=0 if wait else None):
            self._answered_at = self._clock()
        self._confirm_answered()
        if self._unconfirmed and self._clock() - self._answered_at > SILENCE:
            raise redis.TimeoutError(f"no reply for {SILENCE:g} s")

    def _confirm_answered(self) -> None:
        outstanding = sum(len(result.commands) for result in self._unconfirmed)
        while self._unconfirmed:
            outstanding -= len(self._unconfirmed[0].commands)
            if outstanding < self._stream.unanswered:
                break
            self._unconfirmed.popleft()

    def _keep_for_later(self) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(self._unconfirmed))
            self._unconfirmed.clear()
            self._trim()

    def _trim(self) -> None:
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
