"""A public authority for one trial: Pebble, Let's Encrypt's own for tests, and what it asks."""

from __future__ import annotations

import json
import ssl
import subprocess
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import httpx

from p2c2g.system import processes
from p2c2g.system.certificates import Authority, Pair

from .machines import PATIENCE


class Outside:
    """What a server reaches in the world: an authority by ACME, and a place of releases, by https.

    Args:
        stack: ends both.
        folder: for their files; what is in its ``releases`` is served.
        address: this machine's, in the trial's network.
        pool: the server's, where the authority finds the pool's name.
    """

    def __init__(self, stack: ExitStack, folder: Path, address: str, pool: str) -> None:
        now = datetime.now(UTC)
        own, _ = Authority.at(Pair.in_folder(folder, "outside-ca"), now)
        own.issue(Pair.in_folder(folder, "outside"), [address], now, days=1)
        #: What machines have to trust, to reach both.
        self.ca = folder / "outside-ca.crt"
        cert, key = folder / "outside.crt", folder / "outside.key"
        self.releases = folder / "releases"
        self.releases.mkdir()
        handler = partial(_Files, directory=str(self.releases))
        files = ThreadingHTTPServer((address, 0), handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        files.socket = context.wrap_socket(files.socket, server_side=True)
        Thread(target=files.serve_forever, daemon=True).start()
        stack.callback(files.server_close)
        stack.callback(files.shutdown)
        self.releases_url = f"https://{address}:{files.server_address[1]}"

        config = folder / "pebble.json"
        management = f"{address}:15000"
        config.write_text(json.dumps({"pebble": {
            "listenAddress": f"{address}:14000", "managementListenAddress": management,
            "certificate": str(cert), "privateKey": str(key), "httpPort": 80, "tlsPort": 443,
        }}))  # fmt: skip
        names = f"{address}:8053"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        for command in (
            ["pebble-challtestsrv", "-defaultIPv4", pool, "-defaultIPv6", "", "-dns01", names,
             "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"{address}:8055"],
            ["pebble", "-config", config, "-dnsserver", names],
        ):  # fmt: skip
            env = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
            stack.callback(processes.stop, processes.start(command, env=env, **quiet))
        self.acme = f"https://{address}:14000/dir"
        self._root = f"https://{management}/roots/0"

    def root(self) -> str:
        """Return the authority's own certificate, once it answers."""
        deadline, pause = monotonic() + PATIENCE, Event()
        while True:
            try:
                return httpx.get(
                    self._root, verify=ssl.create_default_context(cafile=self.ca), trust_env=False
                ).text
            except httpx.TransportError:
                assert monotonic() < deadline
                pause.wait(0.2)


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_words: object) -> None:
        pass
