"""What a stranger may ask of the coordinator, and what it may not."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from p2c2g.coordinator import front
from p2c2g.coordinator.keys import ApiKey, KeyRole
from p2c2g.coordinator.limiter import Limiter, TooOftenError
from p2c2g.display.door import Limits
from p2c2g.logs import Outputs, json_file
from p2c2g.messaging import names
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.settings import LogSettings
from tests.coordinators import ADDRESS, CLIENT, Coordinator, coordinator_settings, running


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[Coordinator]:
    with running(coordinator_settings(tmp_path, logins_per_minute=3)) as started:
        yield started


def refused(answer: Any) -> None:
    """Check that an answer says that it was too often, and for how long."""
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.json()["detail"].startswith("Too often: come again in ")


# -- how often ------------------------------------------------------------------------------------


def test_an_address_that_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    with running(coordinator_settings(tmp_path, requests_per_minute=5)) as started:
        for _ in range(5):
            assert started.ask("GET", "/healthz").status_code == 200
        refused(started.ask("GET", "/healthz"))
        # A minute later a little of it still counts, and nothing after two.
        started.clock.now += 60
        refused(started.ask("GET", "/healthz"))
        started.clock.now += 30
        assert started.ask("GET", "/healthz").status_code == 200
        started.clock.now += 120
        for _ in range(5):
            assert started.ask("GET", "/healthz").status_code == 200


def test_a_key_that_asks_too_often_is_told_too_wherever_it_asks_from(tmp_path: Path) -> None:
    settings = coordinator_settings(
        tmp_path, requests_per_minute=5, trusted_proxies=f"{CLIENT}, 10.0.0.0/8"
    )
    with running(settings) as started:
        key = started.key(KeyRole.GAMER)
        headers = {"Authorization": f"Bearer {key}"}

        def ask(number: int) -> Any:
            far = {"X-Forwarded-For": f"198.51.100.{number}"}
            return started.client.get("/v1/me", headers={**headers, **far})

        assert [ask(number).status_code for number in range(5)] == [200] * 5
        refused(ask(6))


def test_who_tries_keys_is_not_listened_to_for_a_while(coordinator: Coordinator) -> None:
    right = coordinator.key(KeyRole.GAMER)
    for _ in range(3):
        assert coordinator.ask("GET", "/v1/me", ApiKey.new().text).status_code == 401
    refused(coordinator.ask("GET", "/v1/me", ApiKey.new().text))
    refused(coordinator.ask("GET", "/v1/me", right))
    assert coordinator.ask("GET", "/healthz").status_code == 200


def test_coordinators_count_together_at_the_broker_and_alone_without(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    settings = coordinator_settings(tmp_path, broker=broker.url)
    with running(settings) as started:
        client = started.services.broker.client
        client.flushall()
        now = [0.0]
        one, other = Limiter(lambda: client), Limiter(lambda: client, lambda: now[0])
        one.count("x", 2, "ada")
        other.count("x", 2, "ada")
        for limiter in (one, other):
            with pytest.raises(TooOftenError):
                limiter.count("x", 2, "ada")
            with pytest.raises(TooOftenError):
                limiter.check("x", 2, "ada")
            limiter.count("x", 2, "bob")
        assert client.keys("*") == client.keys(f"{names.celerys()}o:limits*") != []
    with running(coordinator_settings(tmp_path)) as away:
        for _ in range(20):
            assert away.ask("GET", "/healthz").status_code == 200


# -- how much -------------------------------------------------------------------------------------


def test_a_body_that_is_too_long_is_not_read(coordinator: Coordinator) -> None:
    operator = coordinator.key(KeyRole.OPERATOR)
    most = coordinator.services.settings.coordinator.max_body
    told = coordinator.ask("POST", "/v1/keys", operator, content=b" " * (most + 1))
    assert (told.status_code, told.headers["connection"]) == (413, "close")
    assert str(most) in told.json()["detail"]

    def parts() -> Iterator[bytes]:
        for _ in range(most // 1024 + 1):
            yield b" " * 1024

    assert coordinator.ask("POST", "/v1/keys", operator, content=parts()).status_code == 413
    headers = {"Authorization": f"Bearer {operator}", "Content-Length": "9" * 30}
    answer = coordinator.client.post("/v1/keys", headers=headers, content=b"{}")
    assert answer.status_code == 413


def test_a_body_of_two_lengths_is_refused(coordinator: Coordinator) -> None:
    """A proxy may see another request in it than we do."""
    headers = {"Content-Length": "2", "Transfer-Encoding": "chunked"}
    answer = coordinator.client.post("/v1/keys", headers=headers, content=b"{}")
    assert (answer.status_code, answer.headers["connection"]) == (400, "close")


def test_the_body_has_less_time_than_its_request() -> None:
    assert Limits().request_seconds > front.BODY_SECONDS


def test_a_body_that_does_not_come_is_not_waited_for(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "BODY_SECONDS", 0.01)
    application = coordinator.client.app

    async def nothing() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep_forever()

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(application, client=(CLIENT, 1))
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
            return await client.post("/v1/keys", content=nothing())

    assert anyio.run(ask).status_code == 408


def test_deep_json_and_other_types_are_refused_and_not_parsed(coordinator: Coordinator) -> None:
    operator = coordinator.key(KeyRole.OPERATOR)
    post = partial(coordinator.ask, "POST", "/v1/keys", operator)
    assert post(content=b"[" * 60_000).status_code == 422
    assert post(content=b'{"account":' * 5_000).status_code == 422
    assert post(content=b"\xff\xfe").status_code in (400, 422)
    assert post(data={"account": "ada"}).status_code == 422


# -- from where -----------------------------------------------------------------------------------


def test_only_a_trusted_proxy_says_for_whom_it_asks(tmp_path: Path) -> None:
    far = {"X-Forwarded-For": "198.51.100.1, 10.1.1.1", "X-Forwarded-Proto": "https"}
    with running(coordinator_settings(tmp_path / "a")) as started:
        operator = started.key(KeyRole.OPERATOR)
        made = {"json": {"account": "ada", "role": "gamer"}}
        headers = {"Authorization": f"Bearer {operator}", **far}
        assert started.client.post("/v1/keys", headers=headers, **made).status_code == 201
        (row, *_) = started.ask("GET", "/v1/audit", operator).json()
        assert row["address"] == CLIENT
    proxies = {"trusted_proxies": f"{CLIENT},10.0.0.0/8"}
    with running(coordinator_settings(tmp_path / "b", **proxies)) as started:
        operator = started.key(KeyRole.OPERATOR)
        headers = {"Authorization": f"Bearer {operator}", **far}
        assert started.client.post("/v1/keys", headers=headers, **made).status_code == 201
        (row, *_) = started.ask("GET", "/v1/audit", operator).json()
        assert row["address"] == "198.51.100.1"


def test_a_key_that_came_without_tls_is_not_looked_at(coordinator: Coordinator) -> None:
    coordinator.client.base_url = ADDRESS.replace("https", "http")
    key = coordinator.key(KeyRole.GAMER)
    answer = coordinator.ask("GET", "/v1/me", key)
    assert (answer.status_code, "https://" in answer.text) == (403, True)
    assert coordinator.ask("GET", "/healthz").status_code == 200
    lie = {"Authorization": f"Bearer {key}", "X-Forwarded-Proto": "https"}
    assert coordinator.client.get("/v1/me", headers=lie).status_code == 403


def test_only_pages_that_are_allowed_may_ask_from_a_browser(tmp_path: Path) -> None:
    page = "https://play.example"
    with running(coordinator_settings(tmp_path / "a", allow_origins=page)) as started:
        key = started.key(KeyRole.GAMER)
        ask = {"Access-Control-Request-Method": "GET"}
        allowed = started.client.options("/v1/me", headers={"Origin": page, **ask})
        assert allowed.headers["access-control-allow-origin"] == page
        other = started.client.options("/v1/me", headers={"Origin": "https://evil.example", **ask})
        assert "access-control-allow-origin" not in other.headers
        assert "access-control-allow-credentials" not in allowed.headers
        headers = {"Origin": page, "Authorization": f"Bearer {key}"}
        answer = started.client.get("/v1/me", headers=headers)
        assert answer.headers["access-control-allow-origin"] == page
    with running(coordinator_settings(tmp_path / "b")) as started:
        answer = started.client.options("/v1/me", headers={"Origin": page, **ask})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/healthz", "/pool/healthz"])
def test_it_works_in_a_folder_of_a_proxys(tmp_path: Path, path: str) -> None:
    """Whether the proxy takes the folder off, or passes it on."""
    with running(coordinator_settings(tmp_path, root_path="/pool")) as started:
        assert started.ask("GET", path).status_code == 200


# -- what is told ---------------------------------------------------------------------------------


def test_every_answer_has_the_headers_that_keep_a_browser_safe(coordinator: Coordinator) -> None:
    for path in ("/healthz", "/v1/me", "/nowhere", "/openapi.json"):
        headers = coordinator.ask("GET", path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src ")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["strict-transport-security"] == "max-age=31536000"


def test_a_request_is_one_line_of_the_log_without_what_was_sent(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    file = json_file(tmp_path / "logs", LogSettings(), "coordinator")
    logger = logging.getLogger("p2c2g.coordinator")
    outputs, before = Outputs([file]), logger.level
    logger.addHandler(outputs)
    logger.setLevel(logging.INFO)
    try:
        operator = coordinator.key(KeyRole.OPERATOR)
        secret = ApiKey.new().text
        wanted = {"account": "ada", "role": "gamer", "label": "desk"}
        made = coordinator.ask("POST", "/v1/keys", operator, json=wanted).json()
        coordinator.ask("DELETE", f"/v1/keys/{made['id']}", operator)
        coordinator.ask("GET", f"/v1/{secret}?key={secret}", secret)
        logging.getLogger("p2c2g.coordinator.elsewhere").warning("It said %s.", secret)
    finally:
        logger.removeHandler(outputs)
        logger.setLevel(before)
        outputs.close()
    (path,) = (tmp_path / "logs").iterdir()
    text = path.read_text()
    lines = [json.loads(line)["event"] for line in text.splitlines()]
    lines = [line for line in lines if "broker" not in line]
    assert [line.partition(" in ")[0] for line in lines[:3]] == [
        "POST /v1/keys 201",
        "DELETE /v1/keys/{key_id} 204",
        "GET - 404",
    ]
    assert lines[0].endswith(f"key {ApiKey.parse(operator).id}, from {CLIENT}")  # type: ignore[union-attr]
    for key in (operator, secret, made["key"]):
        assert key[20:60] not in text
    assert f"It said {secret[:18]}***." in lines
