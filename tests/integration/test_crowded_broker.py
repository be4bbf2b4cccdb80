"""Connections to an open pool's broker, of which it has so many and no more."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import redis

from p2c2g.coordinator.janitor import Limits
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.messaging.rights import Rights
from p2c2g.settings.principal import Principal, Role
from tests.integration.test_enrolment_api import PATIENCE, Door, until

PEER = Principal(Role.PEER, "pcrowds")


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with EmbeddedBroker() as broker, ExitStack() as stack:
        yield Door(stack, tmp_path, broker)


def test_who_takes_the_places_of_others_is_out(door: Door) -> None:
    crowd, other = door.join(), door.play()
    honest = door.login(other)
    with ExitStack() as stack:
        with suppress(redis.RedisError):
            for _ in range(Limits().connections + 2):
                client = stack.enter_context(door.login(crowd))
                client.ping()
        until(lambda: door.users() == {other.user})
    assert honest.ping()
    # It is out before that is written down.
    key = door.operator_key()
    until(lambda: door.bans(key))
    (ban,) = door.bans(key)
    assert "connections to the broker" in ban["details"]["reason"]


def test_who_does_not_log_in_is_hung_up_on() -> None:
    with EmbeddedBroker() as broker, ExitStack() as stack:
        first = stack.enter_context(redis.Redis.from_url(broker.url))
        first.acl_setuser("coordinator", enabled=True, reset=True, nopass=True, keys=["*"],
                          channels=["*"], categories=["+@all"])  # fmt: skip
        first.acl_setuser(PEER.user, enabled=True, reset=True, nopass=True, commands=["+ping"])
        operator, peer = (
            stack.enter_context(redis.Redis(HOST, broker.port, username=user, password="x"))
            for user in ("coordinator", PEER.user)
        )
        # Where the operator is the default user, nobody can tell.
        assert Rights(first).connections(-1.0).strangers == ()
        rights = Rights(operator)
        operator.acl_setuser("default", enabled=False, reset=True)
        peer.ping()
        silent, talking = (
            stack.enter_context(socket.create_connection((HOST, broker.port), PATIENCE))
            for _ in range(2)
        )
        talking.sendall(b"PING\r\n")
        assert b"NOAUTH" in talking.recv(4096)
        assert rights.connections(1000.0).strangers == ()
        until(lambda: len(rights.connections(-1.0).strangers) >= 2)
        seen = rights.connections(-1.0)
        assert seen.count == {PEER: 1}
        rights.hang_up([*seen.strangers, 10**9])
        for each in (silent, talking):
            with suppress(ConnectionError):
                assert each.recv(4096) == b""
        assert peer.ping()
        assert operator.ping()
