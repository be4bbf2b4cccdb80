"""What hosts of applications set, and what follows from it."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from p2c2g.commands.coordinator import _as_the_host_wants, _lost_with_the_machine
from p2c2g.commands.worker_options import worker_options
from p2c2g.coordinator import server_secret
from p2c2g.coordinator.server import check_exposure
from p2c2g.errors import UsageError
from p2c2g.logs import configure
from p2c2g.settings import load
from p2c2g.settings.hosts import Host, found

ROOT = Path(__file__).parents[2]
#: What each sets, as its own documentation had it.
HEROKU = {"DYNO": "cpu.1", "PORT": "21012", "WEB_CONCURRENCY": "2"}
DOKKU = {"DYNO": "web.1", "PORT": "5000", "DOKKU_APP_TYPE": "herokuish"}
RENDER = {
    "RENDER": "true", "RENDER_INSTANCE_ID": "srv-c1-x7", "PORT": "10000",
    "RENDER_EXTERNAL_URL": "https://pool.onrender.com",
}  # fmt: skip
RAILWAY = {
    "RAILWAY_ENVIRONMENT_ID": "e", "RAILWAY_SERVICE_NAME": "cpu", "PORT": "8080",
    "RAILWAY_REPLICA_ID": "0123456789", "RAILWAY_REPLICA_REGION": "europe-west4",
    "RAILWAY_PUBLIC_DOMAIN": "pool.up.railway.app",
}  # fmt: skip
FLY = {
    "FLY_APP_NAME": "pool", "FLY_PROCESS_GROUP": "cpu", "FLY_MACHINE_ID": "1781973f03e2",
    "FLY_REGION": "ams",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = ("P2C2G_", "REDIS_", "DATABASE_URL", "PORT", "HONCHO_", "DYNO", "RENDER", "FLY_")
    for name in os.environ:
        if name.upper().startswith((*marks, "RAILWAY_", "DOKKU_", "WEB_CONCURRENCY", "PS")):
            monkeypatch.delenv(name)


def put(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("variables", "name", "process", "region", "address"),
    [
        ({}, "", "", "", ""),
        (HEROKU, "Heroku", "cpu.1", "", ""),
        (DOKKU, "Dokku", "web.1", "", ""),
        (RENDER, "Render", "srv-c1-x7", "", "https://pool.onrender.com"),
        (RAILWAY, "Railway", "cpu.01234567", "europe-west4", "https://pool.up.railway.app"),
        (FLY, "Fly", "cpu.1781973f03e2", "ams", ""),
        ({"HONCHO_PROCESS_NAME": "cpu.3"}, "", "cpu.3", "", ""),
        ({"PS": "cpu.3"}, "", "cpu.3", "", ""),  # foreman's
        ({"PS": "somebody else's"}, "", "", "", ""),
        ({"DYNO": "run.4127"}, "Heroku", "", "", ""),  # a person's command
        ({"DYNO": "web.1\n\x1b[2J"}, "Heroku", "web.1-2J", "", ""),
        ({"RENDER": "true", "RENDER_EXTERNAL_URL": "javascript:1"}, "Render", "", "", ""),
    ],
)
def test_a_host_is_known_by_what_it_sets(
    variables: dict[str, str], name: str, process: str, region: str, address: str
) -> None:
    host = found(variables)
    assert (host.name, host.process, host.region, host.address) == (name, process, region, address)


def test_the_port_is_the_coordinators_and_wrong_ones_are_said() -> None:
    assert found({}).listen_port() is None
    assert found(HEROKU).listen_port() == 21012
    for wrong in ("0", "65536", "http", "-1", "9" * 40):
        with pytest.raises(UsageError, match="PORT cannot be used"):
            Host(port=wrong).listen_port()


def test_web_concurrency_bounds_what_a_worker_takes_at_once() -> None:
    assert Host().slots(8) == 8
    assert found(HEROKU).slots(8) == 2
    assert Host(concurrency="16").slots(8) == 8
    for wrong in ("0", "many", "-2", "1.5"):
        with pytest.raises(UsageError, match="WEB_CONCURRENCY cannot be used"):
            Host(concurrency=wrong).slots(8)


@pytest.mark.parametrize("variables", [HEROKU, DOKKU, RENDER, RAILWAY])
def test_behind_a_hosts_router_it_listens_for_that(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    put(monkeypatch, variables)
    settings = load()
    _as_the_host_wants(settings)
    own = settings.coordinator
    assert (own.listen_host, str(own.listen_port)) == ("0.0.0.0", variables["PORT"])
    assert own.public_url == settings.host.address
    check_exposure(own)


def test_what_is_set_by_ours_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {
        "P2C2G_COORDINATOR_LISTEN_HOST": "127.0.0.1", "P2C2G_COORDINATOR_LISTEN_PORT": "9000",
        "P2C2G_COORDINATOR_TRUSTED_PROXIES": "10.1.2.3",
    }  # fmt: skip
    put(monkeypatch, HEROKU | ours)
    settings = load()
    _as_the_host_wants(settings)
    own = settings.coordinator
    assert (own.listen_host, own.listen_port) == ("127.0.0.1", 9000)
    assert own.trusted_proxies == "10.1.2.3"


def test_a_runner_of_a_procfile_opens_nothing_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, {"HONCHO_PROCESS_NAME": "web.1", "PORT": "5000"})
    settings = load()
    _as_the_host_wants(settings)
    own = settings.coordinator
    assert (own.listen_host, own.listen_port, own.trusted_proxies) == ("127.0.0.1", 5000, "")
    assert _lost_with_the_machine(settings) == []


def test_what_goes_with_the_machine_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, HEROKU)
    settings = load()
    database, secret = _lost_with_the_machine(settings)
    assert "add a PostgreSQL" in database
    assert "P2C2G_COORDINATOR_SECRET" in secret
    settings.coordinator.secret = SecretStr("x")
    monkeypatch.setenv("DATABASE_URL", "postgres://u:p@host/db")
    assert len(_lost_with_the_machine(load())) == 1


def test_peers_are_called_as_the_host_calls_them(monkeypatch: pytest.MonkeyPatch) -> None:
    name, region = worker_options()[:2]
    assert name.default is not None
    put(monkeypatch, RAILWAY)
    assert name.default() == "cpu.01234567"
    assert region.default() == "europe-west4"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Any:
    out = io.StringIO()
    monkeypatch.setattr(sys, "__stdout__", out)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield out
    root.handlers[:] = before
    root.setLevel(level)


def test_logs_go_to_standard_output_in_one_line_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: io.StringIO
) -> None:
    put(monkeypatch, HEROKU)
    configure(load().log)
    try:
        raise RuntimeError("first\nsecond")
    except RuntimeError:
        logging.getLogger("p2c2g.test").exception("It went wrong.")
    (line,) = said.getvalue().splitlines()
    assert re.search(r"It went wrong.*RuntimeError: first \| second", line)
    assert capsys.readouterr().err == ""


def test_elsewhere_they_go_where_they_went(
    capsys: pytest.CaptureFixture[str], said: io.StringIO
) -> None:
    configure(load().log)
    logging.getLogger("p2c2g.test").warning("It went wrong.")
    assert said.getvalue() == ""
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_heroku_is_asked_for_is_what_there_is() -> None:
    told = json.loads((ROOT / "app.json").read_text())
    roles = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert set(roles) == {"release", "web", "cpu", "gpu"}
    # One process a role: the runner's signals reach it, and not a shell before it.
    assert all(command.startswith("exec ") for command in roles.values())
    assert set(told["formation"]) <= set(roles)
    fields = {"P2C2G_COORDINATOR_SECRET", "P2C2G_BROKER_VERIFY"}
    assert set(told["env"]) == fields
    # Its generator gives 64 digits in hex.
    assert len(server_secret._bytes_of("0123456789abcdef" * 4)) == 32
    asked = (ROOT / "requirements.txt").read_text().splitlines()[-1]
    assert asked == ".[worker,ml,coordinator,flower]"
