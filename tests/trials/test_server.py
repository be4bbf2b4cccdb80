"""``deploy/vps.sh`` on bare Debian systems: a pool from nothing, played, changed, lost and found.

``make trials`` prints the seconds of each step.  Everything runs in a network of its own.
"""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from p2c2g import __version__

from .machines import PATIENCE, POOL, Machine, Network
from .pools import INSTALLED, VPS, copy_project, know, make_member, played, say, step, wheel

pytestmark = [pytest.mark.trial, pytest.mark.timeout(6 * PATIENCE)]

#: What vps.sh may write to.
OWN = "/etc /opt /usr/local /var/lib/p2c2g /var/backups"


def changed_since(machine: Machine, folders: str) -> list[str]:
    """Return what is newer than the marker on it."""
    return machine.run(f"find {folders} -xdev -newer /marker").stdout.split()


def check_exposure(server: Machine, member: Machine) -> None:
    """Check what can be reached, and who can read secrets."""
    listening = server.run("ss -Hltn | awk '{ print $4 }'").stdout.split()
    loopback = ("127.", "[::1")
    outside = {each.rpartition(":")[2] for each in listening if not each.startswith(loopback)}
    assert outside == {"443", "6390"}, listening
    # By TLS alone, and nothing else answers: nor what would listen there by mistake.
    tried = (
        "import socket, sys\nfor port in map(int, sys.argv[1:]):\n"
        f" try: socket.create_connection(('{POOL}', port), 3); print(port)\n except OSError: pass\n"
    )
    server.run("nohup python3 -m http.server 8080 >/dev/null 2>&1 &")
    open_ports = member.run(f'python3 -c "{tried}" 443 6390 80 5432 6379 6391 8080 8770').stdout
    assert open_ports.split() == ["443", "6390"]
    for port in (443, 6390):
        plain = member.run(
            f"exec 3<>/dev/tcp/{POOL}/{port}; printf 'PING\\r\\nGET / HTTP/1.0\\r\\n\\r\\n' >&3; "
            "timeout 20 cat <&3 || true"
        ).stdout
        assert "PONG" not in plain
        assert "200 OK" not in plain
    modes = server.run(
        "cd /etc/p2c2g; stat -c '%n %a %U:%G' broker.url users.acl redis.conf tls/*.key "
        "/var/lib/p2c2g /var/lib/p2c2g/coordinator/secret /var/backups/p2c2g"
    ).stdout.splitlines()
    assert modes == [
        "broker.url 640 root:p2c2g", "users.acl 640 root:p2c2g-broker",
        "redis.conf 640 root:p2c2g-broker", "tls/ca.key 600 root:root",
        "tls/coordinator.key 600 root:root", "tls/front.key 640 root:p2c2g-front",
        "tls/redis.key 640 root:p2c2g-broker", "/var/lib/p2c2g 700 p2c2g:p2c2g",
        "/var/lib/p2c2g/coordinator/secret 600 p2c2g:p2c2g", "/var/backups/p2c2g 700 p2c2g:p2c2g",
    ]  # fmt: skip


def test_a_pool_from_nothing_played_changed_lost_and_found(stack: ExitStack, folder: Path) -> None:
    with step("wheels built: this version, the next, and one that does not start"):
        ours, following = wheel(folder, __version__), wheel(folder, "9.0.0")
        broken = wheel(folder, "9.0.1", broken=True)
    network = Network(stack)
    with step("two bare Debian systems booted"):
        server, member = (Machine(stack, network, folder, name) for name in ("pool", "member"))
    copy_project(server.root / "root/p2c2g")

    with step("vps.sh --dry-run"):
        server.run("touch /marker")
        said = server.run(f"{VPS} --dry-run --self-signed {POOL}").stdout
        assert "would install packages" in said
        assert changed_since(server, "/etc /opt /usr /home /var/backups") == []
    with step("vps.sh: packages, Redis, PostgreSQL, nginx, firewall, coordinator"):
        server.run(f"{VPS} --self-signed {POOL}")
    first = server.run("p2c2g --version").stdout
    with step("vps.sh again: nothing to change"):
        server.run("touch /marker")
        said = server.run(VPS).stdout
        assert f"Nothing had to be changed: https://{POOL} answers." in said
        assert changed_since(server, OWN) == []
    know(member, server)
    with step("what can be reached, and who reads secrets"):
        check_exposure(server, member)

    with step("a member's machine: pip install"):
        make_member(member, ours)
    token = server.run("p2c2g keys create anna --role peer --uses 1 --days 1").stdout.strip()
    key = server.run("p2c2g keys create ben --role gamer").stdout.strip()
    with step("a peer joins, and 8 s are played"):
        say(f"           {played(member, key, token)}")

    with step("vps.sh backup"):
        server.run(f"{INSTALLED} backup --secrets /root/secrets.tar.gz")
    with step("vps.sh upgrade"):
        shutil.copy(following, server.root / "root" / following.name)
        server.run(f"{INSTALLED} upgrade --wheel ~/{following.name}")
        assert server.run("p2c2g --version").stdout == "p2c2g 9.0.0\n"
    with step("vps.sh rollback"):
        server.run(f"{INSTALLED} rollback")
        assert server.run("p2c2g --version").stdout == first
    with step("vps.sh upgrade to what does not start: back by itself"):
        shutil.copy(broken, server.root / "root" / broken.name)
        done = server.run(f"{INSTALLED} upgrade --wheel ~/{broken.name}", check=False)
        assert done.returncode == 1
        assert f"does not work here, and {first.split()[1]}-" in done.stderr
        assert server.run("p2c2g --version").stdout == first
    with step("what was restored is what was there"):
        server.run("p2c2g keys create late --role gamer")
        server.run(f"{INSTALLED} restore $(ls /var/backups/p2c2g/*.dump | head -1)")
        keys = json.loads(server.run("p2c2g keys list --json").stdout)
        accounts = {row["account"] for row in keys}
        assert accounts == {"operator", "anna", "ben"}
    say(f"           {played(member, key)} after all that")

    # The server is lost; a backup and the secrets were elsewhere.
    server.run("mv $(ls /var/backups/p2c2g/*.dump | head -1) ~/pool.dump")
    trusted = (server.root / "etc/p2c2g/tls/ca.crt").read_bytes()
    server.run(
        "systemctl disable --now --quiet p2c2g-broker p2c2g-coordinator p2c2g-front p2c2g-firewall "
        "p2c2g-backup.timer p2c2g-certificates.timer; rm /etc/systemd/system/p2c2g-*; "
        "systemctl daemon-reload; setpriv --reuid postgres --regid postgres --init-groups "
        "dropdb p2c2g; rm -r /etc/p2c2g /var/lib/p2c2g /var/backups/p2c2g /opt/p2c2g"
    )
    with step("a server from nothing in its place, its packages installed"):
        server.run(f"{VPS} --self-signed {POOL}")
        assert (server.root / "etc/p2c2g/tls/ca.crt").read_bytes() != trusted
    with step("vps.sh restore there, with its secrets"):
        server.run(f"{INSTALLED} restore ~/pool.dump --secrets ~/secrets.tar.gz")
        server.run("p2c2g audit verify")
        assert (server.root / "etc/p2c2g/tls/ca.crt").read_bytes() == trusted
    say(f"           {played(member, key)} there, with no new keys")
