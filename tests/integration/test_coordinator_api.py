"""The coordinator's API: who may do what, over both databases."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from p2c2g.coordinator.keys import KeyRole
from p2c2g.messaging.embedded import EmbeddedBroker
from tests.coordinators import Coordinator, coordinator_settings, running
from tests.databases import fresh_database


@pytest.fixture
def coordinator(tmp_path: Path, database_url: str | None) -> Iterator[Coordinator]:
    with running(coordinator_settings(tmp_path, database_url)) as started:
        yield started


def test_the_first_start_makes_an_operators_key_and_the_second_none(
    tmp_path: Path, database_url: str | None
) -> None:
    settings = coordinator_settings(tmp_path, database_url)
    file = tmp_path / "operator.key"
    with running(settings) as started:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        first = file.read_text().strip()
        assert started.ask("GET", "/v1/me", first).json()["role"] == "operator"
    file.unlink()
    with running(settings) as again:
        assert not file.exists()
        assert again.ask("GET", "/v1/me", first).status_code == 200


def test_an_operator_makes_a_key_sees_it_and_ends_it(coordinator: Coordinator) -> None:
    operator = coordinator.key(KeyRole.OPERATOR, "olga")
    wanted = {"account": "ada", "role": "gamer", "days": 1, "label": "her desk"}
    made = coordinator.ask("POST", "/v1/keys", operator, json=wanted)
    assert made.status_code == 201
    key, id_ = made.json()["key"], made.json()["id"]
    me = coordinator.ask("GET", "/v1/me", key).json()
    assert (me["account"], me["role"], me["scopes"]) == (
        "ada",
        "gamer",
        ["gamers:join", "own:read"],
    )
    listed = coordinator.ask("GET", "/v1/keys", operator)
    assert key not in listed.text
    assert {each["id"]: each["last_used"] for each in listed.json()}[id_] == coordinator.clock.now
    assert coordinator.ask("DELETE", f"/v1/keys/{id_}", operator).status_code == 204
    ended = coordinator.ask("GET", "/v1/me", key)
    assert (ended.status_code, ended.headers["www-authenticate"]) == (401, "Bearer")
    assert "revoked" in ended.json()["detail"]


def test_a_key_sees_and_ends_no_other_accounts_keys(coordinator: Coordinator) -> None:
    coordinator.key(KeyRole.GAMER, "bob")
    other = coordinator.services.accounts.list_keys()[0]
    ada = coordinator.key(KeyRole.PEER, "ada")
    mine = coordinator.ask("GET", "/v1/keys", ada).json()
    assert [each["account"] for each in mine] == ["ada"]
    asked = {"account_id": other.account_id}
    assert coordinator.ask("GET", "/v1/keys", ada, params=asked).status_code == 403
    assert coordinator.ask("DELETE", f"/v1/keys/{other.id}", ada).status_code == 403
    assert coordinator.ask("POST", "/v1/keys", ada, json={}).status_code in (403, 422)
    assert coordinator.ask("DELETE", f"/v1/keys/{mine[0]['id']}", ada).status_code == 204
    assert coordinator.ask("GET", "/v1/me", ada).status_code == 401


def test_an_account_that_is_shut_out_has_no_keys_that_count(coordinator: Coordinator) -> None:
    operator, ada = coordinator.key(KeyRole.OPERATOR, "olga"), coordinator.key(KeyRole.PEER, "ada")
    listed = coordinator.ask("GET", "/v1/accounts", operator).json()
    (id_,) = (each["id"] for each in listed if each["name"] == "ada")
    assert coordinator.ask("POST", f"/v1/accounts/{id_}/disable", operator).status_code == 204
    assert coordinator.ask("GET", "/v1/me", ada).status_code == 401
    assert coordinator.ask("POST", f"/v1/accounts/{id_}/enable", operator).status_code == 204
    assert coordinator.ask("GET", "/v1/me", ada).status_code == 200
    unknown = "a" * 20
    assert coordinator.ask("POST", f"/v1/accounts/{unknown}/enable", operator).status_code == 404


def test_wrong_fields_are_told_without_what_was_sent(coordinator: Coordinator) -> None:
    operator = coordinator.key(KeyRole.OPERATOR)
    wanted = {"account": "<b>hunter2</b>", "role": "gamer"}
    refused = coordinator.ask("POST", "/v1/keys", operator, json=wanted)
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("account cannot be used: give at most 64")
    assert "hunter2" not in refused.text
    scopes = {"account": "ada", "role": "gamer", "scopes": ["pool:write"]}
    refused = coordinator.ask("POST", "/v1/keys", operator, json=scopes)
    assert (refused.status_code, "own:read" in refused.text) == (400, True)


def test_it_is_alive_without_a_broker_and_ready_with_one(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with running(coordinator_settings(tmp_path / "a")) as alone:
        assert alone.ask("GET", "/healthz").json() == {"status": "ok"}
        ready = alone.ask("GET", "/readyz")
        assert (ready.status_code, ready.headers["retry-after"]) == (503, "2")
    with running(coordinator_settings(tmp_path / "b", broker=broker.url)) as started:
        assert started.ask("GET", "/readyz").json() == {"status": "ok"}
        started.services.database.close()
        assert started.ask("GET", "/readyz").status_code == 200  # It connects again.


def test_what_a_coordinator_keeps_is_for_its_user_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with running(coordinator_settings(tmp_path)) as started:
        started.key(KeyRole.GAMER)
        kept = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert kept.keys() > {"coordinator.db", "coordinator.db-wal", "secret", "operator.key"}
    assert set(kept.values()) == {0o600}


def test_a_database_that_hangs_up_is_called_again(postgresql_server: str, tmp_path: Path) -> None:
    with (
        fresh_database(postgresql_server, "p2c2g_hangs_up") as url,
        running(coordinator_settings(tmp_path, url)) as started,
    ):
        key = started.key(KeyRole.GAMER)
        assert started.ask("GET", "/v1/me", key).status_code == 200
        with psycopg.connect(postgresql_server, autocommit=True) as other:

            def asked_after_it_hung_up() -> Any:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = 'p2c2g_hangs_up'"
                )
                return started.ask("GET", "/v1/me", key)

            assert asked_after_it_hung_up().status_code == 200
            other.execute("ALTER DATABASE p2c2g_hangs_up ALLOW_CONNECTIONS false")
            # One that is just being made is not hung up on with the others.
            while (away := asked_after_it_hung_up()).status_code == 200:
                pass
            assert (away.status_code, away.headers["retry-after"]) == (503, "2")
            assert "database does not answer" in away.json()["detail"]
            assert started.ask("GET", "/healthz").status_code == 200
            other.execute("ALTER DATABASE p2c2g_hangs_up ALLOW_CONNECTIONS true")
            assert started.ask("GET", "/v1/me", key).status_code == 200
