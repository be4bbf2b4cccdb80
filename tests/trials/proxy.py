"""A proxy of HTTP for one trial: by it alone machines in a network of their own fetch packages."""

from __future__ import annotations

import socket
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from select import select
from threading import Thread
from urllib.parse import urlsplit

#: Bytes of one read, and seconds without any after which a connection is over.
_PIECE, _PATIENCE = 65_536, 120


class Proxy:
    """Listens at an address until its ``with`` block ends."""

    def __init__(self, address: str) -> None:
        self._server = ThreadingHTTPServer((address, 0), _Handler)
        self._server.daemon_threads = True
        host, port = self._server.server_address[:2]
        self.url = f"http://{host!s}:{port}"

    def __enter__(self) -> Proxy:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), _PATIENCE) as upstream:
            self.send_response(200)
            self.end_headers()
            self._relay(upstream)

    def do_GET(self) -> None:
        """Ask for one file, in a connection of its own."""
        address = urlsplit(self.path)
        path = address._replace(scheme="", netloc="").geturl()
        headers = "".join(
            f"{name}: {value}\r\n" for name, value in self.headers.items()
            if name.lower() not in ("connection", "proxy-connection")
        )  # fmt: skip
        place = (str(address.hostname), address.port or 80)
        with socket.create_connection(place, _PATIENCE) as upstream:
            request = f"{self.command} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"
            upstream.sendall(request.encode())
            self._relay(upstream)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _relay(self, upstream: socket.socket) -> None:
        self.close_connection = True
        both = (self.connection, upstream)
        with suppress(OSError):
            while ready := select(both, (), (), _PATIENCE)[0]:
                for each in ready:
                    piece = each.recv(_PIECE)
                    if not piece:
                        return
                    (upstream if each is self.connection else self.connection).sendall(piece)

    def log_message(self, *_words: object) -> None:
        pass
