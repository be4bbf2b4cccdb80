"""A pool of one's own at its coordinator: who is there, Flower behind the sign-in, and figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest

from p2c2g.coordinator import flower_process
from p2c2g.coordinator.flower_process import FlowerProcess
from p2c2g.coordinator.keys import KeyRole, Scope
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.messages import Beat, Enrolment, PeerState
from p2c2g.peers.registry import Registry
from tests.coordinators import ADDRESS, Coordinator, coordinator_settings, running
from tests.lane import PATIENCE

OURS = {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}
THEIRS = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    with pytest.MonkeyPatch.context() as patch, EmbeddedBroker() as broker:
        patch.setenv("P2C2G_BROKER_URL", broker.url)  # for Flower
        folder = tmp_path_factory.mktemp("data")
        settings = coordinator_settings(
            folder, broker=broker.url, pool="own",
            requests_per_minute=10**6,  # Flower is asked until it has started.
        )  # fmt: skip
        with running(settings) as started:
            yield started


def signed_in(coordinator: Coordinator, role: KeyRole, **how: Any) -> Any:
    """Return the coordinator's client, signed in by a new key."""
    client = coordinator.client
    client.cookies.clear()
    key = coordinator.key(role, account=role.value, **how)
    answer = client.post("/sign-in", data={"key": key}, headers=OURS, follow_redirects=False)
    assert answer.status_code == 303
    return client


def enrol(coordinator: Coordinator, peer: str) -> None:
    registry = Registry(coordinator.services.broker.client)
    enrolment = Enrolment(
        id=peer, name="<attic>", slots=2, queues=("cpu",), interval=60.0, instance="i"
    )
    beat = Beat(instance="i", state=PeerState.READY, served=600, seconds_per_chunk=0.012, load=0.5)
    registry.enrol(enrolment, beat)


def test_an_operator_sees_who_is_there_and_what_waits(coordinator: Coordinator) -> None:
    enrol(coordinator, "cpu@one")
    page = signed_in(coordinator, KeyRole.OPERATOR).get("/", follow_redirects=True)
    assert page.status_code == 200
    assert "cpu@one" in page.text
    assert "&lt;attic&gt;" in page.text
    assert ">10.0<" in page.text  # chunks a second
    assert 'href="/flower/"' in page.text
    gamer = signed_in(coordinator, KeyRole.GAMER)
    assert gamer.get("/pool").status_code == 403
    assert gamer.get("/mine").status_code == 200


def test_nobody_joins_it(coordinator: Coordinator) -> None:
    key = coordinator.key(KeyRole.PEER)
    for path in ("/v1/peers", "/v1/gamers"):
        answer = coordinator.ask("POST", path, key, json={})
        assert answer.status_code == 400
        assert "which nobody joins" in answer.json()["detail"]
    for path in ("/v1/principals", "/v1/membership", "/v1/evidence"):
        assert coordinator.ask("GET", path, key).status_code == 404
    assert coordinator.ask("GET", "/readyz").json() == {"status": "ok"}


def test_flower_is_behind_the_sign_in(coordinator: Coordinator) -> None:
    client = coordinator.client
    client.cookies.clear()
    for path in ("/flower", "/flower/", "/flower/api/workers", "/flower/metrics"):
        refused = client.get(path, follow_redirects=False)
        assert (refused.status_code, refused.headers["location"]) == (303, "/sign-in")
    ending = "/flower/api/worker/shutdown/cpu@one"
    assert client.post(ending, headers=OURS, follow_redirects=False).status_code == 303
    gamer = signed_in(coordinator, KeyRole.GAMER)
    assert gamer.get("/flower/").status_code == 403
    looks = signed_in(coordinator, KeyRole.OPERATOR, scopes={Scope.OWN, Scope.POOL_READ})
    answered(looks, "/flower/")
    assert looks.post(ending, headers=OURS).status_code == 403
    operator = signed_in(coordinator, KeyRole.OPERATOR)
    assert operator.post(ending, headers=THEIRS).status_code == 403
    # It comes to Flower, which knows no such worker.
    assert operator.post(ending, headers=OURS).status_code == 404


def test_its_pages_come_with_all_that_they_need(coordinator: Coordinator) -> None:
    operator = signed_in(coordinator, KeyRole.OPERATOR)
    page = answered(operator, "/flower/")
    assert "/flower/static/js/flower.js" in page.text
    assert "script-src 'self' 'unsafe-inline'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in page.headers
    assert "set-cookie" not in page.headers
    script = operator.get("/flower/static/js/flower.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert operator.get("/flower/api/workers").json() == {}
    # Nothing of another folder is reached by it.
    assert operator.get("/flower/..%2f..%2fv1/keys").status_code == 404
    assert "unsafe-inline" not in operator.get("/keys").headers["content-security-policy"]


def answered(client: Any, path: str) -> Any:
    """Ask until Flower has started: it needs some seconds."""
    deadline, pause = monotonic() + PATIENCE, Event()
    while (answer := client.get(path)).status_code == 503:
        assert "Flower does not answer yet" in answer.text
        assert monotonic() < deadline
        pause.wait(0.05)  # It needs the processors.
    assert answer.status_code == 200, answer.text
    return answer


def test_flower_is_started_again_where_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    now, started = 0.0, list[list[str]]()

    class Ended:
        returncode = 1
        stdin = stdout = stderr = None

        def poll(self) -> int:
            return 1

    def start(words: list[str], **_: Any) -> Ended:
        started.append(words)
        return Ended()

    monkeypatch.setattr(flower_process.processes, "start", start)
    environment = {"FLOWER_BASIC_AUTH": "a:b", "P2C2G_BROKER_URL": "redis://x"}
    process = FlowerProcess(environment, lambda: now)
    process.keep()
    process.keep()
    assert len(started) == 1  # not at once
    now = 11.0
    process.keep()
    assert len(started) == 2
    assert "FLOWER_BASIC_AUTH" not in process._environment
    assert process.socket.parent.stat().st_mode & 0o777 == 0o700
    process.stop()
    assert not process.socket.parent.exists()


def test_figures_are_for_who_may_see_the_pool(coordinator: Coordinator) -> None:
    enrol(coordinator, "cpu@one")
    assert coordinator.ask("GET", "/v1/metrics").status_code == 401
    assert coordinator.ask("GET", "/v1/metrics", coordinator.key(KeyRole.GAMER)).status_code == 403
    key = coordinator.key(KeyRole.OPERATOR, scopes={Scope.POOL_READ})
    told = coordinator.ask("GET", "/v1/metrics", key)
    assert told.headers["content-type"].startswith("text/plain; version=")
    assert 'p2c2g_peers{state="ready"} 1.0' in told.text
    assert "p2c2g_chunks_per_second 10.0" in told.text
    assert "p2c2g_broker_up 1.0" in told.text
    assert "p2c2g_broker_connections " in told.text


def test_without_a_broker_the_figures_say_that(tmp_path: Path) -> None:
    with running(coordinator_settings(tmp_path, pool="own")) as coordinator:
        key = coordinator.key(KeyRole.OPERATOR)
        told = coordinator.ask("GET", "/v1/metrics", key).text
        assert "p2c2g_broker_up 0.0" in told
        assert "p2c2g_peers" not in told
        page = signed_in(coordinator, KeyRole.OPERATOR).get("/pool")
        assert "does not answer: who is there is not known" in page.text


def test_open_pools_have_the_same_figures(tmp_path: Path) -> None:
    with (
        EmbeddedBroker() as broker,
        running(coordinator_settings(tmp_path, broker=broker.url)) as coordinator,
    ):
        told = coordinator.ask("GET", "/v1/metrics", coordinator.key(KeyRole.OPERATOR)).text
    assert 'p2c2g_peers{state="ready"} 0.0' in told
    assert "p2c2g_broker_up 1.0" in told
