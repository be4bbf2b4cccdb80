"""What this process's connections to the broker carry, in bytes, whatever it is for.

Everything is counted where it meets the socket: commands and replies whole, with all that is around
a picture.  Under TLS that is what is inside it; TCP's and IP's own headers are not seen from here.
"""

from __future__ import annotations

import threading
from typing import Any


class Meter:
    """Counts bytes up to the broker and down from it.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.up = self.down = 0

    def went(self, size: int) -> None:
        """Count bytes that were sent."""
        with self._lock:
            self.up += size

    def came(self, size: int) -> None:
        """Count bytes that were received."""
        with self._lock:
            self.down += size


class CountedSocket:
    """A socket that counts what it carries, and is otherwise as it was.

    Args:
        sock: connected.
        meter: counts.
    """

    def __init__(self, sock: Any, meter: Meter) -> None:
        self._sock = sock
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def fileno(self) -> int:
        """Return the socket's own, by which it is waited for."""
        number: int = self._sock.fileno()
        return number

    def send(self, data: Any, *flags: Any) -> int:
        """Send what the system takes at once."""
        sent: int = self._sock.send(data, *flags)
        self._meter.went(sent)
        return sent

    def sendall(self, data: Any, *flags: Any) -> None:
        """Send all of it."""
        self._sock.sendall(data, *flags)
        self._meter.went(len(data))

    def recv_into(self, buffer: Any, *arguments: Any) -> int:
        """Receive what has come."""
        came: int = self._sock.recv_into(buffer, *arguments)
        self._meter.came(came)
        return came


#: This process's: it has one line, and one broker as a rule.
meter = Meter()


def counted(sock: Any) -> Any:
    """Return a socket that :data:`meter` counts; one that it counts already stays as it is."""
    return sock if isinstance(sock, CountedSocket) else CountedSocket(sock, meter)
