"""What docker/ is made of: by each program's own check, and what can run without an engine.

Images themselves are built and run by tests/trials/test_images.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import yaml

from p2c2g.coordinator.keys import KeyRole
from p2c2g.messaging.embedded import EmbeddedBroker
from tests import brokers
from tests.conftest import require
from tests.coordinators import coordinator_settings, running

from .conftest import BIN, PATIENCE, Command, environment, finish

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
SCRIPTS = ("hollow", "pin", "secrets.sh", "slim", "trim")
#: All that Compose's file can start.
PROFILES = ("dev", "prod", "peer", "gpu")


def run(*words: str | Path, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, **how)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of docker/ with all secrets, as an operator has it."""
    folder = tmp_path_factory.mktemp("pool") / "docker"
    shutil.copytree(DOCKER, folder, ignore=shutil.ignore_patterns("secrets", ".env"))
    done = run(folder / "secrets.sh", "pool.example.org")
    assert done.returncode == 0, done
    return folder


@pytest.fixture(scope="module")
def composed(made: Path) -> dict[str, Any]:
    """Return what Compose makes of its file."""
    require("docker-compose")
    profiles = [word for name in PROFILES for word in ("--profile", name)]
    done = run("docker-compose", "-f", "compose.yml", *profiles, "config", cwd=made)
    assert done.returncode == 0, done
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


def test_the_dockerfile_is_clean() -> None:
    done = run(BIN / "hadolint", DOCKER / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.needs("shellcheck")
def test_the_scripts_are_clean() -> None:
    done = run("shellcheck", *(DOCKER / name for name in SCRIPTS))
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_pinned_by_an_argument_and_no_digest_is_made_up() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE)[0] == "${DEBIAN}"
    assert "sha256:" not in text
    stages = re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM|\Z)", text, re.MULTILINE | re.DOTALL)
    roles = {"coordinator", "worker-cpu", "worker-gpu", "capture"}
    for name, steps in stages:
        if name in roles:
            assert "\nUSER 10001:10001\n" in steps
            assert "HEALTHCHECK" in steps
            assert "ENTRYPOINT [" in steps
    assert roles <= {name for name, _ in stages}


@pytest.mark.needs("docker-compose")
def test_without_secrets_it_says_which_command_makes_them(tmp_path: Path) -> None:
    shutil.copy(DOCKER / "compose.yml", tmp_path)
    done = run("docker-compose", "-f", "compose.yml", "config", cwd=tmp_path)
    assert done.returncode == 1
    assert "run docker/secrets.sh HOST first" in done.stderr


@pytest.mark.needs("docker-compose")
def test_each_service_has_no_more_than_it_needs(composed: dict[str, Any]) -> None:
    services = composed["services"]
    assert set(services) >= {
        "redis", "postgres", "migrate", "coordinator", "worker-cpu", "worker-gpu", "capture",
        "caddy", "prometheus", "alertmanager", "grafana",
    }  # fmt: skip
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        for port in service.get("ports", ()):
            # The proxy alone is open to all; the broker is where an operator says so.
            assert name == "caddy" or str(port).startswith("127.0.0.1:"), (name, port)
        for variable, value in service.get("environment", {}).items():
            secret = re.search("PASSWORD|SECRET|_KEY$|URL_FILE", variable)
            assert not secret or str(value).startswith("/run/secrets/"), (name, variable)
    # The authority's own key is given to nobody.
    assert "ca.key" not in json.dumps(composed)
    coordinator = services["coordinator"]["environment"]
    assert coordinator["P2C2G_COORDINATOR_POOL"] == "own"


def test_secrets_are_each_made_once_and_for_their_owner(made: Path) -> None:
    secrets = made / "secrets"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert stat.S_IMODE((secrets / "ca.key").stat().st_mode) == 0o600
    before = {file.name: file.read_bytes() for file in secrets.iterdir()}
    with (made / ".env").open("a") as file:
        file.write("P2C2G_BROKER_BIND=0.0.0.0\n")
    settings = (made / ".env").read_text()
    assert run(made / "secrets.sh", "pool.example.org").returncode == 0
    # Nor is what an operator has set there.
    assert (made / ".env").read_text() == settings
    assert {file.name: file.read_bytes() for file in secrets.iterdir()} == before
    passwords = [text for name, text in before.items() if name.endswith((".password", ".secret"))]
    assert len(set(passwords)) == len(passwords) == 4
    assert all(len(text.strip()) == 64 for text in passwords)
    named = yaml.safe_load((made / "compose.yml").read_text())["secrets"]
    assert {each["file"] for each in named.values()} <= {f"secrets/{name}" for name in before}
    for wrong in ((), ("a", "b"), ("pool;rm",)):
        assert run(made / "secrets.sh", *wrong).returncode == 2
    ignored = (ROOT / ".gitignore").read_text()
    assert "/docker/secrets/" in ignored
    assert "/docker/.env" in ignored


# -- figures --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield what a coordinator says to Prometheus."""
    folder = tmp_path_factory.mktemp("coordinator")
    with EmbeddedBroker() as broker:
        settings = coordinator_settings(folder, broker=broker.url)
        with running(settings) as coordinator:
            key = coordinator.key(KeyRole.OPERATOR)
            yield coordinator.ask("GET", "/v1/metrics", key).text


def test_rules_and_dashboard_ask_for_figures_that_there_are(figures: str) -> None:
    there = set(re.findall(r"^# TYPE (\w+)", figures, re.MULTILINE))
    files = [DOCKER / "prometheus/rules.yml", *DOCKER.glob("grafana/dashboards/*.json")]
    asked = {name for file in files for name in re.findall(r"\bp2c2g_\w+", file.read_text())}
    assert asked <= there
    # And none that nobody looks at.
    assert there == asked
    for name in re.findall(r'p2c2g_peers\{state=\\?"(\w+)', "".join(map(Path.read_text, files))):
        assert f'p2c2g_peers{{state="{name}"}}' in figures
    dashboard = json.loads((DOCKER / "grafana/dashboards/pool.json").read_text())
    source = yaml.safe_load(
        (DOCKER / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )["datasources"][0]
    assert {each["datasource"]["uid"] for each in dashboard["panels"]} == {source["uid"]}


@pytest.mark.needs("promtool")
def test_figures_and_rules_are_prometheus_own_kind(figures: str) -> None:
    folder = DOCKER / "prometheus"
    said = run("promtool", "check", "metrics", input=figures)
    assert (said.returncode, said.stderr) == (0, ""), said
    for words in (
        ("check", "config", "--syntax-only", folder / "prometheus.yml"),
        ("check", "rules", "--lint-fatal", folder / "rules.yml"),
        ("test", "rules", folder / "rules_test.yml"),
    ):
        done = run("promtool", *words)
        assert done.returncode == 0, done


@pytest.mark.needs("amtool")
def test_alertmanager_takes_its_file() -> None:
    done = run("amtool", "check-config", DOCKER / "alertmanager/alertmanager.yml")
    assert done.returncode == 0, done


@pytest.mark.needs("caddy")
def test_caddy_takes_its_file(made: Path, tmp_path: Path) -> None:
    text = (DOCKER / "caddy/Caddyfile").read_text()
    assert "tls_trust_pool file /run/secrets/ca.crt" in text
    # Debian's Caddy is older than the image's, and names the same by its former word.
    text = text.replace("tls_trust_pool file", "tls_trusted_ca_certs")
    file = tmp_path / "Caddyfile"
    file.write_text(text.replace("/run/secrets", str(made / "secrets")))
    env = environment(P2C2G_HOST="pool.example.org", HOME=str(tmp_path))
    done = run("caddy", "validate", "--adapter", "caddyfile", "--config", file, env=env)
    assert done.returncode == 0, done


# -- the same configuration, without containers ---------------------------------------------------


@pytest.mark.needs("redis-server", "openssl")
def test_redis_rights_and_certificates_are_enough_for_a_pool(
    start: Any, made: Path, tmp_path: Path
) -> None:
    secrets = made / "secrets"
    with ExitStack() as stack:
        port = brokers.free_port()
        text = (DOCKER / "redis/redis.conf").read_text().replace("/run/secrets", str(secrets))
        text = text.replace("6390", str(port)).replace("bind * -::*", f"bind {brokers.HOST}")
        (tmp_path / "redis.conf").write_text(text)
        brokers.start(stack, tmp_path, tmp_path / "redis.conf")
        url = (secrets / "broker.url").read_text().replace("@redis:6390", f"@localhost:{port}")
        (tmp_path / "broker.url").write_text(url)
        env = {
            "P2C2G_BROKER_URL_FILE": str(tmp_path / "broker.url"),
            "P2C2G_BROKER_CA": str(secrets / "ca.crt"),
            "P2C2G_COORDINATOR_TLS_CERT": str(secrets / "coordinator.crt"),
            "P2C2G_COORDINATOR_TLS_KEY": str(secrets / "coordinator.key"),
            "P2C2G_COORDINATOR_SECRET_FILE": str(secrets / "coordinator.secret"),
            "P2C2G_COORDINATOR_DATA": str(tmp_path / "data"),
            "P2C2G_COORDINATOR_POOL": "own",
            "P2C2G_COORDINATOR_LISTEN_HOST": "0.0.0.0",
            "P2C2G_COORDINATOR_LISTEN_PORT": str(brokers.free_port()),
        }
        coordinator: Command = start("p2c2g", "coordinator", "run", **env)
        peer: Command = start("p2c2g", "peer", "run", **env)
        coordinator.line_with("The coordinator is at ")
        peer.line_with(" ready.")
        played = finish(
            *("p2c2g-capture", "run", "--source=pattern", "--size=320x180", "--fps=15"),
            *("--seconds=4", "--deadline=2000", "--headless", "--wait-for=1", "--latency=paced"),
            f"--report={tmp_path / 'report.json'}",
            **env,
        )
        assert played.code == 0, played
        assert json.loads((tmp_path / "report.json").read_text())["peers"]
        for role in ("coordinator", "peer"):
            deadline = monotonic() + PATIENCE
            asking = (sys.executable, DOCKER / "healthy", role)
            while (said := run(*asking, env=environment(**env))).returncode:
                assert monotonic() < deadline, said
        password = (secrets / "redis.password").read_text().strip()
        for words, answer in (("ping", "PONG"), ("flushall", "NOPERM"), ("acl log", "NOPERM")):
            said = run(
                "redis-cli", "--tls", "--cacert", secrets / "ca.crt", "-h", "localhost",
                "-p", str(port), "--user", "pool", "--no-auth-warning", *words.split(),
                env=os.environ | {"REDISCLI_AUTH": password},
            )  # fmt: skip
            assert said.stdout.startswith(answer), said
        coordinator.process.terminate()
        coordinator.process.wait()
        sick = run(sys.executable, DOCKER / "healthy", "coordinator", env=environment(**env))
        assert sick.returncode == 1
