"""ZeroMQ: no broker at all, and so the floor below the floor.

The client is a DEALER that speaks as a REQ does (an empty frame first), so that many requests
may be outstanding.  The worker is the guide's "multithreaded server": a ROUTER in front, a
DEALER behind, one REP a thread.  The ROUTER connects, through the delay, and the client binds,
since a peer at home is behind a router that lets nobody in.
"""

from __future__ import annotations

import subprocess
import threading
from typing import Any, ClassVar

import zmq

from benchmarks.contenders import Bench, Wait, start_worker, work, worker_terms
from p2c2g.system import processes

_NUMBER = 8  # bytes


class ZeroMQ:
    """Requests straight to the worker's threads."""

    remote: ClassVar[bool] = True

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._worker: subprocess.Popen[bytes] | None = None
        self._sent = 0
        self._done: dict[int, bytes] = {}

    def start(self, bench: Bench) -> None:
        """Bind the client and start the worker."""
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        url = f"tcp://127.0.0.1:{bench.far(port)}"
        self._worker = start_worker(__name__, bench, url)

    def submit(self, payload: bytes) -> Wait:
        """Send one numbered request."""
        self._sent += 1
        number = self._sent
        self._socket.send_multipart([b"", number.to_bytes(_NUMBER), payload])
        return lambda timeout: self._take(number, timeout)

    def _take(self, number: int, timeout: float) -> bytes:
        while number not in self._done:
            if not self._socket.poll(int(timeout * 1000)):
                raise TimeoutError
            _, key, payload = self._socket.recv_multipart()
            self._done[int.from_bytes(key)] = payload
        return self._done.pop(number)

    def stop(self) -> None:
        """End the worker and close the socket."""
        if self._worker is not None:
            processes.stop(self._worker)
        self._context.destroy(linger=0)


def main() -> None:
    """Run the worker."""
    url, threads, work_ms = worker_terms()
    context: Any = zmq.Context()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    front.connect(url)
    back.bind("inproc://threads")

    def serve() -> None:
        socket = context.socket(zmq.REP)
        socket.connect("inproc://threads")
        while True:
            request = socket.recv_multipart()
            work(work_ms)
            socket.send_multipart(request)

    for _ in range(threads):
        threading.Thread(target=serve, daemon=True).start()
    zmq.proxy(front, back)


if __name__ == "__main__":
    main()
