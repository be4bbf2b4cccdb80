"""The coordinator's rights, at a real Redis and the Valkey of the wheel."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.retry import Retry

from p2c2g.messaging import names, open_names
from p2c2g.messaging.client import Client, redis_client
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.messaging.rights import Held, Rights
from p2c2g.settings.principal import Principal, Role
from tests.brokers import redis_server
from tests.busy import Stopwatch
from tests.lane import settings

PEER = Principal(Role.PEER, "pattic")
GAMER = Principal(Role.GAMER, "galice")
OTHER = Principal(Role.GAMER, "gbobby")


def digest(password: str) -> str:
    return sha256(password.encode()).hexdigest()


@pytest.fixture(
    params=[pytest.param("redis", marks=pytest.mark.needs("redis-server")), "valkey"],
    scope="module",
)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ExitStack() as stack:
        if request.param == "valkey":
            yield stack.enter_context(EmbeddedBroker()).url
        else:
            yield redis_server(stack, Path(tmp_path_factory.mktemp("redis")))


@pytest.fixture
def admin(url: str) -> Iterator[Client]:
    with redis_client(settings(url)) as client:
        client.flushall()
        yield client


@pytest.fixture
def rights(admin: Client) -> Iterator[Rights]:
    made = Rights(admin)
    yield made
    made.revoke([PEER, GAMER, OTHER])


def login(url: str, principal: Principal, password: str) -> redis.Redis:
    """Return a client that never logs in a second time by itself."""
    ((host, port),) = settings(url).broker.address().hosts
    return redis.Redis(
        host=host, port=port, username=principal.user, password=password,
        retry=Retry(NoBackoff(), 0), single_connection_client=True,
    )  # fmt: skip


def test_a_login_does_what_its_rules_say_and_no_more(url: str, rights: Rights) -> None:
    password = secrets.token_hex(32)
    rights.grant({PEER: [digest(password)]})
    assert rights.logins() == {PEER}
    with login(url, PEER, password) as client:
        client.set(open_names.beat(PEER.id), b"here", px=3000)
        for forbidden in (
            lambda: client.get(open_names.beat("pcellar")),
            lambda: client.set(open_names.standing(PEER.id), "{}"),
            client.flushall,
            client.acl_users,
        ):
            with pytest.raises(NoPermissionError):
                forbidden()


def test_one_who_is_revoked_is_out_within_a_second_and_stays_out(
    url: str, rights: Rights, admin: Client
) -> None:
    password = secrets.token_hex(32)
    rights.grant({GAMER: [digest(password)]})
    waiting = login(url, GAMER, password)
    waiting.set(open_names.health(GAMER.id), b"well")
    watch = Stopwatch(int(admin.info("server")["process_id"]))
    rights.revoke([GAMER])
    with pytest.raises(redis.ConnectionError):
        waiting.get(open_names.health(GAMER.id))
    assert watch.seconds < 1.0
    assert rights.logins() == frozenset()
    with pytest.raises(AuthenticationError):
        login(url, GAMER, password)
    rights.revoke([GAMER])  # twice is fine


def test_a_second_password_lets_the_first_stay_and_a_renewal_ends_no_connection(
    url: str, rights: Rights
) -> None:
    first, second = secrets.token_hex(32), secrets.token_hex(32)
    rights.grant({GAMER: [digest(first)]})
    with login(url, GAMER, first) as client:
        rights.grant({GAMER: [digest(first), digest(second)]})
        client.set(open_names.health(GAMER.id), b"well")
        with login(url, GAMER, second) as other:
            assert other.get(open_names.health(GAMER.id)) == b"well"


def test_what_the_operator_says_is_read_and_taken_back(admin: Client, rights: Rights) -> None:
    rights.tell_standings({PEER.id: "said", "pcellar": "said"})
    rights.tell_vouchers({PEER.id: "vouched"})
    rights.tell_gamers([GAMER.id, OTHER.id])
    assert admin.get(open_names.standing(PEER.id)) == b"said"
    assert rights.told() == ({PEER.id}, {GAMER.id, OTHER.id})
    rights.tell_standings({PEER.id: None})
    rights.tell_vouchers({PEER.id: None})
    rights.tell_gamers([], [OTHER.id])
    assert admin.get(open_names.standing(PEER.id)) is None
    assert rights.told() == (frozenset(), {GAMER.id})


def test_other_users_are_none_of_ours(admin: Client, rights: Rights) -> None:
    admin.acl_setuser("ops", enabled=True, nopass=True, commands=["+ping"])
    admin.acl_setuser("peer-X*", enabled=True, nopass=True, commands=["+ping"])
    try:
        assert rights.logins() == frozenset()
    finally:
        admin.acl_deluser("ops", "peer-X*")


def test_looks_find_every_key_of_the_pool_and_no_other(admin: Client, rights: Rights) -> None:
    mine = {open_names.measurement(PEER.id, f"{number}") for number in range(50)}
    for key in mine:
        admin.set(key, b"x" * 1000)
    junk = f"{names.celerys()}p:{PEER.id}:own:".encode() + b"\xff\xfe"
    admin.set(junk, b"x")
    admin.set(names.peers(), b"another pool's")
    seen: list[Held] = []
    cursor = 0
    while True:
        look = rights.look(cursor, 10)
        cursor = look.cursor
        seen += look.held
        if not cursor:
            break
    found = {held.key: held.bytes for held in seen}
    assert found.keys() == mine | {junk.decode(errors="surrogateescape")}
    assert all(found[key] >= 1000 for key in mine)
    rights.remove(found)
    assert admin.keys() == [names.peers().encode()]


def test_each_run_of_the_broker_has_another_name() -> None:
    with EmbeddedBroker() as broker, redis_client(settings(broker.url)) as client:
        rights = Rights(client)
        before = rights.server()
        assert before == rights.server()
        broker.restart()
        assert rights.server() != before
