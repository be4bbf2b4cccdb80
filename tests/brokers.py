"""Debian's Redis, started for a test: what the wheel's Valkey lacks, TLS above all."""

from __future__ import annotations

import atexit
import re
import secrets
import socket
import subprocess
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

import redis

from p2c2g.system import processes
from p2c2g.system.certificates import Authority, Pair
from tests.lane import PATIENCE

HOST = "127.0.0.1"
PAGE = Path(__file__).parents[1] / "docs" / "pools.md"


#: Bound until the end, so that nobody is given their ports who does not ask by number.
_kept = ExitStack()
atexit.register(_kept.close)


def free_ports(count: int) -> list[int]:
    """Return ports that a server can listen on, and that nobody else comes upon."""
    ports = []
    for _ in range(count):
        one = _kept.enter_context(closing(socket.socket()))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((HOST, 0))
        ports.append(one.getsockname()[1])
    return ports


def free_port() -> int:
    """Return one of them."""
    return free_ports(1)[0]


def redis_server(stack: ExitStack, folder: Path, *options: str | Path) -> str:
    """Start a Redis that ends with the stack; return the URL of its default user."""
    port = free_port()
    start(stack, folder, "--port", str(port), "--save", "", *options)
    url = f"redis://{HOST}:{port}/0"
    with redis.Redis.from_url(url) as client:
        wait_for(client)
    return url


def start(stack: ExitStack, folder: Path, *options: str | Path) -> None:
    process = processes.start(
        ["redis-server", *options, "--bind", HOST, "--dir", folder, "--daemonize", "no"],
        stdout=subprocess.DEVNULL,
    )
    stack.callback(processes.stop, process)


def wait_for(client: Any) -> None:
    """Wait until a server answers."""
    deadline = monotonic() + PATIENCE
    while True:
        try:
            client.ping()
        except redis.RedisError:
            assert monotonic() < deadline, "the server does not answer"
        else:
            return


class OpenRedis:
    """A Redis that is set up as ``docs/pools.md`` says, with certificates of its own.

    Args:
        stack: ends it.
        folder: for its files: ``ca.crt`` is what members are given.
    """

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        now = datetime.now(UTC)
        authority, _ = Authority.at(Pair.in_folder(folder, "ca"), now)
        for name in ("redis", "coordinator"):
            authority.issue(Pair.in_folder(folder, name), [], now, days=1)
        self.folder, self.ca = folder, folder / "ca.crt"
        self.port, self.password = free_port(), secrets.token_hex(32)
        digest = sha256(self.password.encode()).hexdigest()
        (folder / "users.acl").write_text(
            f"user default off\nuser coordinator on #{digest} ~* &* +@all\n"
        )
        found = re.search(r"^```ini\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
        assert found is not None
        text = found[1].replace("/etc/p2c2g", str(folder)).replace("6390", str(self.port))
        # Here only this machine is to reach it.
        text = text.replace("bind * -::*", f"bind {HOST}").replace("maxmemory 2gb", "maxmemory 1gb")
        (folder / "redis.conf").write_text(text)
        process = processes.start(
            ["redis-server", folder / "redis.conf", "--dir", folder], stdout=subprocess.DEVNULL
        )
        stack.callback(processes.stop, process)
        with redis.Redis.from_url(self.url, ssl_ca_certs=str(self.ca)) as client:
            wait_for(client)

    @property
    def url(self) -> str:
        """Return its URL with the operator's login."""
        return f"rediss://coordinator:{self.password}@{HOST}:{self.port}/0"
