"""The floor: two Redis lists and nothing else.

There: ``LPUSH`` by the client, ``BRPOP`` by the worker.  Back: ``RPUSH`` to one reply list,
``BLPOP`` by the client.  No envelope beyond an eight-byte number, no acknowledgement, no retry.

The worker keeps four ``BRPOP`` a thread sent ahead on one connection, and writes results on
another without waiting for the answers: so a far worker pays each way once, which is the least
that a broker of lists allows.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import redis

from benchmarks.contenders import Bench, Wait, start_worker, work, worker_terms
from p2c2g.system import processes

_TASKS, _REPLIES = b"bench:tasks", b"bench:replies"
_NUMBER = 8  # bytes


class RedisLists:
    """Raw list commands, there and back."""

    remote: ClassVar[bool] = True

    def __init__(self) -> None:
        self._stops: list[Any] = []
        self._sent = 0
        self._done: dict[int, bytes] = {}

    def start(self, bench: Bench) -> None:
        """Connect one client for each direction and start the worker."""
        # Without a socket timeout, as BLPOP has its own.
        self._push = redis.Redis.from_url(bench.broker_url, socket_timeout=None)
        self._pop = redis.Redis.from_url(bench.broker_url, socket_timeout=None)
        worker = start_worker(__name__, bench, bench.far_broker_url)
        self._stops = [lambda: processes.stop(worker), self._push.close, self._pop.close]

    def submit(self, payload: bytes) -> Wait:
        """Push one numbered payload."""
        self._sent += 1
        number = self._sent
        self._push.lpush(_TASKS, number.to_bytes(_NUMBER) + payload)
        return lambda timeout: self._take(number, timeout)

    def _take(self, number: int, timeout: float) -> bytes:
        while number not in self._done:
            item: Any = self._pop.blpop([_REPLIES], timeout)
            if item is None:
                raise TimeoutError
            self._done[int.from_bytes(item[1][:_NUMBER])] = item[1][_NUMBER:]
        return self._done.pop(number)

    def stop(self) -> None:
        """End the worker and disconnect."""
        for stop in self._stops:
            stop()


def main() -> None:
    """Run the worker."""
    url, threads, work_ms = worker_terms()
    pool = redis.ConnectionPool.from_url(url, socket_timeout=None, protocol=2)
    reads: Any = pool.get_connection()
    writes: Any = pool.get_connection()
    # One thread writes: tasks that end together share a packet instead of a lock.
    replies: queue.SimpleQueue[bytes] = queue.SimpleQueue()  # bounded by the reads ahead

    def run(task: bytes) -> None:
        work(work_ms)
        replies.put(task)

    def write() -> None:
        while True:
            ready = [replies.get()]
            while not replies.empty():
                ready.append(replies.get())
            writes.send_packed_command(
                writes.pack_commands([("RPUSH", _REPLIES, reply) for reply in ready])
            )
            reads.send_packed_command(reads.pack_commands([("BRPOP", _TASKS, 0)] * len(ready)))

    def drain() -> None:
        while True:
            writes.read_response()

    ahead = 4 * threads
    reads.send_packed_command(reads.pack_commands([("BRPOP", _TASKS, 0)] * ahead))
    for target in (write, drain):
        threading.Thread(target=target, daemon=True).start()
    with ThreadPoolExecutor(threads) as executor:
        while True:
            executor.submit(run, reads.read_response(disable_decoding=True)[1])


if __name__ == "__main__":
    main()
