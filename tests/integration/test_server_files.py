"""What ``deploy/`` puts on a server of one's own, each file by the program that reads it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import hcl2
import pytest
import redis
import yaml
from redis.backoff import NoBackoff
from redis.retry import Retry

from p2c2g.system import processes
from p2c2g.system.certificates import Authority, Pair
from tests.brokers import free_port, wait_for
from tests.lane import PATIENCE, ROOT

DEPLOY = ROOT / "deploy"
VPS = DEPLOY / "vps.sh"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SCRIPTS = [VPS, DEPLOY / "server/backup.sh", DEPLOY / "server/p2c2g"]
#: Tenths of systemd's measure of exposure, of ten; docs/deploy.md has each unit's.
MOST_EXPOSED = 22


def run(*words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env={**os.environ, **env}, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip


@pytest.mark.needs("shellcheck")
def test_shellcheck_finds_nothing() -> None:
    done = run("shellcheck", "--external-sources", "--check-sourced", *SCRIPTS)
    assert (done.stdout, done.returncode) == ("", 0)


def test_help_names_every_option_and_command() -> None:
    done = run("bash", VPS, "--help")
    text = VPS.read_text()
    taken = set(re.findall(r"^ +(--[a-z-]+)\)", text, re.MULTILINE)) | set(
        re.findall(r"--[a-z-]+(?=\) help)", text)
    )
    assert len(taken) >= 15
    assert done.returncode == 0
    assert {option for option in taken if option not in done.stdout} == set()
    for command in ("upgrade", "rollback", "backup", "restore FILE", "status", "certificates"):
        assert f"vps.sh {command}" in done.stdout


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("", "Give --domain NAME, or --self-signed ADDRESS"),
        ("--domain", "--domain needs a value"),
        ("--domain --dry-run", "--domain needs a value"),
        ("--domain pool.example.org", "give --email ADDRESS, or --no-email"),
        ("--domain 192.0.2.7", "use --self-signed 192.0.2.7"),
        ("--self-signed https://pool.example.org", "without https://"),
        ("--self-signed a;reboot", "give one such as pool.example.org"),
        ("--self-signed pool --ssh-port 0", "give 1 to 65535"),
        ("--self-signed pool --wheel none.whl", "give a wheel"),
        ("--self-signed pool --version latest", "give one such as 0.1.0"),
        ("--self-signed pool --wheel deploy/vps.sh --version 1", "give one"),
        ("--domain pool.example.org --no-email --cert x", "two files in PEM"),
        ("--sefl-signed pool", "vps.sh --help says what there is"),
        ("restore", "restore needs a value"),
        ("upgrade rollback", "One command at a time"),
        ("status --restore-database", "is for rollback"),
        ("upgrade --secrets FILE", "is for backup and restore"),
    ],
)
def test_a_wrong_option_gets_one_sentence(given: str, right: str) -> None:
    done = run("bash", VPS, "--dry-run", *given.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert right in done.stderr
    assert done.stderr.startswith("vps.sh: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="it is for Debian, Ubuntu")
def test_a_dry_run_says_all_and_does_nothing(tmp_path: Path) -> None:
    def there() -> list[bool]:
        return [Path(each).exists() for each in ("/etc/p2c2g", "/opt/p2c2g", "/var/lib/p2c2g")]

    before = there()
    # What changes a machine would be these, and they are not asked.
    asked = tmp_path / "asked"
    for name in ("apt-get", "useradd", "createdb", "certbot", "nft"):
        stand_in = tmp_path / name
        stand_in.write_text(f"#!/bin/sh\necho {name} >> {asked}\n")
        stand_in.chmod(0o755)
    done = run(
        "bash", VPS, "--dry-run", "--domain", "pool.example.org", "--no-email",
        PATH=f"{tmp_path}:{os.environ['PATH']}",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for said in ("write /etc/p2c2g/redis.conf", "get a certificate for pool.example.org"):
        assert f"  would {said}\n" in done.stdout
    assert all(line.startswith("  would ") for line in done.stdout.splitlines()[:-1])
    assert not asked.exists()
    assert there() == before


def test_the_servers_broker_is_the_pages() -> None:
    def settings(text: str) -> set[str]:
        return {line for line in text.splitlines() if line and not line.startswith("#")}

    (page,) = re.findall(r"^```ini\n(.*?)^```", (ROOT / "docs/pools.md").read_text(), re.S | re.M)
    own = settings((DEPLOY / "redis.conf").read_text())
    assert settings(page.replace("/etc/p2c2g/redis", "/etc/p2c2g/tls/redis")) - own == {
        "bind * -::*",
        "tls-port 6390",
    }
    assert own - settings(page.replace("/etc/p2c2g/redis", "/etc/p2c2g/tls/redis")) == {
        "bind 127.0.0.1",
        "tls-port 6391",
    }


@pytest.mark.needs("redis-server")
def test_redis_takes_its_configuration_and_speaks_tls_alone(tmp_path: Path) -> None:
    now, port = datetime.now(UTC), free_port()
    authority, _ = Authority.at(Pair.in_folder(tmp_path, "ca"), now)
    authority.issue(Pair.in_folder(tmp_path, "redis"), [], now, days=1)
    (tmp_path / "users.acl").write_text("user default off\nuser coordinator on >word ~* &* +@all\n")
    text = (DEPLOY / "redis.conf").read_text().replace("tls-port 6391", f"tls-port {port}")
    text = text.replace("/etc/p2c2g/tls/", f"{tmp_path}/").replace("/etc/p2c2g/", f"{tmp_path}/")
    (tmp_path / "redis.conf").write_text(text)
    with ExitStack() as stack:
        process = processes.start(
            ["redis-server", tmp_path / "redis.conf", "--dir", str(tmp_path)],
            stdout=subprocess.DEVNULL,
        )
        stack.callback(processes.stop, process)
        client = redis.Redis(
            port=port, ssl=True, ssl_ca_certs=str(tmp_path / "ca.crt"), username="coordinator",
            password="word", retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
        stack.callback(client.close)

        wait_for(client)
        stranger = redis.Redis(port=port, ssl=True, ssl_ca_certs=str(tmp_path / "ca.crt"))
        stack.callback(stranger.close)
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()


@pytest.mark.needs("nginx")
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    Authority.at(Pair.in_folder(tmp_path, "front"), now)
    (tmp_path / "front").mkdir()
    placed = {
        "nginx.conf": "nginx.conf",
        "nginx-http.conf": "front/http.conf",
        "nginx-acme.conf": "front/http-acme.conf",
        "nginx-stream.conf": "front/stream.conf",
    }
    for name, place in placed.items():
        text = (DEPLOY / name).read_text()
        text = re.sub(r"/etc/letsencrypt/live/.*/fullchain.pem", f"{tmp_path}/front.crt", text)
        text = re.sub(r"/etc/letsencrypt/live/.*/privkey.pem", f"{tmp_path}/front.key", text)
        for folder in ("/etc/p2c2g", "/run/p2c2g-front", "/var/cache/p2c2g-front"):
            text = text.replace(folder, str(tmp_path))
        if not Path("/usr/lib/nginx/modules/ngx_stream_module.so").exists():
            text = re.sub(r"load_module .*;", "", text)
        (tmp_path / place).write_text(text)
    done = run("nginx", "-e", "stderr", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-t")
    assert done.returncode == 0, done.stderr


@pytest.mark.needs("nft")
def test_nft_takes_the_firewall(tmp_path: Path) -> None:
    inside = ("unshare", "--user", "--map-root-user", "--net")
    if run(*inside, "nft", "list", "ruleset").returncode != 0:
        pytest.skip("this machine makes no networks, or has no nftables")
    both = tmp_path / "firewall.nft"
    both.write_text(
        (DEPLOY / "nftables-server.conf").read_text() + (DEPLOY / "nftables.conf").read_text()
    )
    # Twice, since it is loaded again after a change.
    for _ in range(2):
        done = run(*inside, "sh", "-ec", f"nft -c -f {both}; nft -f {both}; nft -f {both}")
        assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.needs("systemd-analyze")
def test_systemd_takes_the_units_and_finds_them_hardened(tmp_path: Path) -> None:
    assert len(UNITS) >= 8
    for unit in UNITS:
        # Nothing of a pool is installed here.
        text = re.sub(
            r"(?m)^(Exec\w+)=/(opt|usr/sbin|usr/bin)/\S+", r"\1=/bin/true", unit.read_text()
        )
        (tmp_path / unit.name).write_text(text)
    copies = [tmp_path / unit.name for unit in UNITS]
    verified = run("systemd-analyze", "verify", "--man=no", *copies)
    complaints = [line for line in verified.stderr.splitlines() if line.startswith("p2c2g")]
    assert complaints == []
    for copy in copies:
        if copy.suffix == ".service":
            done = run(
                "systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", copy
            )
            assert done.returncode == 0, done.stdout[-300:]


def test_a_backup_is_whole_or_not_there_and_the_newest_are_kept(tmp_path: Path) -> None:
    stand_in = tmp_path / "pg_dump"
    stand_in.write_text('#!/bin/sh\nwhile [ "$1" != --file ]; do shift; done\necho dump > "$2"\n')
    stand_in.chmod(0o755)
    folder = tmp_path / "backups"
    folder.mkdir()
    for day in range(1, 21):
        (folder / f"database-202601{day:02}T000000Z.dump").touch()
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "P2C2G_BACKUPS": str(folder)}
    assert run("bash", DEPLOY / "server/backup.sh", **env).returncode == 0
    kept = sorted(path.name for path in folder.iterdir())
    assert len(kept) == 14
    assert kept[0] == "database-20260108T000000Z.dump"
    assert (folder / kept[-1]).read_text() == "dump\n"
    assert (folder / kept[-1]).stat().st_mode & 0o077 == 0

    stand_in.write_text(stand_in.read_text() + "exit 1\n")
    assert run("bash", DEPLOY / "server/backup.sh", **env).returncode == 1
    assert sorted(path.name for path in folder.iterdir()) == kept


TOFU = DEPLOY / "opentofu"


@pytest.mark.parametrize("cloud", ["aws", "digitalocean"])
def test_a_clouds_files_are_read_and_what_they_name_is_there(cloud: str) -> None:
    texts = {path.name: path.read_text() for path in sorted((TOFU / cloud).glob("*.tf"))}
    parsed = {name: hcl2.loads(text) for name, text in texts.items()}
    # What both clouds are told is declared once, and linked to.
    assert {path.name for path in (TOFU / cloud).iterdir() if path.is_symlink()} == {
        "access.tf", "release.tf",
    }  # fmt: skip
    assert set(parsed) == {"access.tf", "main.tf", "outputs.tf", "release.tf", "variables.tf"}
    declared = re.findall(r'^variable "(\w+)"', "\n".join(texts.values()), re.MULTILINE)
    assert sorted(set(re.findall(r"\bvar\.(\w+)", texts["main.tf"]))) == sorted(declared)
    made = {
        ".".join(each) for each in re.findall(r'^resource "(\w+)" "(\w+)"', texts["main.tf"], re.M)
    }
    named = re.findall(rf"\b({cloud}_\w+\.\w+)\.", texts["main.tf"] + texts["outputs.tf"])
    assert set(named) - {f"{cloud}_ami.debian"} <= made
    if shutil.which("terraform"):
        assert run("terraform", "fmt", "-check", "-recursive", TOFU).returncode == 0


def test_what_a_cloud_runs_first_is_read_by_its_shell(tmp_path: Path) -> None:
    values = {
        "domain": "pool.example.org",
        "email": "you@example.org",
        "source_url": "https://example.org/p2c2g-0.1.0.tar.gz",
        "source_sha256": "0" * 64,
    }
    text = (TOFU / "server/cloud-init.yaml").read_text()
    assert text.startswith("#cloud-config\n")
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(values)
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    config = yaml.safe_load(text)
    (file,) = config["write_files"]
    assert config["runcmd"] == [[file["path"]]]
    script = tmp_path / "first-start"
    script.write_text(file["content"])
    assert run("sh", "-n", script).returncode == 0
    assert f'--domain "{values["domain"]}" --email "{values["email"]}"' in file["content"]
