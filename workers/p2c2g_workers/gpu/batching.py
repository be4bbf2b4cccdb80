"""Batches of the jobs that wait now: one thread, equal jobs together, no waiting for more.

A graphics card does eight chunks in hardly more time than one, but a chunk's deadline is too near
to wait for a ninth.  So the thread takes the oldest job and, up to a limit, those of the same kind
that are there at that moment; while it works, others gather.  Order is kept: the oldest is always
in the next batch.

The queue of jobs is bounded, and its drop policy is **refuse the newest**: a job that comes when
it is full is refused at once, and the chunk may run elsewhere.  No job that was taken is lost: it
gets its result or its error, also when the batcher closes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from p2c2g_workers.gpu.errors import BusyError, DeviceError

Job = TypeVar("Job")
Result = TypeVar("Result")

#: Jobs that may wait; a worker sends one a thread of its pool.
MAX_WAITING = 64


class Batcher(Generic[Job, Result]):
    """Runs jobs in batches on a thread of its own; any thread may submit."""

    def __init__(
        self,
        runner: Callable[[Sequence[Job]], Sequence[Result | Exception]],
        max_batch: int,
        *,
        key: Callable[[Job], Hashable] = lambda _job: None,
        max_waiting: int = MAX_WAITING,
        name: str = "batcher",
    ) -> None:
        """Start the thread.

        Args:
            runner: gives one result a job, in their order, or an exception instead of a result;
                what it raises goes to all jobs of the batch.
            max_batch: most jobs in a batch.
            key: jobs with equal keys may be in one batch.
            max_waiting: most jobs that wait; the newest beyond are refused.
            name: the thread's.
        """
        self._runner = runner
        self._key = key
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._name = name
        self._line: deque[tuple[Hashable, Job, Future[Result]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Future[Result]:
        """Put a job at the end of the queue.

        Raises:
            BusyError: the queue is full.
            DeviceError: the batcher is closed.
        """
        found: Future[Result] = Future()
        key = self._key(job)
        with self._changed:
            if self._closed:
                raise DeviceError(f"The {self._name} is closed: send the chunk elsewhere.")
            if len(self._line) >= self._max_waiting:
                raise BusyError(
                    f"{self._max_waiting} chunks wait for the {self._name} already: send this one "
                    "elsewhere."
                )
            self._line.append((key, job, found))
            self._changed.notify()
        return found

    def close(self) -> None:
        """Take no more jobs, finish those that wait, and end the thread; may be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._take():
            ready = [one for one in batch if one[1].set_running_or_notify_cancel()]
            if ready:
                self._run(ready)
            del batch, ready  # or the last pictures would live until the next ones come

    def _take(self) -> list[tuple[Job, Future[Result]]]:
        """Wait for a job and return it with those of its kind; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._line or self._closed)
            if not self._line:
                return []
            wanted = self._line[0][0]
            batch: list[tuple[Job, Future[Result]]] = []
            others: deque[tuple[Hashable, Job, Future[Result]]] = deque()
            while self._line:
                key, job, found = self._line.popleft()
                if key == wanted and len(batch) < self._max_batch:
                    batch.append((job, found))
                else:
                    others.append((key, job, found))
            self._line = others
            return batch

    def _run(self, batch: list[tuple[Job, Future[Result]]]) -> None:
        try:
            results = self._runner([job for job, _ in batch])
            if len(results) != len(batch):
                raise DeviceError(f"{len(batch)} chunks gave {len(results)} results.")
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait for it
            for _, found in batch:
                found.set_exception(error)
            return
        for (_, found), result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                found.set_exception(result)
            else:
                found.set_result(result)
