"""A running coordinator with a TLS-only Redis, and who means it ill: by its ports alone."""

from __future__ import annotations

import json
import socket
import ssl
from contextlib import ExitStack, suppress
from threading import Event
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from p2c2g.joining.proof import prove
from p2c2g.messaging import open_names
from p2c2g.sealing.identity import Identity, text_of

from .conftest import finish_quickly
from .test_joining import Pool, pool

__all__ = ["pool"]

pytestmark = pytest.mark.needs("redis-server")

#: Seconds after which a connection that says nothing more has failed the test.
PATIENCE = 60.0


class Door:
    """The coordinator's port, as anybody has it."""

    def __init__(self, url: str, ca: str) -> None:
        address = urlsplit(url)
        self._address = (str(address.hostname), int(address.port or 0))
        self._context = ssl.create_default_context(cafile=ca)

    def raw(self, data: bytes, *, tls: bool = True) -> bytes:
        """Send bytes as they are; return all that comes back until it is hung up on."""
        with ExitStack() as stack:
            plain = stack.enter_context(socket.create_connection(self._address, PATIENCE))
            line: Any = plain
            if tls:
                line = self._context.wrap_socket(plain, server_hostname=self._address[0])
                stack.enter_context(line)
            told = bytearray()
            # It may hang up before it has read all.
            with suppress(ConnectionError, ssl.SSLError, BrokenPipeError):
                line.sendall(data)
                while part := line.recv(65_536):
                    told += part
            return bytes(told)

    def ask(self, method: str, path: str, bearer: str = "", body: Any = None) -> tuple[int, Any]:
        """Return the status of an answer, and what its JSON says."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close",
            "Content-Type: application/json", f"Content-Length: {len(content)}",
        ]  # fmt: skip
        if bearer:
            lines.append(f"Authorization: Bearer {bearer}")
        told = self.raw("\r\n".join([*lines, "", ""]).encode() + content)
        head, _, rest = told.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(rest) if rest else None


@pytest.fixture
def door(pool: Pool) -> Door:
    return Door(pool.url, pool.theirs["P2C2G_POOL_CA"])


def joined(door: Door, token: str) -> tuple[int, Any]:
    identity = Identity.generate()
    said = {"key": text_of(identity.public), "proof": prove(identity, token), "label": "attic"}
    return door.ask("POST", "/v1/peers", token, said)


def login(pool: Pool, given: Any) -> redis.Redis:
    return redis.Redis(
        "localhost", urlsplit(given["broker"]).port, username=given["user"], ssl=True,
        password=given["password"], ssl_ca_certs=pool.theirs["P2C2G_POOL_CA"], driver_info=None,
    )  # fmt: skip


HEAD = b"Host: localhost\r\nConnection: close\r\n"
MALFORMED: dict[str, bytes] = {
    "nothing": b"\r\n\r\n",
    "noise": bytes(range(256)) * 64,
    "no version": b"GET /v1/me\r\n\r\n",
    "a long line": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a long header": b"GET /v1/me HTTP/1.1\r\n" + HEAD + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
    "many headers": b"GET /v1/me HTTP/1.1\r\n" + HEAD + b"X: a\r\n" * 20_000 + b"\r\n",
    "a long body": b"POST /v1/peers HTTP/1.1\r\n" + HEAD + b"Content-Length: 999999999\r\n\r\n"
    + bytes(200_000),
    "two lengths": b"POST /v1/peers HTTP/1.1\r\n" + HEAD
    + b"Content-Length: 4\r\nContent-Length: 40\r\n\r\nabcd",
    # What is behind it would be the next one's request, where a proxy reads it otherwise.
    "a length and chunks": b"POST /v1/peers HTTP/1.1\r\n" + HEAD
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "a chunk of no length": b"POST /v1/peers HTTP/1.1\r\n" + HEAD
    + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc",
    "a lower length": b"POST /v1/peers HTTP/1.1\r\n" + HEAD + b"Content-Length: -1\r\n\r\nabc",
    "another version": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a socket": b"GET /v1/me HTTP/1.1\r\n" + HEAD
    + b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n\r\n",
    "a header in a bearer": b"GET /v1/me HTTP/1.1\r\n" + HEAD
    + b"Authorization: Bearer p2c2g_\r\n\tx\r\n\r\n",
}  # fmt: skip


def test_whatever_comes_by_its_ports_the_pool_goes_on(pool: Pool, door: Door) -> None:
    # What is no request gets a refusal, or nothing, and takes nothing from the next.
    for what, data in MALFORMED.items():
        told = door.raw(data)
        assert not told or told.split()[1][:1] == b"4", (what, told[:200])
    assert door.ask("GET", "/healthz") == (200, {"status": "ok"})
    # And where TLS is spoken nobody is answered in the open: neither there nor at the broker.
    assert b"HTTP/1.1 2" not in door.raw(b"GET /healthz HTTP/1.1\r\n" + HEAD + b"\r\n", tls=False)

    # Keys: used up, of another role, forged, and of a membership that is another's or at its end.
    token, key = pool.key("anna", "peer", "--uses=1"), pool.key("ben", "gamer")
    status, given = joined(door, token)
    assert status == 201
    assert joined(door, token)[0] == 403
    assert joined(door, key)[0] == 403
    status, gamer = door.ask("POST", "/v1/gamers", key, {"label": "desk"})
    assert status == 201
    other = f"{given['id']}.{gamer['token'].partition('.')[2]}"
    forged = key[:-1] + ("a" if key[-1] != "a" else "b")
    for bearer, path in (
        (other, "/v1/membership"), (key, "/v1/membership"), (given["token"], "/v1/me"),
        (forged, "/v1/me"), (key[:18] + "0" * 43 + key[61:], "/v1/me"),
    ):  # fmt: skip
        method = "POST" if path == "/v1/membership" else "GET"
        assert door.ask(method, path, bearer)[0] == 401, path

    # The logins that were given: each its own keys, by TLS alone, and gone with the key.
    port = urlsplit(given["broker"]).port or 0
    with socket.create_connection(("localhost", port), PATIENCE) as plain:
        plain.sendall(f"AUTH {given['user']} {given['password']}\r\n".encode())
        with suppress(ConnectionError):
            assert b"+OK" not in plain.recv(4096)
    with login(pool, given) as peer, login(pool, gamer) as player:
        assert peer.set(open_names.beat(given["id"]), b"here", px=60_000)
        for client, mine in ((peer, given), (player, gamer)):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.keys("*")
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.set(open_names.standing(mine["id"]), b"{}")
        listed = json.loads(finish_quickly("p2c2g", "keys", "list", "--json", **pool.own).output)
        (id_,) = (each["id"] for each in listed if each["account"] == "ben")
        assert finish_quickly("p2c2g", "keys", "revoke", id_, **pool.own).code == 0
        until_refused(player)
        assert door.ask("GET", "/v1/me", key)[0] == 401
        assert door.ask("POST", "/v1/membership", gamer["token"])[0] in (401, 403)
        assert peer.ping()

    # None of it is in what others read.
    lines = pool.command_lines()
    ended = pool.coordinator.end()
    said = "\n".join([ended.output, *(each.read_text() for each in pool.logs.iterdir())])
    assert "Traceback" not in said
    given_out = [each[name] for each in (given, gamer) for name in ("password", "token")]
    for secret in (*pool.secrets, *given_out):
        assert secret not in said
        assert secret not in lines


def until_refused(client: redis.Redis) -> None:
    """Ask until the broker hangs up."""
    pause, began = Event(), monotonic()
    while monotonic() - began < PATIENCE:
        try:
            client.ping()
        except redis.RedisError:
            return
        pause.wait(0.02)
    pytest.fail("it is still let in")
