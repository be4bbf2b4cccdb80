"""What the round-trip benchmark measures, and under which conditions.

The client sits next to the broker (a Valkey server of its own for every case); the worker is
one process that reaches it through a delay proxy, or directly where the round trip is 0.  The
task takes N KiB of random bytes, works some milliseconds without the interpreter's lock, and
returns the N KiB; every result is compared with what was sent.

Two measures, in this order, after a warm-up:

latency
    one task at a time, each from before it is sent until its result is there;
throughput
    sixteen tasks a thread outstanding all the time, results awaited in the order of sending;
    what came back in the window is counted.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

import numpy as np

from benchmarks.contenders import Bench, Contender, load
from p2c2g.errors import P2C2GError, UnavailableError
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.testing.delay_proxy import DelayProxy

#: Fewest samples of the latency; a slow contender gets up to twice the seconds for them.
SAMPLES = 100
#: Tasks outstanding for each thread, for the throughput: more than 1,000 a second times 50 ms
#: needs, so that the far worker, not the client, sets the pace.
OUTSTANDING = 16
#: Seconds for the first result, with the worker's start, and for any other.
FIRST_RESULT, NEXT_RESULT = 60.0, 20.0


@dataclass(frozen=True, slots=True)
class Case:
    """One row of conditions: milliseconds of round trip, KiB each way."""

    rtt: float
    kib: float

    def __str__(self) -> str:
        return f"rtt={self.rtt:g},kib={self.kib:g}"

    @property
    def told(self) -> str:
        """Return it in words."""
        return f"RTT {self.rtt:g} ms · {self.kib:g} KiB each way"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is the same for every case; ``seconds`` for each of the two measures."""

    work_ms: float
    threads: int
    seconds: float

    @property
    def told(self) -> str:
        """Return them in words."""
        return f"{self.work_ms:g} ms of work · {self.threads} threads"


#: A peer 20 ms away that takes and gives 30 KiB and works 5 ms, on 8 threads.
FAR = Case(rtt=20.0, kib=30.0)
WORK_MS, THREADS = 5.0, 8

Tell = Callable[[str], None]


def compare(
    names: Iterable[str], case: Case, terms: Terms, tell: Tell
) -> dict[str, dict[str, float]]:
    """Measure contenders in one case; one that cannot run is left out, and that is told.

    Returns:
        ``{name: figures}``, in the order of the names.
    """
    got: dict[str, dict[str, float]] = {}
    for name in names:
        tell(f"round trip: {name}, {case}")
        try:
            got[name] = measure(name, load(name), case, terms)
        except P2C2GError as error:
            tell(f"left out. {error}")
    return got


def measure(name: str, contender: Contender, case: Case, terms: Terms) -> dict[str, float]:
    """Measure one contender in one case; the name is for its errors.

    Returns:
        Percentiles of the latency in milliseconds, and tasks a second.

    Raises:
        UnavailableError: it cannot run here, or gives no result.
    """
    if case.rtt and not contender.remote:
        raise UnavailableError(
            f"{name} cannot be put behind the delay: it is measured with --rtt 0 only."
        )
    payload = random.Random(7).randbytes(round(case.kib * 1024))
    with ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile())
        broker = stack.enter_context(EmbeddedBroker())

        def far(port: int) -> int:
            if not case.rtt:
                return port  # as Ray, which nothing can stand before
            return stack.enter_context(DelayProxy(HOST, port, rtt_ms=case.rtt)).port

        far_broker_url = broker.url.replace(f":{broker.port}/", f":{far(broker.port)}/")
        stack.callback(contender.stop)
        bench = Bench(broker.url, far_broker_url, far, terms.threads, terms.work_ms, log)
        try:
            contender.start(bench)
            _warm_up(contender, payload, terms)
            latencies = _latencies(contender, payload, terms.seconds)
            rate = _throughput(contender, payload, terms)
        except TimeoutError as error:
            raise UnavailableError(
                f"{name} gave no result in time. Its worker's last words: {_last_line(log)}"
            ) from error
    p50, p95, p99 = (float(value) for value in np.percentile(latencies, [50, 95, 99]))
    return {
        "p50_ms": round(p50, 3),
        "p95_ms": round(p95, 3),
        "p99_ms": round(p99, 3),
        "tasks_per_s": round(rate, 1),
    }


def _call(contender: Contender, payload: bytes, timeout: float = NEXT_RESULT) -> float:
    """Run one task and return its milliseconds."""
    start = time.perf_counter()
    result = contender.submit(payload)(timeout)
    took = (time.perf_counter() - start) * 1000
    _check(result, payload)
    return took


def _check(result: bytes, payload: bytes) -> None:
    if result != payload:
        raise UnavailableError("A result is not what was sent: this contender cannot be measured.")


def _warm_up(contender: Contender, payload: bytes, terms: Terms) -> None:
    """Wait for the worker, then use every thread and connection."""
    _call(contender, payload, FIRST_RESULT)
    waits = [contender.submit(payload) for _ in range(2 * terms.threads)]
    for wait in waits:
        _check(wait(NEXT_RESULT), payload)
    for _ in range(5):
        _call(contender, payload)


def _latencies(contender: Contender, payload: bytes, seconds: float) -> list[float]:
    """Return the milliseconds of one task after the other."""
    start = time.perf_counter()
    samples: list[float] = []
    while (passed := time.perf_counter() - start) < seconds or len(samples) < SAMPLES:
        if passed > 2 * seconds and samples:
            break
        samples.append(_call(contender, payload))
    return samples


def _throughput(contender: Contender, payload: bytes, terms: Terms) -> float:
    """Return tasks a second.

    The first round fills the pipe and does not count, nor does a slow contender's first part
    of it that takes as long as the measure.  What is outstanding at the end dies with the
    case's broker.
    """
    waits = deque(contender.submit(payload) for _ in range(OUTSTANDING * terms.threads))

    def turn() -> None:
        _check(waits.popleft()(NEXT_RESULT), payload)
        waits.append(contender.submit(payload))

    start = time.perf_counter()
    for _ in range(len(waits)):
        turn()
        if time.perf_counter() - start > terms.seconds:
            break
    done, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < terms.seconds or not done:
        turn()
        done += 1
    return done / passed


def _last_line(log: IO[bytes]) -> str:
    """Return the last line that was printed into a log."""
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "(none)")
