"""Machines for trials: bare Debian systems that really start, in a network of their own.

Each is a folder over a common one that ``debootstrap`` makes once, booted by ``systemd-nspawn``.
What is made here is root's, so a trial wants root.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from p2c2g.system import processes

from .proxy import Proxy

#: Debian's name for what the machines are: bookworm (12), trixie (13); or Ubuntu's: noble (24.04).
SUITE = os.environ.get("P2C2G_TRIAL_SUITE", "bookworm")
#: Where the common system is kept from trial to trial.
BASE = Path(os.environ.get("P2C2G_TRIAL_BASE", "/var/cache/p2c2g-trials")) / SUITE
#: Where from, and by which of debootstrap's scripts: it need not know a newer one's name.
DEBIAN = ("http://deb.debian.org/debian", "sid")
UBUNTU = ("http://archive.ubuntu.com/ubuntu", "gutsy", "--components=main,universe")
#: What a server's image has, beside the least.
IMAGE = "systemd,systemd-sysv,dbus,ca-certificates,iproute2,python3"
#: Seconds for one step, packages included, on a busy machine.
PATIENCE = 900
#: A name that is this trial's own: none that anybody has.
POOL = "pool.example.org"
#: A bundle that pip and certbot are to trust, where this machine fetches by one.
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_PROGRAMS = ("debootstrap", "systemd-nspawn", "nsenter", "ip")


def require_machines() -> None:
    """Skip a trial where no machines can be made."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(
            "machines are made by root, with debootstrap, systemd-container, util-linux, iproute2"
        )


def call(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=PATIENCE)


class Network:
    """A bridge; this machine is at ``.254`` of it and has a proxy for packages there."""

    def __init__(self, stack: ExitStack) -> None:
        mark = secrets.token_hex(3)
        self._stack, self._mark, self._members = stack, mark, 0
        self.bridge = f"p2c2g{mark}"
        call("ip", "link", "add", self.bridge, "type", "bridge")
        stack.callback(call, "ip", "link", "delete", self.bridge)
        self._prefix = f"10.213.{int(mark[:2], 16)}"
        #: This machine's address there.
        self.own = f"{self._prefix}.254"
        call("ip", "address", "add", f"{self.own}/24", "dev", self.bridge)
        call("ip", "link", "set", self.bridge, "up")
        self.proxy = stack.enter_context(Proxy(self.own))

    def join(self) -> tuple[str, str]:
        """Return the namespace of a new member, and its address."""
        self._members += 1
        name, address = f"{self.bridge}-{self._members}", f"{self._prefix}.{self._members}"
        here, there = f"p{self._mark}{self._members}", f"q{self._mark}{self._members}"
        call("ip", "netns", "add", name)
        self._stack.callback(call, "ip", "netns", "delete", name)
        call("ip", "link", "add", here, "type", "veth", "peer", "name", there)
        call("ip", "link", "set", there, "netns", name)
        call("ip", "link", "set", here, "master", self.bridge, "up")
        call("ip", "-n", name, "link", "set", "lo", "up")
        call("ip", "-n", name, "address", "add", f"{address}/24", "dev", there)
        call("ip", "-n", name, "link", "set", there, "up")
        return name, address


class Machine:
    """One that has booted; it ends with its stack."""

    def __init__(self, stack: ExitStack, network: Network, folder: Path, name: str) -> None:
        base()
        self.name = name
        self.namespace, self.address = network.join()
        self.root = folder / name / "root"
        upper, work = folder / name / "upper", folder / name / "work"
        for each in (self.root, upper, work):
            each.mkdir(parents=True)
        layers = f"lowerdir={BASE},upperdir={upper},workdir={work}"
        call("mount", "-t", "overlay", "-o", layers, "overlay", self.root)
        stack.callback(shutil.rmtree, folder / name, ignore_errors=True)
        stack.callback(call, "umount", self.root)
        self._env = {
            "http_proxy": network.proxy.url, "https_proxy": network.proxy.url,
            "no_proxy": f"{POOL},{network.own}",
            "PIP_CERT": "/etc/trial-ca.crt", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }  # fmt: skip
        shutil.copy(BUNDLE, self.root / "etc/trial-ca.crt")
        (self.root / "etc/apt/apt.conf.d/99trial").write_text(
            f'Acquire::http::Proxy "{network.proxy.url}";\nAcquire::https::CAInfo '
            f'"/etc/trial-ca.crt";\nDPkg::Options {{ "--force-unsafe-io"; }};\n'
        )
        (self.root / "etc/hostname").write_text(f"{name}\n")
        self._process = processes.start(
            [
                "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit",
                f"--directory={self.root}", f"--machine={name}", "--resolv-conf=off",
                "--capability=CAP_NET_ADMIN",
                # Newer ones refuse where this machine's kernel still has control groups of old.
                "--setenv=SYSTEMD_PROC_CMDLINE=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
                f"--network-namespace-path=/run/netns/{self.namespace}", "--console=pipe",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(processes.stop, self._process, 30)
        self._wait_for_boot()

    def run(
        self, script: str, *, user: str = "root", check: bool = True, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script of bash on it, and return what came of it."""
        done = subprocess.run(
            self.command(script, user), capture_output=True, text=True, timeout=PATIENCE,
            env=self.environment(user) | env, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, (self.name, script, done.stdout, done.stderr)
        return done

    def command(self, script: str, user: str = "root") -> list[str]:
        """Return the command that runs a script on it, by the first process's namespaces."""
        inside = ["nsenter", "--target", str(self._leader()), "--mount", "--uts", "--ipc", "--net",
                  "--pid", "--root", "--wdns=/"]  # fmt: skip
        by = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}",
                                        "--init-groups"]  # fmt: skip
        return [*inside, *by, "bash", "-euc", f"cd ~; {script}"]

    def environment(self, user: str) -> dict[str, str]:
        home = "/root" if user == "root" else f"/home/{user}"
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "HOME": home, "USER": user, **self._env}

    def _leader(self) -> int:
        """Return the process that is the first on the machine."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return int(children.read_text().split()[0])

    def _wait_for_boot(self) -> None:
        deadline, pause = monotonic() + PATIENCE, Event()
        ready = "systemctl is-system-running --wait || systemctl is-active multi-user.target"
        while True:
            try:
                if self.run(ready, check=False).returncode == 0:
                    return
            except (OSError, IndexError):
                pass
            assert self._process.poll() is None, f"{self.name} did not boot"
            assert monotonic() < deadline, f"{self.name} does not come up"
            pause.wait(0.2)


def base() -> Path:
    """Return the common system, made where there is none."""
    if not (BASE / "etc/debian_version").exists() or BASE.with_suffix(".part").exists():
        part = BASE.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        mirror, script, *more = UBUNTU if SUITE == "noble" else DEBIAN
        call("debootstrap", "--variant=minbase", f"--include={IMAGE}", *more, SUITE, part,
             mirror, f"/usr/share/debootstrap/scripts/{script}")  # fmt: skip
        shutil.rmtree(BASE, ignore_errors=True)
        part.rename(BASE)
    return BASE
