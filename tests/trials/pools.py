"""What trials of servers have in common: the project as others get it, members, and playing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from p2c2g import __version__
from p2c2g.system import processes

from .machines import POOL, Machine

ROOT = Path(__file__).parents[2]
#: The project, as it is on the server, and what installed it.
VPS, INSTALLED = "~/p2c2g/deploy/vps.sh", "/opt/p2c2g/deploy/vps.sh"
PLAY = (
    f"p2c2g-capture run --pool https://{POOL} --source pattern --size 320x180 --fps 10 --seconds 8 "
    "--headless --where peers --wait-for 1 --report report.json"
)

#: Sessions that are played at most until one has frames that are complete.
SESSIONS = 8
SHOWN = ("captured", "complete", "degraded", "dropped")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print how long something took."""
    began = monotonic()
    yield
    say(f"{monotonic() - began:7.1f} s  {name}")


def copy_project(target: Path, broken: bool = False) -> Path:
    """Copy what git has, or the same with a coordinator that does not start."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    if broken:
        (target / "p2c2g/coordinator/server.py").write_text('raise RuntimeError("broken")\n')
    return target


def wheel(folder: Path, version: str, *, broken: bool = False) -> Path:
    """Build a version, whatever git says that this one is."""
    source = copy_project(folder / f"source-{version}", broken)
    with pretending(version):
        (made,) = WheelBuilder(str(source)).build(directory=str(folder), versions=["standard"])
    return Path(made)


@contextmanager
def pretending(version: str) -> Iterator[None]:
    """Have hatch-vcs say that it is some version."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SETUPTOOLS_SCM_PRETEND_VERSION", version)
        yield


def know(machine: Machine, server: Machine) -> None:
    """Have a machine find the pool, and trust its authority."""
    machine.run(
        f"touch /etc/hosts; sed -i '/{POOL}/d' /etc/hosts; "
        f"echo {server.address} {POOL} >> /etc/hosts"
    )
    shutil.copy(server.root / "etc/p2c2g/tls/ca.crt", machine.root / "etc/pool-ca.crt")


def make_member(machine: Machine, built: Path) -> None:
    shutil.copy(built, machine.root / "srv" / built.name)
    shutil.copy(ROOT / "constraints.txt", machine.root / "srv/constraints.txt")
    machine.run("apt-get -qq update; apt-get -qq -y --no-install-recommends install python3-venv")
    machine.run("useradd --create-home gamer")
    machine.run(
        f"python3 -m venv venv; venv/bin/pip install -q -c /srv/constraints.txt "
        f"'/srv/{built.name}[worker,capture]'",
        user="gamer",
    )


def played(member: Machine, key: str, token: str = "") -> dict[str, int]:
    """Lend a machine, play by it, and return how many frames were what."""
    log = member.root / "home/gamer/peer.log"
    with ExitStack() as while_played, log.open("wb") as file:
        lend = f"exec venv/bin/p2c2g peer run --join https://{POOL}"
        env = {"P2C2G_POOL_CA": "/etc/pool-ca.crt", "P2C2G_KEY": key}
        peer = processes.start(
            member.command(lend, "gamer"), stdout=file, stderr=file,
            env=member.environment("gamer") | env | {"P2C2G_JOIN_TOKEN": token},
        )  # fmt: skip
        while_played.callback(processes.stop, peer, 30)
        # A busy machine may be late with all that is shown in one session.
        for _ in range(SESSIONS):
            member.run(f"venv/bin/{PLAY}", user="gamer", **env)
            report = json.loads((member.root / "home/gamer/report.json").read_text())
            frames: dict[str, int] = report["frames"]
            if frames["complete"]:
                return {name: frames[name] for name in SHOWN}
    raise AssertionError((frames, log.read_text()))


def sdist(folder: Path) -> Path:
    """Build what a release has for servers."""
    source = copy_project(folder / "source-sdist")
    with pretending(__version__):
        (made,) = SdistBuilder(str(source)).build(directory=str(folder), versions=["standard"])
    return Path(made)
