"""Joining an open pool, as the broker sees it: logins, standings, leases, bans and floods."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from p2c2g.coordinator import doorkeeper
from p2c2g.coordinator.accounts import ForbiddenError
from p2c2g.coordinator.keys import KeyRole
from p2c2g.coordinator.roll import Roll
from p2c2g.coordinator.services import opened
from p2c2g.joining.messages import Given, Join, Play
from p2c2g.joining.proof import prove
from p2c2g.messaging import names, open_names
from p2c2g.messaging.client import Client, redis_client
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.standing import PeerStanding, Verdict, Voucher
from p2c2g.sealing.identity import Identity, text_of
from p2c2g.settings import Settings
from p2c2g.settings.principal import account_mark
from p2c2g.system.processes import find
from tests.busy import Stopwatch
from tests.coordinators import TESTER, Clock, Coordinator, coordinator_settings, running

#: Seconds in which a test that waits has failed.
PATIENCE = 60.0


class Door:
    """A coordinator at a broker of its own, and those who come to it."""

    def __init__(self, stack: ExitStack, folder: Path, broker: EmbeddedBroker) -> None:
        # Who waits for something asks again and again.
        often = dict.fromkeys(("requests_per_minute", "joins_per_minute"), 10**6)
        self.settings: Settings = coordinator_settings(folder, broker=broker.url, **often)
        self.broker = broker
        self.operator: Client = stack.enter_context(redis_client(self.settings, timeout=PATIENCE))
        self.stack = stack
        self.coordinator: Coordinator = stack.enter_context(running(self.settings))

    def stopwatch(self) -> Stopwatch:
        return Stopwatch(int(self.operator.info("server")["process_id"]))

    def ask(self, method: str, path: str, bearer: str | None, **how: Any) -> Any:
        return self.coordinator.ask(method, path, bearer, **how)

    def join(self, token: str | None = None, identity: Identity | None = None) -> Given:
        token = token or self.coordinator.key(KeyRole.PEER, "lender", uses=1)
        answer = self.ask("POST", "/v1/peers", token, json=said(token, identity))
        assert answer.status_code == 201, answer.text
        return Given.model_validate_json(answer.content)

    def play(self, key: str | None = None) -> Given:
        key = key or self.coordinator.key(KeyRole.GAMER, "ada")
        answer = self.ask("POST", "/v1/gamers", key, json={"label": "desk"})
        assert answer.status_code == 201, answer.text
        return Given.model_validate_json(answer.content)

    def login(self, given: Given) -> redis.Redis:
        """Return a client of the broker that never logs in a second time by itself."""
        return self.stack.enter_context(
            redis.Redis(
                host="127.0.0.1", port=self.broker.port, username=given.user,
                password=given.password, retry=Retry(NoBackoff(), 0), single_connection_client=True,
                driver_info=None,
            )
        )  # fmt: skip

    def standing(self, peer: str) -> PeerStanding | None:
        said = self.operator.get(open_names.standing(peer))
        return None if said is None else PeerStanding.model_validate_json(said)  # type: ignore[arg-type]

    def users(self) -> set[str]:
        return set(self.operator.acl_users()) - {"default"}  # type: ignore[arg-type]

    def operator_key(self) -> str:
        return self.coordinator.key(KeyRole.OPERATOR, "olga")

    def bans(self, key: str) -> list[dict[str, Any]]:
        """Return who was banned, as the audit log has it, by an operator's key."""
        rows = self.ask("GET", "/v1/audit", key).json()
        return [row for row in rows if row["action"].endswith(".ban")]


def said(token: str, identity: Identity | None = None) -> dict[str, str]:
    identity = identity or Identity.generate()
    return Join(
        key=text_of(identity.public), proof=prove(identity, token), label="attic"
    ).model_dump()


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    began, pause = monotonic(), Event()
    while not condition():
        assert monotonic() - began < PATIENCE, "it has not come"
        pause.wait(0.01)


@pytest.fixture
def door(request: pytest.FixtureRequest, folder: Path) -> Iterator[Door]:
    """Open one at the wheel's Valkey, or at the machine's own server that a test names."""
    server = find(getattr(request, "param", ""))
    with (
        EmbeddedBroker(program=None if server is None else Path(server)) as broker,
        ExitStack() as stack,
    ):
        yield Door(stack, folder, broker)


AT_REDIS = pytest.mark.parametrize(
    "door", [pytest.param("redis-server", marks=pytest.mark.needs("redis-server"))], indirect=True
)


def test_a_join_token_lets_one_machine_in_and_the_operator_vouches_for_it(door: Door) -> None:
    token = door.coordinator.key(KeyRole.PEER, "lender", uses=1)
    identity = Identity.generate()
    given = door.join(token, identity)
    assert (given.role, given.user, given.lease) == ("peer", f"peer-{given.id}", 0)
    assert given.broker == f"redis://127.0.0.1:{door.broker.port}/0"
    peer = door.login(given)
    peer.set(open_names.beat(given.id), b"here", px=3_000)
    until(lambda: door.standing(given.id))
    assert peer.get(open_names.standing(given.id)) is not None
    vouched: Any = door.operator.hget(open_names.peers(), given.id)
    voucher = Voucher.model_validate_json(vouched)
    assert voucher.key == text_of(identity.public)
    # The answer was lost: it is the same machine, and not a second one.
    assert door.join(token, identity).id == given.id
    refused = door.ask("POST", "/v1/peers", token, json=said(token))
    assert refused.status_code == 403
    assert "ask for another" in refused.json()["detail"]
    assert door.users() == {given.user}


def test_a_proof_of_another_token_or_key_lets_nobody_in(door: Door) -> None:
    token = door.coordinator.key(KeyRole.PEER, "lender", uses=1)
    other = {**said(token), "key": text_of(Identity.generate().public)}
    for wrong in (said("another"), other):
        assert door.ask("POST", "/v1/peers", token, json=wrong).status_code == 400
    assert door.users() == set()
    door.join(token)  # It was not used up.


def test_a_gamer_is_told_to_every_peer_within_a_second_and_so_is_its_end(door: Door) -> None:
    peers = [door.join().id for _ in range(3)]
    watch = door.stopwatch()
    gamer = door.play()
    assert gamer.lease == door.settings.coordinator.lease

    def all_serve() -> bool:
        standings = [door.standing(peer) for peer in peers]
        return all(each is not None and each.gamers == (gamer.id,) for each in standings)

    until(all_serve)
    assert watch.seconds < 1.0
    assert door.operator.smembers(open_names.gamers()) == {gamer.id.encode()}
    client = door.login(gamer)
    client.set(open_names.health(gamer.id), b"well")
    watch = door.stopwatch()
    door.ask("DELETE", "/v1/membership", gamer.token)
    until(lambda: not any(getattr(door.standing(peer), "gamers", ()) for peer in peers))
    assert watch.seconds < 1.0
    with pytest.raises(redis.ConnectionError):
        client.get(open_names.health(gamer.id))
    assert door.operator.smembers(open_names.gamers()) == set()


def test_a_lease_ends_unless_it_is_renewed(door: Door) -> None:
    kept, left = door.play(), door.play()
    for _ in range(3):
        door.coordinator.clock.now += kept.lease / 2
        renewed = door.ask("POST", "/v1/membership", kept.token)
        assert renewed.json()["lease"] == kept.lease
    until(lambda: door.users() == {kept.user})
    refused = door.ask("POST", "/v1/membership", left.token)
    assert refused.status_code == 403
    assert "has left" in refused.json()["detail"]


def test_leases_that_ended_while_no_coordinator_was_there_may_still_be_renewed(
    tmp_path: Path,
) -> None:
    with EmbeddedBroker() as broker:
        settings, clock = coordinator_settings(tmp_path, broker=broker.url), Clock()
        with opened(settings, clock) as services, doorkeeper.opened(services) as enrolment:
            _, text = services.accounts.create_key("ada", KeyRole.GAMER, TESTER)
            given = enrolment.play(services.accounts.identify(text), Play(), TESTER)
        clock.now += 10 * given.lease
        with opened(settings, clock) as services, doorkeeper.opened(services) as enrolment:
            member = enrolment.member(given.token)
            assert enrolment.renew(member).lease == given.lease
            clock.now += 2 * given.lease
            with redis_client(settings, timeout=PATIENCE) as client:
                until(lambda: client.acl_users() == ["default"])
            with pytest.raises(ForbiddenError):
                enrolment.renew(member)


@AT_REDIS
def test_who_is_banned_is_out_within_a_second_wherever_it_waits(door: Door) -> None:
    given, operator = door.join(), door.operator_key()
    client = door.login(given)
    out = Event()

    def wait() -> None:
        with pytest.raises(redis.ConnectionError):
            client.brpop([names.queue_key(open_names.chunks_queue(given.id, "galice"))], 30)
        out.set()

    thread = Thread(target=wait)
    thread.start()
    until(lambda: any(each["cmd"] == "brpop" for each in door.operator.client_list()))
    watch = door.stopwatch()
    ban = {"reason": "Wrong pictures", "evidence": "frame 7"}
    assert door.ask("POST", f"/v1/principals/{given.id}/ban", operator, json=ban).is_success
    assert out.wait(PATIENCE)
    assert watch.seconds < 1.0
    thread.join()
    assert door.users() == set()
    assert door.operator.hget(open_names.peers(), given.id) is None

    def is_told() -> bool:
        standing = door.standing(given.id)
        return standing is not None and standing.verdict is Verdict.BANNED

    until(is_told)
    assert watch.seconds < 1.0
    refused = door.ask("POST", "/v1/membership", given.token)
    said_so = "This pool will not have this peer: Wrong pictures."
    assert (refused.status_code, refused.json()["detail"]) == (403, said_so)
    assert door.ask("POST", f"/v1/principals/{given.id}/unban", operator).is_success
    door.login(given)
    assert door.ask("POST", "/v1/membership", given.token).is_success


def test_a_key_that_another_process_revokes_takes_its_machines_along(door: Door) -> None:
    text = door.coordinator.key(KeyRole.PEER, "lender")
    given = door.join(text)
    (row,) = (key for key in door.coordinator.services.accounts.list_keys() if key.role == "peer")
    with opened(door.settings) as beside:
        watch = door.stopwatch()
        beside.accounts.revoke(row.id, TESTER)
        until(lambda: door.users() == set())
        assert watch.seconds < 1.0
    assert "revoked" in door.ask("POST", "/v1/membership", given.token).json()["detail"]


def test_whose_machine_was_banned_does_not_come_back_by_the_same_key(door: Door) -> None:
    operator = door.operator_key()
    for role, enter, path in (
        (KeyRole.PEER, door.join, "/v1/peers"), (KeyRole.GAMER, door.play, "/v1/gamers"),
    ):  # fmt: skip
        key = door.coordinator.key(role, "ada")
        given = enter(key)
        ban = {"reason": "It lied"}
        assert door.ask("POST", f"/v1/principals/{given.id}/ban", operator, json=ban).is_success
        said_again = said(key) if role is KeyRole.PEER else {}
        refused = door.ask("POST", path, key, json=said_again)
        assert (refused.status_code, "It lied" in refused.text) == (403, True)
        assert door.ask("POST", f"/v1/principals/{given.id}/unban", operator).is_success
        enter(key)


def test_a_session_ends_with_the_key_that_let_it_in(door: Door) -> None:
    given = door.play(door.coordinator.key(KeyRole.GAMER, "ada", lifetime=100.0))
    assert door.ask("POST", "/v1/membership", given.token).is_success
    door.coordinator.clock.now += 101.0
    refused = door.ask("POST", "/v1/membership", given.token)
    assert (refused.status_code, "has expired" in refused.text) == (403, True)
    door.coordinator.clock.now += given.lease
    until(lambda: door.users() == set())


def test_a_coordinator_whose_threads_died_is_not_healthy(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert door.ask("GET", "/healthz", None).status_code == 200

    def die(*_: Any) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(Roll, "standings", die)
    until(lambda: door.ask("GET", "/healthz", None).status_code == 503)


def test_a_drained_peer_is_told_so_and_stays(door: Door) -> None:
    given = door.join()
    door.ask("POST", f"/v1/principals/{given.id}/drain", door.operator_key())
    until(lambda: getattr(door.standing(given.id), "verdict", None) is Verdict.DRAINING)
    assert door.ask("POST", "/v1/membership", given.token).json()["verdict"] == "drain"
    assert door.users() == {given.user}


def test_a_broker_that_was_started_again_gets_every_login_back(door: Door) -> None:
    peer, gamer = door.join(), door.play()
    door.broker.restart()
    until(lambda: door.users() == {peer.user, gamer.user})
    until(lambda: getattr(door.standing(peer.id), "gamers", ()) == (gamer.id,))
    door.login(peer)  # under the same password
    door.login(gamer)


def test_logins_that_nobody_vouches_for_are_deleted(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker, ExitStack() as stack:
        settings = coordinator_settings(tmp_path, broker=broker.url)
        with redis_client(settings, timeout=PATIENCE) as client:
            client.acl_setuser("peer-pstranger", enabled=True, nopass=True)
            client.sadd(open_names.gamers(), "gstranger")
        door = Door(stack, tmp_path, broker)
        until(lambda: door.users() == set())
        until(lambda: not door.operator.exists(open_names.gamers()))


def test_an_account_has_so_many_machines_and_no_more(door: Door) -> None:
    key = door.coordinator.key(KeyRole.GAMER, "ada")
    most = door.settings.coordinator.sessions_per_account
    given = [door.play(key) for _ in range(most)]
    refused = door.ask("POST", "/v1/gamers", key, json={})
    assert (refused.status_code, f"has {most} machines" in refused.text) == (403, True)
    door.ask("DELETE", "/v1/membership", given[0].token)
    door.play(key)
    door.play(door.coordinator.key(KeyRole.GAMER, "bob"))


def test_gamers_of_one_account_are_known_to_be_one_voice_for_a_day(door: Door) -> None:
    ada, bob = (door.coordinator.key(KeyRole.GAMER, name) for name in ("ada", "bob"))
    first, second, other = door.play(ada).id, door.play(ada).id, door.play(bob).id
    assert first != second
    assert account_mark(first) == account_mark(second) != account_mark(other)
    door.coordinator.clock.now += 86_400.0
    assert account_mark(door.play(ada).id) != account_mark(first)


def test_while_the_broker_is_away_nobody_is_let_in_and_the_sentence_says_so(door: Door) -> None:
    token = door.coordinator.key(KeyRole.PEER, "lender", uses=1)
    identity = Identity.generate()
    door.broker.kill()
    answer = door.ask("POST", "/v1/peers", token, json=said(token, identity))
    assert answer.status_code == 503
    assert "broker does not answer" in answer.json()["detail"]
    door.broker.restart()
    # The same machine asks again: its token still counts.
    until(
        lambda: door.ask(
            "POST", "/v1/peers", token, json=said(token, identity)
        ).status_code == 201
    )  # fmt: skip


MIB = b"x" * 2**20
#: How one floods: a command by its number, and how many of them are too much.
FLOODS: dict[str, tuple[Callable[[str, str, int], tuple[Any, ...]], int]] = {
    "a peer, some large keys": (
        lambda me, _, number: ("SET", open_names.measurement(me, f"{number % 512}"), MIB), 193,
    ),
    "a peer, many small keys": (
        lambda me, _, number: ("SET", open_names.measurement(me, f"{number}"), b"x"), 4_097,
    ),
    "a peer, one long stream": (
        lambda me, other, _: ("XADD", open_names.results(me, other, "s1"), "*", "r", MIB), 193,
    ),
    "a peer, one long stream for nobody": (
        lambda me, _, __: ("XADD", open_names.results(me, "gnobody", "s1"), "*", "r", MIB), 193,
    ),
    "a gamer, one long queue": (
        lambda me, other, _: (
            "LPUSH", names.queue_key(open_names.chunks_queue(other, me)), MIB,
        ), 193,
    ),
}  # fmt: skip


@AT_REDIS
@pytest.mark.parametrize("how", FLOODS)
def test_who_floods_the_broker_is_out_within_two_seconds(door: Door, how: str) -> None:
    is_peer = how.startswith("a peer")
    flooder = door.join() if is_peer else door.play()
    other = door.play() if is_peer else door.join()
    honest = door.login(other)
    own = (open_names.health if is_peer else open_names.enrolment)(other.id)
    command, too_many = FLOODS[how]
    client, sent = door.login(flooder), 0

    def flood() -> None:
        nonlocal sent
        with client.pipeline(transaction=False) as pipeline:
            for _ in range(16):
                sent += 1
                pipeline.execute_command(*command(flooder.id, other.id, sent))  # type: ignore[no-untyped-call]
            pipeline.execute()

    began, watch = monotonic(), door.stopwatch()
    with suppress(redis.RedisError):
        while monotonic() - began < PATIENCE:
            if sent < too_many:
                watch = door.stopwatch()
            flood()
    assert watch.seconds < 2.0
    until(lambda: door.users() == {other.user})
    honest.set(own, b"here")
    # What it left is cleared, and nothing of anybody else.
    until(lambda: not list(door.operator.scan_iter(f"*:{flooder.id}:*", count=10_000)))
    until(lambda: not list(door.operator.scan_iter(f"*:in:{flooder.id}", count=10_000)))
    assert honest.get(own) is not None
    (ban,) = door.bans(door.operator_key())
    assert ban["actor"] == "coordinator"
    assert json.loads(ban["details"]["evidence"])["largest"]


def test_no_secret_is_in_what_the_coordinator_logs_or_keeps(
    door: Door, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    token = door.coordinator.key(KeyRole.PEER, "lender", uses=1)
    given, gamer = door.join(token), door.play()
    door.ask("POST", "/v1/membership", given.token)
    door.ask("POST", "/v1/membership", given.token + "x")
    door.ask("DELETE", "/v1/membership", gamer.token)
    secrets = [token, *(each for one in (given, gamer) for each in (one.password, one.token))]
    written = caplog.text.encode() + b"".join(
        path.read_bytes() for path in folder.rglob("coordinator.db*")
    )
    assert written
    for secret in secrets:
        assert secret.encode() not in written
        assert secret.rpartition(".")[2].encode() not in written
