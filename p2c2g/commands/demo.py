"""``p2c2g demo``: a whole pool on one machine - broker, peers, session, viewer.

Each part is the real command of its role in a process of its own, and each ends with this
one, however that ends.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.text import Text

from p2c2g.commands.options import stopping_at_signals
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.system import processes
from p2c2g.system.cpus import cores
from p2c2g.system.scratch import Scratch

#: Seconds between two looks at whether every part still runs.
_WATCH_INTERVAL = 0.1
#: Seconds that the session gets to end by itself.
_STOP_TIMEOUT = 10.0


class Demo:
    """A pool on this machine.

    Args:
        peers: workers to start.
        capture: further arguments of ``p2c2g-capture run``.
        flower: whether Flower is started too.
        console: where progress is told.
    """

    def __init__(
        self, peers: int, capture: Sequence[str], *, flower: bool, console: Console
    ) -> None:
        if not 1 <= peers <= 64:
            raise UsageError(f"{peers} peers cannot be started: give 1 to 64.")
        self._peers = peers
        self._capture = list(capture)
        self._flower = flower
        self._console = console
        self._parts: dict[str, tuple[subprocess.Popen[bytes], Path | None]] = {}
        self._stopped = False

    def run(self) -> int:
        """Run until the session ends; return its exit code.

        Raises:
            UnavailableError: a part ended that should not have; its last words are told.
        """
        with ExitStack() as stack:
            stack.enter_context(stopping_at_signals(self._on_stop))
            logs = stack.enter_context(Scratch("demo")).path
            broker = stack.enter_context(EmbeddedBroker())
            peers = "1 peer" if self._peers == 1 else f"{self._peers} peers"
            self._console.print(f"Broker on port {broker.port}, {peers}", style="dim")
            stack.callback(self._end_parts)
            environment = {**os.environ, "P2C2G_BROKER_URL": broker.url}
            for number in range(1, self._peers + 1):
                name = f"peer{number}"
                self._start(name, self._worker(name), environment, logs / f"{name}.log")
            if self._flower:
                port = self._free_port()
                self._start("flower", self._flower_command(port), environment, logs / "flower.log")
                self._console.print("Flower at", Text(f"http://127.0.0.1:{port}", "bold"))
            session = processes.start(
                [*_program("p2c2g-capture"), "run", *self._capture, f"--wait-for={self._peers}"],
                env=environment,
                death_signal=signal.SIGTERM,
            )
            self._parts["session"] = (session, None)
            return self._watch(session)

    def _on_stop(self) -> None:
        self._stopped = True

    def _watch(self, session: subprocess.Popen[bytes]) -> int:
        while True:
            try:
                return session.wait(_WATCH_INTERVAL)
            except subprocess.TimeoutExpired:
                pass
            if self._stopped:
                return processes.stop(session, _STOP_TIMEOUT)
            for name, (process, log) in self._parts.items():
                if process is not session and process.poll() is not None:
                    processes.stop(session, _STOP_TIMEOUT)
                    words = (processes.last_line(log) or "(none)") if log else ""
                    raise UnavailableError(
                        f"The demo's {name} ended by itself (exit code {process.returncode}). "
                        f"Its last words: {words}"
                    )

    def _start(self, name: str, command: list[str], env: dict[str, str], log: Path) -> None:
        with log.open("wb") as output:
            process = processes.start(command, env=env, stdout=output, stderr=subprocess.STDOUT)
        self._parts[name] = (process, log)

    def _end_parts(self) -> None:
        # The session first, so that it still finds its broker and its peers.
        for process, _ in reversed(list(self._parts.values())):
            processes.stop(process)

    def _worker(self, name: str) -> list[str]:
        concurrency = max(1, cores() // self._peers)
        return [
            *_program("celery"), "-A", "p2c2g", "worker", "-Q", "cpu", "-n", f"{name}@demo",
            "-c", str(concurrency), "-l", "warning",
            # Events are Flower's, and cost each chunk.
            "-E" if self._flower else "--no-task-events",
        ]  # fmt: skip

    def _flower_command(self, port: int) -> list[str]:
        return [
            *_program("celery"), "-A", "p2c2g", "flower", "--address=127.0.0.1",
            f"--port={port}", "--max_tasks=10000",
        ]  # fmt: skip

    @staticmethod
    def _free_port() -> int:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port: int = listener.getsockname()[1]
            return port


def _program(name: str) -> list[str]:
    """Return the command of a script that is installed beside this Python."""
    beside = Path(sys.executable).with_name(name)
    return [str(beside)] if beside.exists() else [name]
