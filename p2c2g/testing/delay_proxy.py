"""Help for tests and benchmarks: a slow network on one machine.

:class:`DelayProxy` is a TCP proxy on loopback that holds back every byte, so that a peer on the
same machine behaves as one 20 ms away.  It runs in a process of its own: in the caller's process
it would wait for the caller's interpreter lock, 5 ms at a time.

It models what a line is to those who use TCP over it (:class:`~p2c2g.testing.delay_line.Shape`):
delay, rate, a queue that is deep or is not, jitter, the silences that losses are, rates that
change, and a cut.  It does not model TCP's slow start, how several connections share a line
fairly, or the round trip of a connection's first handshake.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.testing.delay_line import Direction, Shape, Traffic


class DelayProxy:
    """A TCP proxy on 127.0.0.1 in front of ``target_host:target_port``, as a context manager.

    Every byte is delayed by half of ``rtt_ms`` (milliseconds) in each direction and arrives in
    order.  ``bandwidth_bps`` (bits per second, None for no limit) is shared by all connections
    in one direction, as a peer's line is.  Both may be set while it runs; bytes in flight keep
    the delay that they left with.

    ``up`` (away from who dials) and ``down`` are the whole of what a direction is like, and take
    the place of both; :meth:`shape` changes them while it runs.  A line that has a rate when its
    proxy opens keeps loopback's own buffers small, so that what does not fit waits at its sender.

    Every method returns when the proxy has done it.

    Raises:
        UsageError: a number out of its range, or a call while it is not open.
        UnavailableError: its process does not start or has ended.
    """

    def __init__(
        self,
        target_host: str,
        target_port: int,
        rtt_ms: float = 0.0,
        bandwidth_bps: float | None = None,
        *,
        up: Shape | None = None,
        down: Shape | None = None,
    ) -> None:
        self._target = (target_host, target_port)
        self._rtt_ms = _checked_rtt(rtt_ms)
        self._bandwidth_bps = _checked_bandwidth(bandwidth_bps)
        usual = Shape(bps=self._bandwidth_bps, delay_ms=self._rtt_ms / 2)
        self._up, self._down = up or usual, down or usual
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """Return the port on 127.0.0.1 that it listens on."""
        if self._process is None:
            raise UsageError("The delay proxy is not open: use it in a with block.")
        return self._port

    @property
    def rtt_ms(self) -> float:
        """The round trip that it adds, in milliseconds."""
        return self._rtt_ms

    @rtt_ms.setter
    def rtt_ms(self, value: float) -> None:
        self._rtt_ms = _checked_rtt(value)
        self._ask("rtt", self._rtt_ms)

    @property
    def bandwidth_bps(self) -> float | None:
        """The bits per second that each direction carries, or None for no limit."""
        return self._bandwidth_bps

    @bandwidth_bps.setter
    def bandwidth_bps(self, value: float | None) -> None:
        self._bandwidth_bps = _checked_bandwidth(value)
        self._ask("bandwidth", self._bandwidth_bps)

    def shape(self, up: Shape, down: Shape) -> None:
        """Be like that from now on; what waits leaves at the new rate."""
        self._up, self._down = up, down
        self._ask("shape", asdict(up), asdict(down))

    def traffic(self) -> dict[Direction, Traffic]:
        """Return what went over it in the last ten minutes, by seconds of ``time.monotonic``."""
        return {way: Traffic(**each) for way, each in self._ask("traffic").items()}

    @property
    def connections(self) -> int:
        """Return how many connections are open through it now."""
        return int(self._ask("connections"))

    def cut(self) -> None:
        """Reset every connection and drop all bytes in flight; new connections are accepted."""
        self._ask("cut")

    def pause(self) -> None:
        """Deliver nothing in either direction, until :meth:`resume`; nothing is lost."""
        self._ask("pause")

    def resume(self) -> None:
        """Deliver again, first what has waited."""
        self._ask("resume")

    def open(self) -> None:
        """Start the proxy; it listens when this returns."""
        if self._process is not None:
            raise UsageError("The delay proxy is open already: close it first.")
        root = str(Path(__file__).resolve().parents[1])
        inherited = os.environ.get("PYTHONPATH")
        # It ends when its standard input does, so it never outlives its parent, even a killed one.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "p2c2g.testing.delay_process"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, inherited]))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the parent, which then closes it
        )
        try:
            self._port = int(self._ask(*self._target, asdict(self._up), asdict(self._down)))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop every connection and end the proxy.  Closing twice is fine."""
        process, self._process = self._process, None
        if process is None:
            return
        commands, answers = _pipes(process)
        with contextlib.suppress(BrokenPipeError):
            commands.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        answers.close()

    def _ask(self, *command: object) -> Any:
        """Send one command, a verb and its arguments, to the process; return its answer."""
        if self._process is None:
            raise UsageError("The delay proxy is not open: use it in a with block.")
        commands, answers = _pipes(self._process)
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            commands.write(json.dumps(command) + "\n")
            commands.flush()
            answer = answers.readline()
        if not answer:
            raise UnavailableError("The delay proxy's process has ended: open a new one.")
        return json.loads(answer)


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    return cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)


def _checked_rtt(value: float) -> float:
    if not 0 <= value <= 60_000:
        raise UsageError(f"rtt_ms={value} cannot be: give 0 to 60000 milliseconds.")
    return float(value)


def _checked_bandwidth(value: float | None) -> float | None:
    if value is not None and not value >= 1000:
        raise UsageError(f"bandwidth_bps={value} cannot be: give 1000 bits/s or more, or None.")
    return value
