"""``install.sh`` on a bare Debian system: from nothing to the first chunk, and back to nothing.

The system shares this machine's network, so that the pool is a test's own.  ``make trials`` prints
the seconds of each step.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import httpx
import pytest

from p2c2g.system import processes
from tests.acceptance.conftest import Command, finish, start
from tests.acceptance.test_joining import RUN, Pool
from tests.brokers import OpenRedis, free_port

from .machines import BUNDLE, PATIENCE, Machine, Network, base, call, require_machines

__all__ = ["start"]

pytestmark = [
    pytest.mark.trial,
    pytest.mark.timeout(3 * PATIENCE),
    pytest.mark.needs("redis-server"),
]
ROOT = Path(__file__).parents[2]
USER, HOME = 1000, "/home/lender"


PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def built(folder: Path) -> Path:
    """Return this project as a wheel."""
    call(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("p2c2g-*.whl")
    return wheel


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    pause, deadline = Event(), monotonic() + PATIENCE
    while not is_so():
        assert monotonic() < deadline
        pause.wait(0.5)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print how long it took, and what of that was work: a machine may be busy with others."""
    began, worked = monotonic(), _worked()
    yield
    took, work = monotonic() - began, _worked() - worked
    sys.stdout.write(f"{took:7.1f} s ({work:.1f} s of a processor)  {what}\n")


def _worked() -> float:
    times = os.times()
    return times.children_user + times.children_system


class Bare:
    """A bare system over the common one, with what it changes in a folder of its own."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.root, self.upper = folder / "root", folder / "upper"
        for each in (self.root, self.upper, folder / "work"):
            each.mkdir()
        layers = f"lowerdir={base()},upperdir={self.upper},workdir={folder / 'work'}"
        for words in (
            ("mount", "-t", "overlay", "-o", layers, "overlay", self.root),
            ("mount", "-t", "proc", "proc", self.root / "proc"),
            ("mount", "--bind", "/dev", self.root / "dev"),
        ):
            call(*words)
            stack.callback(call, "umount", "--lazy", words[-1])
        for path in ("/etc/resolv.conf", "/etc/hosts", BUNDLE):
            shutil.copy(path, self.root / str(path).lstrip("/"))
        (self.root / HOME.lstrip("/")).mkdir(parents=True)
        os.chown(self.root / HOME.lstrip("/"), USER, USER)
        with (self.root / "etc/passwd").open("a") as file:
            file.write(f"lender:x:{USER}:{USER}::{HOME}:/bin/sh\n")

    def run(self, script: str, *, user: int = USER, said: str = "", **env: str) -> str:
        """Run a script of a shell there, and return what it printed."""
        done = subprocess.run(
            ["chroot", f"--userspec={user}:{user}", self.root, "/bin/sh", "-euc", script],
            env={
                "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": HOME if user else "/root", "PIP_CERT": str(BUNDLE),
                "DEBIAN_FRONTEND": "noninteractive", **env,
            },
            input=said, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    def changes(self) -> list[str]:
        """Return what is there, or is there no more, beside the common system."""
        return sorted(
            os.path.relpath(Path(folder, name), self.upper)
            for folder, folders, files in os.walk(self.upper)
            for name in (*folders, *files)
        )


def fetch_packages(bare: Bare, script: str, trusted: ssl.SSLContext) -> None:
    """Have what pip would fetch lie there, so that it can be told how long the rest takes."""
    address, name = (
        re.search(f"^{each}='(.+)'$", script, re.MULTILINE)[1]  # type: ignore[index]
        for each in ("POOL", "WHEEL")
    )
    wheel = httpx.get(f"{address}/wheels/{name}", verify=trusted, trust_env=False)
    (bare.root / "tmp" / name).write_bytes(wheel.content)
    with step("packages from PyPI"):
        bare.run(
            f"mkdir /packages; python3 -m venv /tmp/venv; /tmp/venv/bin/pip --quiet download "
            f"--no-cache-dir --dest /packages '/tmp/{name}[worker,ml]'; "
            f"rm -r /tmp/venv /tmp/{name} /packages/{name}; chmod -R a+rX /packages; "
            "du -sm /packages >&2",
            user=0,
        )
    size = sum(path.stat().st_size for path in (bare.root / "packages").iterdir())
    sys.stdout.write(f"           {size / 1e6:.0f} MB of packages\n")


@pytest.fixture
def pool(start: Any, tmp_path: Path) -> Iterator[Pool]:
    """A pool whose coordinator was installed as a wheel, so that it has one to give."""
    call(*PIP, "install", "--no-deps", "--target", tmp_path / "installed", built(tmp_path))
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path / "installed"))
        (tmp_path / "redis").mkdir()
        yield Pool(start, OpenRedis(stack, tmp_path / "redis"), tmp_path)


def test_a_bare_debian_becomes_a_peer_works_and_is_bare_again(
    pool: Pool, start: Any, tmp_path: Path
) -> None:
    require_machines()
    token = pool.key("anna", "peer", "--uses=1")
    key = pool.key("ben", "gamer")
    ca = pool.theirs["P2C2G_POOL_CA"]
    trusted = ssl.create_default_context(cafile=ca)
    script = httpx.get(f"{pool.url}/install.sh", verify=trusted, trust_env=False).text
    with ExitStack() as stack:
        (tmp_path / "bare").mkdir()
        bare = Bare(stack, tmp_path / "bare")
        with step("Debian's python3-venv, which a bare system has not"):
            bare.run(
                "apt-get -qq update; apt-get -qq -y install --no-install-recommends python3-venv",
                user=0,
            )
        shutil.copy(ca, bare.root / "etc/pool-ca.crt")
        (bare.root / "etc/pool-ca.crt").chmod(0o644)
        fetch_packages(bare, script, trusted)
        before = bare.changes()
        with step("install.sh beside downloads: environment, joining, measuring, starting"):
            said = bare.run(
                "sh -s -- --yes --service none -- --name attic --wait 0 --page-port 0", said=script,
                P2C2G_JOIN_TOKEN=token, P2C2G_POOL_CA="/etc/pool-ca.crt", PIP_NO_INDEX="1",
                PIP_FIND_LINKS="/packages",
            )  # fmt: skip
        sys.stdout.write(said)
        peer = f"{HOME}/.local/bin/p2c2g peer"
        stack.callback(bare.run, f"{peer} uninstall --yes --anyway || true")
        assert "attic" in finish("p2c2g", "pool", "list", **pool.own).output
        size = bare.run(f"du -sm {HOME}/.local | cut -f1").strip()
        sys.stdout.write(f"           {size} MB on the disk\n")

        session: Command = start(
            *RUN, "--seconds=600", "--pool", pool.url, P2C2G_KEY=key, **pool.theirs
        )
        with step("until its first chunk is done, beside a gamer who has just begun"):
            until(lambda: json.loads(bare.run(f"{peer} status --json"))["chunks"] > 0)
        session.end()
        with step("uninstall"):
            bare.run(f"{peer} uninstall --yes")
        assert bare.changes() == before
        assert "attic" not in finish("p2c2g", "pool", "list", **pool.own).output


def test_systemd_starts_it_again_and_lets_it_go(tmp_path: Path) -> None:
    require_machines()
    wheel = built(tmp_path)
    with ExitStack() as stack:
        network = Network(stack)
        port, password = free_port(), secrets.token_hex(8)
        broker = processes.start(
            ["redis-server", "--bind", network.own, "--port", str(port), "--save", "",
             "--requirepass", password],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(processes.stop, broker)
        machine = Machine(stack, network, tmp_path, "lender")
        with step("a user that stays, Python, and P2C2G"):
            machine.run(
                "apt-get -qq update; apt-get -qq -y install --no-install-recommends python3-venv "
                "dbus-user-session libpam-systemd >/dev/null; useradd -m lender; "
                "loginctl enable-linger lender"
            )
            shutil.copy(wheel, machine.root / "opt")
            (machine.root / "opt" / wheel.name).chmod(0o644)
            as_lender = partial(machine.run, user="lender", XDG_RUNTIME_DIR=f"/run/user/{USER}")
            as_lender(
                "python3 -m venv venv; venv/bin/pip --quiet install --no-cache-dir "
                f"'/opt/{wheel.name}[worker]'"
            )
        url = f"redis://:{password}@{network.own}:{port}/0"
        as_lender(f"umask 077; echo {url} > broker.url")
        peer = "venv/bin/p2c2g peer"
        with step("p2c2g peer init"):
            done = as_lender(f"{peer} init --broker-file broker.url --yes --wait 0")
        sys.stdout.write(done.stdout)
        unit = "systemctl --user show p2c2g-peer --property=MainPID --value"
        first = as_lender(unit).stdout.strip()
        assert first != "0"
        with step("killed, and there again"):
            as_lender(f"kill -9 {first}")
            until(lambda: as_lender(unit).stdout.strip() not in ("0", first))
            until(lambda: as_lender(f"{peer} status", check=False).returncode == 0)
        with step("uninstall"):
            as_lender(f"{peer} uninstall --yes")
        assert as_lender(f"{unit}; ls -A .config .local", check=False).stdout.split() == ["0"]
