"""The redis.conf of docs/pools.md: a real Redis starts with it, and keeps what it promises."""

from __future__ import annotations

import re
import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from p2c2g.messaging import open_names
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.rights import Rights
from p2c2g.settings import BrokerSettings, Settings
from p2c2g.settings.principal import Principal, Role
from tests.brokers import HOST, OpenRedis, redis_server
from tests.lane import PATIENCE

pytestmark = pytest.mark.needs("redis-server")

ONCE = Retry(NoBackoff(), 0)
#: Of who is asked once.
PATIENT = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
PEER = Principal(Role.PEER, "pattic")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenRedis]:
    with ExitStack() as stack:
        yield OpenRedis(stack, tmp_path_factory.mktemp("open"))


@pytest.fixture
def rights(server: OpenRedis) -> Iterator[Rights]:
    own = Settings(broker=BrokerSettings(url=server.url, ca=server.ca))
    with redis_client(own) as client:
        yield Rights(client)


def test_it_has_all_that_an_open_pool_needs(rights: Rights) -> None:
    assert rights.shortcomings() == []


def test_it_speaks_tls_alone(server: OpenRedis) -> None:
    answer = b""
    with socket.create_connection((HOST, server.port)) as plain, suppress(ConnectionResetError):
        plain.sendall(b"PING\r\n")
        answer = plain.recv(100)
    assert b"PONG" not in answer
    with redis.Redis(
        host=HOST,
        port=server.port,
        ssl=True,
        ssl_ca_certs=str(server.ca),
        username="coordinator",
        password=server.password,
        ssl_min_version=ssl.TLSVersion.TLSv1_2,
    ) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.ping()


def test_without_a_login_there_is_nothing(server: OpenRedis) -> None:
    nobody = redis.Redis(
        host=HOST, port=server.port, ssl=True, ssl_ca_certs=str(server.ca), retry=ONCE, **PATIENT
    )
    with nobody, pytest.raises(redis.AuthenticationError):
        nobody.get("x")


def test_the_coordinator_makes_logins_there(server: OpenRedis, rights: Rights) -> None:
    password = secrets.token_hex(32)
    rights.grant({PEER: [sha256(password.encode()).hexdigest()]})
    with redis.Redis(
        host=HOST,
        port=server.port,
        ssl=True,
        ssl_ca_certs=str(server.ca),
        username=PEER.user,
        password=password,
        driver_info=None,
        retry=ONCE,
        **PATIENT,
    ) as peer:
        assert peer.set(open_names.beat(PEER.id), b"here", px=3_000)
    rights.revoke([PEER])


def test_a_broker_that_bounds_nothing_is_said(tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = redis_server(stack, tmp_path)
        with redis_client(Settings(broker=BrokerSettings(url=url))) as client:
            said = " ".join(Rights(client).shortcomings())
    for name in ("maxmemory", "proto-max-bulk-len", "client-query-buffer-limit"):
        assert re.search(rf"{name}\b", said)
