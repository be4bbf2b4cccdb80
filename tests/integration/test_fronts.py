"""The configurations in ``deploy/``, by the programs that they are for, with a pool behind them."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from time import monotonic

import httpx
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from p2c2g.joining.address import PoolAddress
from p2c2g.joining.client import CA_VARIABLE
from p2c2g.joining.lease import play
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.system import processes
from p2c2g.system.certificates import Authority, Pair
from tests.brokers import HOST, OpenRedis, free_port
from tests.lane import PATIENCE, ROOT
from tests.watched import Site, playing, serving
from tests.watchers import drawable

DEPLOY = ROOT / "deploy"
#: Of Debian's nginx, where it is no part of the program.
STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
#: Connections of one address, in place of hundreds.
MOST = 8


def changed(name: str, **changes: str) -> str:
    """Return a file of ``deploy/`` with this machine's in place of what it is written for."""
    text = (DEPLOY / name).read_text()
    for was, now in changes.items():
        assert was in text, was
        text = text.replace(was, now)
    return text


class Certificates:
    """A certificate for this machine, and by whom it is signed."""

    def __init__(self, folder: Path) -> None:
        now = datetime.now(UTC)
        authority, _ = Authority.at(Pair.in_folder(folder, "ca"), now)
        authority.issue(Pair.in_folder(folder, "front"), [], now, days=1)
        self.ca, self.cert, self.key = (
            folder / name for name in ("ca.crt", "front.crt", "front.key")
        )

    @property
    def trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca)


def run(stack: ExitStack, *command: str | Path, **env: str) -> None:
    process = processes.start(
        list(command), env={**os.environ, **env}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    stack.callback(processes.stop, process)


def nginx(stack: ExitStack, folder: Path, beside: str = "", http: str = "") -> None:
    """Check a configuration, and run it."""
    temporary = "\n".join(
        f"{each}_temp_path {folder / each};"
        for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = f"""
        daemon off;
        {"user root;" if os.geteuid() == 0 else ""}
        pid {folder / "nginx.pid"};
        error_log {folder / "error.log"};
        {f"load_module {STREAM};" if STREAM.exists() else ""}
        events {{ worker_connections 256; }}
        {beside}
        http {{ access_log off; {temporary} {http} }}
    """
    file = folder / "nginx.conf"
    file.write_text(text)
    command = ("nginx", "-p", folder, "-e", folder / "error.log", "-c", file)
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    run(stack, *command)


@pytest.mark.needs("nginx", "redis-server")
def test_one_address_has_only_so_many_connections_to_the_broker(tmp_path: Path) -> None:
    with ExitStack() as stack:
        broker, port = OpenRedis(stack, tmp_path), free_port()
        text = changed(
            "nginx-stream.conf",
            **{
                "listen 6390;": f"listen {HOST}:{port};",
                "listen [::]:6390;": "",
                "127.0.0.1:6391": f"{HOST}:{broker.port}",
                "limit_conn broker 512": f"limit_conn broker {MOST}",
            },
        )
        nginx(stack, tmp_path, beside=text)
        url = broker.url.replace(str(broker.port), str(port))

        def connected() -> redis.Redis:
            client = redis.Redis.from_url(
                url, ssl_ca_certs=str(broker.ca), retry=Retry(NoBackoff(), 0),
                single_connection_client=True,
            )  # fmt: skip
            stack.callback(client.close)
            client.ping()
            return client

        first = until(connected)
        held = [first, *(connected() for _ in range(MOST - 1))]
        with pytest.raises(redis.ConnectionError):
            connected()
        assert all(each.ping() for each in held), "who is there stays"
        held[0].close()
        until(connected)


def until(tried: object, pause: float = 0.05) -> redis.Redis:
    """Try until it works; nginx comes, and notices an end, when it does."""
    deadline, waiting = monotonic() + PATIENCE, Event()
    while True:
        with suppress(redis.RedisError, ssl.SSLError, OSError):
            done: redis.Redis = tried()  # type: ignore[operator]
            return done
        assert monotonic() < deadline
        waiting.wait(pause)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A coordinator behind a proxy."""
    with (
        EmbeddedBroker() as broker,
        serving(tmp_path / "data", broker.url, trusted_proxies=HOST) as served,
    ):
        yield served


def look(
    site: Site, outside: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> httpx.Client:
    """Join by a proxy, and watch and be watched by it; return a client of it."""
    client = httpx.Client(
        base_url=outside, verify=certificates.trusted, trust_env=False,
        headers={"Authorization": f"Bearer {site.operator}"}, timeout=PATIENCE,
    )  # fmt: skip
    deadline, pause = monotonic() + PATIENCE, Event()
    while True:
        with suppress(httpx.TransportError):
            if client.get("/readyz").status_code == 200:
                break
        assert monotonic() < deadline
        pause.wait(0.05)

    # What a stranger writes of itself is not believed.
    wanted = {"account": "ada", "role": "gamer"}
    made = client.post("/v1/keys", json=wanted, headers={"X-Forwarded-For": "203.0.113.9"})
    assert made.status_code == 201, made.text
    (row,) = client.get("/v1/audit?limit=1").json()
    assert (row["action"], row["address"]) == ("key.create", HOST)
    # By the proxy, or by the coordinator, which then hangs up: not all proxies read why.
    assert client.post("/v1/keys", content=bytes(100_000)).status_code in (413, 502)

    monkeypatch.setenv(CA_VARIABLE, str(certificates.ca))
    membership = play(PoolAddress(outside), "desk", made.json()["key"])
    with (
        playing(membership) as session,
        Site(outside, site.operator).viewer(session.id, ssl=certificates.trusted) as viewer,
    ):
        assert session.relay.url.startswith(f"{outside}/s/")
        session.hub.publish(drawable(1))
        assert viewer.next_picture().number == 1
    return client


@pytest.mark.needs("nginx")
def test_a_coordinator_behind_nginx(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, certificates = free_port(), Certificates(tmp_path)
    text = changed(
        "nginx-http.conf",
        **{
            "listen 443 ssl;": f"listen {HOST}:{port} ssl;",
            "listen [::]:443 ssl;": "",
            "pool.example.org;": "localhost;",
            "/etc/letsencrypt/live/pool.example.org/fullchain.pem": str(certificates.cert),
            "/etc/letsencrypt/live/pool.example.org/privkey.pem": str(certificates.key),
            "http://127.0.0.1:8770": site.address,
            # So that no machine is too slow for it.
            "rate=10r/s": "rate=1r/m",
        },
    )
    with ExitStack() as stack:
        nginx(stack, tmp_path, http=text)
        client = stack.enter_context(
            closing(look(site, f"https://localhost:{port}", certificates, monkeypatch))
        )
        answers = {client.get("/v1/me").status_code for _ in range(60)}
        assert 429 in answers


@pytest.mark.needs("caddy")
def test_a_coordinator_behind_caddy(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = subprocess.run(
        ["caddy", "validate", "--config", DEPLOY / "Caddyfile", "--adapter", "caddyfile"],
        env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    port, certificates = free_port(), Certificates(tmp_path)
    address = f"https://localhost:{port}"
    text = changed(
        "Caddyfile",
        **{
            "pool.example.org {": f"{address} {{\n\ttls {certificates.cert} {certificates.key}",
            "127.0.0.1:8770": site.address.removeprefix("http://"),
        },
    )
    file = tmp_path / "Caddyfile"
    file.write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text)
    with ExitStack() as stack:
        run(
            stack, "caddy", "run", "--config", file, "--adapter", "caddyfile",
            HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path),
        )  # fmt: skip
        stack.enter_context(closing(look(site, address, certificates, monkeypatch)))


#: Connects once more than one address may, and prints how many were let in.
PROBE = f"""
import socket
server = socket.create_server(("", 6390), backlog=64)
held = []
for _ in range({MOST + 4}):
    try:
        held.append(socket.create_connection(("127.0.0.1", 6390), 20))
    except (ConnectionRefusedError, ConnectionResetError):
        break
print(len(held))
"""


@pytest.mark.needs("nft")
def test_the_firewall_counts_connections_by_address(tmp_path: Path) -> None:
    def inside(script: str) -> subprocess.CompletedProcess[str]:
        """Run something as root of a network of its own."""
        command = ["unshare", "-rn", "bash", "-euc", script]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    if shutil.which("unshare") is None:
        pytest.skip("a network of its own is made by unshare (util-linux)")
    if (made := inside("ip link set lo up && nft list ruleset")).returncode != 0:
        pytest.skip(f"this machine makes no networks, or has no nftables: {made.stderr}")
    file = tmp_path / "nftables.conf"
    file.write_text(changed("nftables.conf", **{"over 512": f"over {MOST}"}))
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    # Twice, since it is to be loaded again after a change.
    done = inside(f"ip link set lo up; nft -f {file}; nft -f {file}; {sys.executable} {probe}")
    assert (done.returncode, done.stdout) == (0, f"{MOST}\n"), done
