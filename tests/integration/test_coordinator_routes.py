"""Every route of a served coordinator's API, from its own description: none can be forgotten.

It is asked as its members ask it: at a port, by TLS, and its broker is a Redis by TLS alone.

A route that is new has to be entered in ``NEEDS`` or in ``OPEN`` below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi.routing import iter_route_contexts
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from p2c2g.coordinator.app import create_app
from p2c2g.coordinator.keys import SCOPES, KeyRole, Scope
from p2c2g.settings import Settings
from tests.conftest import require
from tests.coordinators import TESTER, Coordinator, served
from tests.effort import examples

#: Who needs no key: these two say nothing but "ok".
OPEN = {("GET", "/healthz"), ("GET", "/readyz")}
#: What a key needs for each; None where any will do, and sees what is its own.
NEEDS: dict[tuple[str, str], Scope | None] = {
    ("GET", "/v1/me"): None,
    ("GET", "/v1/keys"): Scope.OWN,
    ("POST", "/v1/keys"): Scope.KEYS_WRITE,
    ("DELETE", "/v1/keys/{key_id}"): Scope.KEYS_WRITE,  # or itself
    ("GET", "/v1/accounts"): Scope.KEYS_READ,
    ("POST", "/v1/accounts/{account_id}/disable"): Scope.KEYS_WRITE,
    ("POST", "/v1/accounts/{account_id}/enable"): Scope.KEYS_WRITE,
    ("GET", "/v1/principals"): Scope.OWN,
    ("GET", "/v1/principals/{principal_id}"): Scope.OWN,
    ("POST", "/v1/principals/{principal_id}/ban"): Scope.POOL_WRITE,
    ("POST", "/v1/principals/{principal_id}/unban"): Scope.POOL_WRITE,
    ("POST", "/v1/principals/{principal_id}/drain"): Scope.POOL_WRITE,
    ("POST", "/v1/principals/{principal_id}/resume"): Scope.POOL_WRITE,
    ("GET", "/v1/principals/{principal_id}/evidence"): Scope.POOL_READ,
    ("GET", "/v1/audit"): Scope.AUDIT_READ,
    ("GET", "/v1/metrics"): Scope.POOL_READ,
    ("POST", "/v1/peers"): Scope.JOIN_PEER,
    ("POST", "/v1/gamers"): Scope.JOIN_GAMER,
    ("GET", "/v1/releases"): Scope.POOL_READ,
    ("POST", "/v1/releases/{serial}/stop"): Scope.POOL_WRITE,
}
#: What the token of a membership is for, and no key (test_enrolment_api.py,
#: test_coordinator_evidence.py, test_coordinator_releases.py).
MEMBERS = {
    ("POST", "/v1/membership"),
    ("DELETE", "/v1/membership"),
    ("POST", "/v1/evidence"),
    ("GET", "/v1/release"),
    ("GET", "/v1/release/wheels/{sha256}"),
    ("POST", "/v1/release/report"),
}
SCHEMA: dict[str, Any] = create_app(Settings()).openapi()
ROUTES = sorted(
    (method.upper(), path) for path, methods in SCHEMA["paths"].items() for method in methods
)
GUARDED = [route for route in ROUTES if route not in OPEN | MEMBERS]
#: Pages, but for those that are for everybody.
HIDDEN = sorted(
    (method, each.path)
    for each in iter_route_contexts(create_app(Settings()).routes)
    for method in each.methods or ()
    if (method, each.path) not in ROUTES
    and each.path not in ("/sign-in", "/static/{name}", "/openapi.json")
    and each.path not in ("/install.sh", "/wheels/{name}")  # before anybody has a key
    and not each.path.startswith("/s/")  # for who has a token, too (test_watching.py)
)


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    require("redis-server")
    limits = (
        "requests_per_minute", "logins_per_minute", "joins_per_minute", "evidence_per_minute",
        "sessions_per_account",
    )  # fmt: skip
    with served(tmp_path_factory.mktemp("data"), **dict.fromkeys(limits, 10**9)) as started:
        yield started


def test_every_route_says_who_may_ask_it() -> None:
    assert set(ROUTES) == OPEN | MEMBERS | NEEDS.keys()


@pytest.mark.parametrize(("method", "path"), HIDDEN)
def test_every_page_sends_who_has_not_signed_in_to_do_so(
    coordinator: Coordinator, method: str, path: str
) -> None:
    path = path.replace("{principal_id}", "k3v9m2x8q1w7e5r4t6y0").replace(
        "{key_id}", "5fQ2mZ81xLpA"
    )
    for cookie in ({}, {"__Host-p2c2g": "x"}, {"__Host-p2c2g": coordinator.key(KeyRole.OPERATOR)}):
        coordinator.client.cookies.clear()
        coordinator.client.cookies.update(cookie)
        answer = coordinator.client.request(
            method, path, headers={"Origin": coordinator.address}, follow_redirects=False
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    coordinator.client.cookies.clear()


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_who_shows_no_key_or_one_that_counts_no_more_gets_nowhere(
    coordinator: Coordinator, method: str, path: str
) -> None:
    role = next(role for role in KeyRole if (NEEDS[method, path] or Scope.OWN) in SCOPES[role])
    accounts = coordinator.services.accounts
    revoked, revoked_text = accounts.create_key("ada", role, TESTER)
    accounts.revoke(revoked.id, TESTER)
    expired = coordinator.key(role, lifetime=1.0)
    coordinator.clock.now += 1.0
    never = "p2c2g_" + "0" * 61
    for key in (None, "", "x", never, revoked_text, expired, expired[:-1], "\xff" * 9):
        answer = ask(coordinator, method, path, key)
        assert answer.status_code == 401, (key, answer.text)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_who_shows_a_key_for_other_things_is_refused(
    coordinator: Coordinator, method: str, path: str
) -> None:
    needed = NEEDS[method, path]
    if needed is None:
        for role in KeyRole:
            assert ask(coordinator, method, path, coordinator.key(role)).status_code == 200
        return
    for role in KeyRole:
        # A key of each role, with everything but this: the wrong role has it in no case.
        others = set(SCOPES[role]) - {needed}
        key = coordinator.key(role, scopes=others)
        if needed is Scope.OWN and role is KeyRole.OPERATOR:
            continue  # It sees everybody's.
        answer = ask(coordinator, method, path, key)
        assert answer.status_code == 403, (role, answer.text)
        assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize(("method", "path"), sorted(MEMBERS))
def test_what_a_membership_is_for_no_key_opens(
    coordinator: Coordinator, method: str, path: str
) -> None:
    keys = [coordinator.key(role) for role in KeyRole]
    for key in (None, "", "x", "k3v9m2x8q1w7e5r4t6y0.x", "\xff" * 9, *keys):
        answer = ask(coordinator, method, path, key)
        assert answer.status_code == 401, (key, answer.text)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), [each for each in ROUTES if each not in MEMBERS])
def test_what_a_key_is_for_it_can_do(coordinator: Coordinator, method: str, path: str) -> None:
    needed = NEEDS.get((method, path))
    role = next(role for role in KeyRole if (needed or Scope.OWN) in SCOPES[role])
    key = coordinator.key(role, scopes={needed} if needed else None)
    answer = ask(coordinator, method, path, key)
    assert answer.status_code not in (401, 403, 422), answer.text


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_whatever_is_sent_there_is_an_answer(
    coordinator: Coordinator, method: str, path: str
) -> None:
    schema = schemathesis.openapi.from_dict(SCHEMA)
    operation = schema[path][method]
    keys = [coordinator.key(role) for role in KeyRole]
    if (method, path) in MEMBERS:
        playing = coordinator.ask("POST", "/v1/gamers", coordinator.key(KeyRole.GAMER), json={})
        keys.append(playing.json()["token"])

    @hypothesis_settings(
        max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        how = case.as_transport_kwargs(base_url=coordinator.address)
        how = {name: value for name, value in how.items() if name != "cookies"}
        for key in keys:
            headers = {**dict(how["headers"]), "Authorization": f"Bearer {key}"}
            try:
                answer = coordinator.client.request(**{**how, "headers": headers})
            except (httpx.LocalProtocolError, httpx.InvalidURL):
                continue  # Nobody can send that.
            assert answer.status_code < 500, answer.text
            if answer.content and answer.headers.get("content-type") == "application/json":
                answer.json()

    send()


def ask(coordinator: Coordinator, method: str, path: str, key: str | None) -> Any:
    """Ask with the examples of the description."""
    described = SCHEMA["paths"][path][method.lower()]
    for parameter in described.get("parameters", ()):
        if parameter["in"] == "path":
            example = parameter["schema"].get("examples") or [parameter["example"]]
            path = path.replace(f"{{{parameter['name']}}}", str(example[0]))
    content = None
    if "requestBody" in described:
        name = described["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        (example,) = SCHEMA["components"]["schemas"][name.rpartition("/")[2]]["examples"]
        content = json.dumps(example)
    return coordinator.client.request(
        method,
        path,
        content=content,
        headers={
            "Content-Type": "application/json",
            **({} if key is None else {"Authorization": f"Bearer {key}".strip().encode("latin1")}),
        },
    )
