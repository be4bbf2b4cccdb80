"""The lane over TLS, and behind Sentinel: Debian's redis-server, since Valkey's wheel has none."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.inbox import Inbox
from p2c2g.messaging.places import places
from p2c2g.settings import BrokerSettings, Settings
from tests.brokers import HOST, free_ports, start, wait_for
from tests.lane import PATIENCE, Lane
from tests.pool import Worker

_NEVER_MS = 10 * int(PATIENCE) * 1000
#: Of Sentinels that fail over when they are asked to, and only then: one of their own accord, since
#: the machine stood still for two seconds, takes the stream of a test's session along.
ONLY_WHEN_ASKED = (
    f"sentinel down-after-milliseconds games {_NEVER_MS}",
    f"sentinel failover-timeout games {_NEVER_MS}",
)


def run(*arguments: str | Path) -> None:
    subprocess.run([*map(str, arguments)], check=True, capture_output=True, timeout=PATIENCE)


def make_authority(folder: Path, name: str) -> Path:
    """Make a certificate authority of our own; return its certificate's file."""
    certificate = folder / f"{name}.crt"
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "2", "-subj", f"/CN={name}",
        "-keyout", folder / f"{name}.key", "-out", certificate,
    )  # fmt: skip
    return certificate


def make_certificate(folder: Path, authority: str) -> None:
    """Make ``server.crt`` and ``server.key`` for this address, signed by the authority."""
    run(
        "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", "/CN=broker", "-keyout", folder / "server.key", "-out", folder / "server.csr",
    )  # fmt: skip
    extensions = folder / "extensions"
    extensions.write_text(f"subjectAltName=IP:{HOST}\n")
    run(
        "openssl", "x509", "-req", "-in", folder / "server.csr", "-days", "2",
        "-CA", folder / f"{authority}.crt", "-CAkey", folder / f"{authority}.key",
        "-CAcreateserial", "-extfile", extensions, "-out", folder / "server.crt",
    )  # fmt: skip


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A broker that speaks TLS alone: its URL, and the folder of the certificates."""
    folder = tmp_path_factory.mktemp("tls")
    make_authority(folder, "ours")
    make_authority(folder, "another")
    make_certificate(folder, "ours")
    (port,) = free_ports(1)
    with ExitStack() as stack:
        start(
            stack, folder, "--port", "0", "--tls-port", str(port), "--save", "",
            "--tls-cert-file", folder / "server.crt", "--tls-key-file", folder / "server.key",
            "--tls-ca-cert-file", folder / "ours.crt", "--tls-auth-clients", "no",
            "--requirepass", "secret",
        )  # fmt: skip
        url = f"rediss://:secret@{HOST}:{port}/0"
        with redis.Redis.from_url(url, ssl_ca_certs=str(folder / "ours.crt")) as client:
            wait_for(client)
        yield url, folder


def trusting(url: str, ca: Path | None, verify: bool = True) -> Settings:
    return Settings(broker=BrokerSettings(url=url, ca=ca, verify=verify))


@pytest.mark.needs("redis-server", "openssl")
def test_worker_results_and_inbox_over_tls(tls: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = tls
    ca = folder / "ours.crt"
    with Lane(trusting(url, ca)) as lane:
        worker = Worker(
            lane.app, url, tmp_path / "w.log", "-Q", "cpu", "-c", "4",
            environment={"P2C2G_BROKER_CA": str(ca)},
        )  # fmt: skip
        inbox = Inbox(lane.client, places("inbox"))
        try:
            worker.start()
            inbox.open()
            lane.session = "inbox"
            # More than one record of TLS, and many answers at once.
            sent = lane.send(30, payload=b"p" * 60_000)
            arrived = []
            while len(arrived) < 30:
                assert inbox.wait(PATIENCE), worker.log()
                arrived += list(inbox.read())
            assert {arrival.task_id for arrival in arrived} == set(sent)
            assert {len(arrival.payload) for arrival in arrived} == {60_000}
            assert lane.app.send_task("lane.add", (1, 2), queue="cpu").get(timeout=PATIENCE) == 3
            worker.signal(15)
            assert worker.wait() == 0, worker.log()
        finally:
            inbox.close()
            worker.kill()


@pytest.mark.needs("redis-server", "openssl")
@pytest.mark.parametrize("authority", ["another.crt", None])
def test_a_broker_of_another_authority_is_refused(
    tls: tuple[str, Path], authority: str | None
) -> None:
    url, folder = tls
    known = trusting(url, folder / authority if authority else None)
    with redis_client(known) as client:
        inbox = Inbox(client, places("inbox"))
        with pytest.raises(BrokerUnavailableError, match="certificate verify failed"):
            inbox.open()
        inbox.close()


@pytest.mark.needs("redis-server", "openssl")
@pytest.mark.parametrize("how", ["?ssl_cert_reqs=none", ""])
def test_verification_can_be_turned_off(tls: tuple[str, Path], tmp_path: Path, how: str) -> None:
    url, folder = tls
    with Lane(trusting(url + how, folder / "another.crt", verify=bool(how))) as lane:
        worker = Worker(
            lane.app, url + how, tmp_path / "w.log", "-Q", "cpu", "-c", "1",
            environment={} if how else {"P2C2G_BROKER_VERIFY": "false"},
        )  # fmt: skip
        try:
            worker.start()
            lane.round_trip()
        finally:
            worker.kill()


@pytest.mark.needs("redis-server")
def test_behind_sentinel(tmp_path: Path) -> None:
    port, watcher = free_ports(2)
    (tmp_path / "sentinel.conf").write_text(
        f"port {watcher}\nsentinel monitor games {HOST} {port} 1\n{ONLY_WHEN_ASKED[0]}\n"
    )
    with ExitStack() as stack:
        start(stack, tmp_path, "--port", str(port), "--save", "")
        with redis.Redis(host=HOST, port=port) as master:
            wait_for(master)
        start(stack, tmp_path, tmp_path / "sentinel.conf", "--sentinel")
        with redis.Redis(host=HOST, port=watcher) as sentinel:
            wait_for(sentinel)
        url = f"sentinel://{HOST}:{watcher}"
        known = Settings(broker=BrokerSettings(url=url, sentinel_master="games"))
        lane = stack.enter_context(Lane(known))
        worker = Worker(
            lane.app, url, tmp_path / "w.log", "-Q", "cpu", "-c", "2",
            environment={"P2C2G_BROKER_SENTINEL_MASTER": "games"},
        )  # fmt: skip
        stack.callback(worker.kill)
        worker.start()
        lane.wait_for(lane.send(20))
        assert lane.app.send_task("lane.add", (1, 2), queue="cpu").get(timeout=PATIENCE) == 3
        worker.signal(15)
        assert worker.wait() == 0, worker.log()


#: Milliseconds: they look often, and however late they are, they go on (they would else do nothing
#: for half a minute).
LIVELY = {"INFO-PERIOD": 500, "TILT-TRIGGER": _NEVER_MS}
#: The first makes the old master a replica after four of its periods; the others leave that to it,
#: for to who has not heard yet, the new master is an old one.
PERIODS = (250, _NEVER_MS)


class Watched:
    """Two servers, one of them the other's replica, and Sentinels that watch them."""

    def __init__(self, stack: ExitStack, folder: Path, count: int, *, tls: bool) -> None:
        self.folder = folder
        self._stack = stack
        self._tls: tuple[str, ...] = ()
        self._client: dict[str, Any] = {}
        if tls:
            make_authority(folder, "ours")
            make_certificate(folder, "ours")
            self._tls = (
                f"tls-cert-file {folder}/server.crt", f"tls-key-file {folder}/server.key",
                f"tls-ca-cert-file {folder}/ours.crt", "tls-auth-clients no",
                "tls-replication yes",
            )  # fmt: skip
            self._client = {"ssl": True, "ssl_ca_certs": str(folder / "ours.crt")}
        first, second, *self.watchers = free_ports(2 + count)
        self.servers = (first, second)
        common = (
            "requirepass Geheim",
            "masterauth Geheim",
            'save ""',
            "repl-diskless-sync-delay 0",
        )
        self._serve("first", first, *common)
        self._serve("second", second, *common, f"replicaof {HOST} {first}")
        for number, (port, period) in enumerate(zip(self.watchers, PERIODS, strict=False)):
            self._serve(
                f"sentinel{number}", port, f"sentinel monitor games {HOST} {first} 1",
                "sentinel auth-pass games Geheim", *ONLY_WHEN_ASKED, sentinel=True,
            )  # fmt: skip
            periods = {**LIVELY, "PUBLISH-PERIOD": period}
            self.client(port).execute_command(
                "SENTINEL", "DEBUG", *(part for each in periods.items() for part in each)
            )

    def _serve(self, name: str, port: int, *lines: str, sentinel: bool = False) -> None:
        folder = self.folder / name
        folder.mkdir()
        listens = (f"port 0\ntls-port {port}",) if self._tls else (f"port {port}",)
        (folder / "conf").write_text("\n".join((*listens, *self._tls, *lines, "")))
        start(self._stack, folder, folder / "conf", *(["--sentinel"] if sentinel else []))
        wait_for(self.client(port, None if sentinel else "Geheim"))

    def client(self, port: int, password: str | None = None) -> redis.Redis:
        """Return a client of one of them, closed with the stack."""
        made = redis.Redis(host=HOST, port=port, password=password, **self._client)
        self._stack.callback(made.close)
        return made

    def roles(self) -> dict[int, Any]:
        """Return what each server says of its replication, by its port."""
        return {port: self.client(port, "Geheim").info("replication") for port in self.servers}

    def is_settled(self) -> bool:
        """Tell whether one of them is the other's replica, and has all that it has."""
        said = {each["role"]: each for each in self.roles().values()}
        return {*said} == {"master", "slave"} and said["slave"]["master_link_status"] == "up"

    def fail_over(self) -> None:
        """Make the replica the master, and wait until every Sentinel says so.

        By what clients ask for: of the master's address alone a Sentinel tells some ticks earlier,
        and who connects in between makes its stream at the old one.
        """
        asked = [self.client(port) for port in self.watchers]
        before = asked[0].sentinel_master("games")["port"]
        deadline = time.monotonic() + PATIENCE
        while not self.is_settled():
            assert time.monotonic() < deadline, f"no replica: {self.roles()}"
            time.sleep(0.1)
        while True:
            try:
                asked[0].execute_command("SENTINEL", "FAILOVER", "games")
            except redis.ResponseError:  # It does not know the replica yet.
                assert time.monotonic() < deadline, f"no replica is good enough: {self.roles()}"
                time.sleep(0.2)
            else:
                break
        while any(each.sentinel_master("games")["port"] == before for each in asked):
            assert time.monotonic() < deadline, f"no failover: {self.roles()}"
            time.sleep(0.1)


@pytest.mark.needs("redis-server", "openssl")
@pytest.mark.parametrize(
    ("count", "tls"), [(1, False), (2, False), (2, True)], ids=["one", "two", "two-tls"]
)
def test_a_failover_behind_sentinels(tmp_path: Path, count: int, tls: bool) -> None:
    with ExitStack() as stack:
        watched = Watched(stack, tmp_path, count, tls=tls)
        scheme = "sentinels" if tls else "sentinel"
        url = ";".join(f"{scheme}://:Geheim@{HOST}:{port}/1" for port in watched.watchers)
        ca = tmp_path / "ours.crt" if tls else None
        known = Settings(broker=BrokerSettings(url=url, ca=ca, sentinel_master="games"))
        more = {"P2C2G_BROKER_SENTINEL_MASTER": "games"}
        if ca is not None:
            more["P2C2G_BROKER_CA"] = str(ca)
        with Lane(known) as lane:
            worker = Worker(
                lane.app, url, tmp_path / "w.log", "-Q", "cpu", "-c", "2", environment=more
            )
            stack.callback(worker.kill)
            worker.start()
            lane.round_trip()
        for session in ("second", "third"):
            watched.fail_over()
            with redis_client(known) as client:
                wait_for(client)
            with Lane(known, session=session) as lane:
                try:
                    lane.round_trip_in_the_end()
                except AssertionError as error:
                    more_said = f"{watched.roles()}\n{worker.log()}"
                    raise AssertionError(f"{session}: {error}: {more_said}") from error
        assert worker.is_running, worker.log()
        assert "Traceback" not in worker.log()
        assert "Geheim" not in worker.log()
        worker.signal(15)
        assert worker.wait(PATIENCE) == 0, worker.log()
