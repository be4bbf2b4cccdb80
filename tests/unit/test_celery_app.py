"""The application's broker is ours, whatever Celery's variables say; refusals are sentences."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from p2c2g.celery import create_app
from p2c2g.settings import BrokerSettings, Settings
from tests.lane import PATIENCE
from tests.pool import environment

OURS = "redis://:p%3Bw@ours:1/2"
OTHER = "redis://other:6379/5"


@pytest.fixture(autouse=True)
def _stray(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROKER_URL", "BROKER_READ_URL", "BROKER_WRITE_URL", "RESULT_BACKEND"):
        monkeypatch.setenv(f"CELERY_{name}", OTHER)
    monkeypatch.setenv("CELERY_LOADER", "default")


def test_ours_wins() -> None:
    app = create_app(Settings(broker=BrokerSettings(url=OURS)))
    for connection in (
        app.connection_for_read(),
        app.connection_for_write(),
        app.connection(),
        app.connection_for_write(OTHER),
    ):
        assert (connection.hostname, connection.port) == ("ours", 1)
        assert connection.password == "p;w"
    assert app.backend.connparams["host"] == "ours"
    assert app.backend.connparams["password"] == "p;w"
    assert "AppLoader" in type(app.loader).__name__


@pytest.mark.parametrize("scheme", ["sentinel", "sentinels"])
def test_sentinels_are_one_url_for_kombu_and_all_are_known(scheme: str) -> None:
    url = f"{scheme}://u:p;w@a:1/3;{scheme}://[::1]"
    app = create_app(Settings(broker=BrokerSettings(url=url, sentinel_password="theirs")))
    connection = app.connection_for_write()
    assert connection.alt == []  # Else kombu would change to its own transport.
    assert connection.transport_options["sentinels"] == [("a", 1), ("::1", 26379)]
    assert connection.transport_options["sentinel_kwargs"]["password"] == "theirs"
    assert connection.transport_options["sentinel_kwargs"]["ssl"] is (scheme == "sentinels")
    assert (connection.userid, connection.password, connection.virtual_host) == ("u", "p;w", "3")
    hosts = app.backend.connparams["hosts"]
    assert [(host["host"], host["port"]) for host in hosts] == [("a", 1), ("::1", 26379)]
    assert {host["db"] for host in hosts} == {3}
    for shown in (connection.as_uri(), app.backend.as_uri()):
        assert "p%3Bw" not in shown


def test_an_address_of_ipv6_is_shown_as_one() -> None:
    app = create_app(Settings(broker=BrokerSettings(url="redis://:pw@[::1]:7/0")))
    assert app.connection_for_write().as_uri() == "redis://:***@[::1]:7/0"
    assert app.backend.as_uri() == "redis://:***@[::1]:7/0"


@pytest.mark.parametrize(
    ("url", "arguments", "words"),
    [
        ("http://x", ("worker",), "is not a broker's URL"),
        ("http://x", ("inspect", "ping"), "is not a broker's URL"),
        (OURS, ("-b", OTHER, "worker"), "-b is not for P2C2G"),
        (OURS, ("--result-backend", OTHER, "worker"), "--result-backend is not for P2C2G"),
        (OURS, ("worker", "--autoscale=4,1"), "--autoscale cannot be used"),
        (OURS, ("worker", "-P", "prefork", "-D"), "-P processes"),
    ],
)
def test_a_refusal_under_celery_is_a_sentence(
    tmp_path: Path, url: str, arguments: tuple[str, ...], words: str
) -> None:
    command = [sys.executable, "-m", "celery", "-A", "p2c2g", *arguments]
    done = subprocess.run(
        command, env=environment(url), cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not any(tmp_path.iterdir())


def test_a_detached_workers_refusal_is_in_its_log(tmp_path: Path) -> None:
    log = tmp_path / "w.log"
    command = [
        sys.executable, "-m", "celery", "-A", "p2c2g", "worker",
        "-D", "-f", str(log), "-n", "a b@test",
    ]  # fmt: skip
    subprocess.run(command, env=environment("redis://127.0.0.1:1"), check=True, timeout=60)
    deadline = time.monotonic() + PATIENCE
    while "cannot be a peer's id" not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.1)  # Nobody tells: it has left us.
    assert "Traceback" not in log.read_text()
