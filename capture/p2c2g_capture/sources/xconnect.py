"""A connection of python-xlib, let in wherever other X programs are.

python-xlib looks for the server's secret (its cookie) by the name of this machine only.  Display
managers and containers also write one that holds for any name, of the family *wild*.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from Xlib import display, error
from Xlib.protocol import display as protocol
from Xlib.protocol import event
from Xlib.support import connect as library

from p2c2g.errors import SourceUnavailableError

_COOKIE = b"MIT-MAGIC-COOKIE-1"
_LOCAL, _INTERNET, _INTERNET6, _WILD = 256, 0, 6, 0xFFFF

#: A window, or what it was in, is gone.
GONE = (error.BadWindow, error.BadDrawable, error.BadMatch, error.BadPixmap)
#: The whole display is.
LOST = (error.ConnectionClosedError, OSError)


def connect(name: str | None) -> Any:
    """Return an ``Xlib.display.Display``; None is the environment's.

    Raises:
        SourceUnavailableError: nothing answers there, or it lets nobody in.
    """
    theirs = library.get_auth
    library.get_auth = _cookie
    # It has one table of events for all servers, though each numbers its extensions' itself.
    events = protocol.Display.event_classes = event.event_class.copy()
    errors = protocol.Display.error_classes = error.xerror_class.copy()
    try:
        found = display.Display(name)
    except (error.DisplayError, OSError) as refused:
        raise SourceUnavailableError(f"No screen answers: {refused}") from refused
    finally:
        library.get_auth = theirs
    found.display.event_classes, found.display.error_classes = events, errors
    # Errors of requests that nobody waits for: what they were about has gone meanwhile.
    found.set_error_handler(lambda *_: None)
    return found


def disconnect(connection: Any) -> None:
    """Leave the display, also where it is gone; may be called twice."""
    with contextlib.suppress(*LOST):
        connection.close()
    # After a lost connection python-xlib leaves its socket open.
    connection.display.socket.close()


def _cookie(link: socket.socket, _name: str, _protocol: str, _host: str, number: int) -> Any:
    """Return the name and the bytes of the secret, as libXau would; both empty without one."""
    place = _place(link)
    for family, address, display_number, kind, secret in _entries():
        if kind != _COOKIE or display_number not in (b"", str(number).encode()):
            continue
        if family == _WILD or (family, address) == place:
            return kind, secret
    return b"", b""


def _place(link: socket.socket) -> tuple[int, bytes]:
    """Return family and address under which a cookie for this server is kept."""
    if link.family in (socket.AF_INET, socket.AF_INET6):
        host = link.getpeername()[0].partition("%")[0].removeprefix("::ffff:")
        address = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        # ssh forwards a display to this machine's loopback, under this machine's name.
        if address[0] != 127 and host != "::1":
            return (_INTERNET6 if ":" in host else _INTERNET), address
    return _LOCAL, socket.gethostname().encode()


def _entries() -> Iterator[tuple[int, bytes, bytes, bytes, bytes]]:
    """Read the file of cookies: family, address, display's number, kind and secret of each."""
    try:
        path = Path(os.environ.get("XAUTHORITY") or "~/.Xauthority").expanduser()
        content = path.read_bytes()
    except (OSError, RuntimeError):
        return
    at = 0
    # The end of a file that was cut short is an entry that is not there.
    with contextlib.suppress(struct.error):
        while at < len(content):
            (family,) = struct.unpack_from(">H", content, at)
            at += 2
            fields = []
            for _ in range(4):
                (length,) = struct.unpack_from(">H", content, at)
                (field,) = struct.unpack_from(f"{length}s", content, at + 2)
                fields.append(field)
                at += 2 + length
            yield family, *fields
