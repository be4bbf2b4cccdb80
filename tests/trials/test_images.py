"""The images of docker/Dockerfile, built without an engine and run as a container would be.

No registry of images may be reachable: so what they stand on is made by debootstrap, from the
mirrors of packages, and given the name that the Dockerfile asks for.  buildah builds them in a
chroot, with every step of the Dockerfile.  Then each runs from its own files: read-only, as its own
user, with nothing but a folder for temporary files.

Wants root, buildah, debootstrap and a Redis: some minutes for each image.  P2C2G_TRIAL_STORE names
a folder in which layers are kept from one trial to the next.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from zipfile import ZipFile

import psutil
import pytest

from tests import brokers

pytestmark = [pytest.mark.trial, pytest.mark.timeout(3600), pytest.mark.needs("redis-server")]

ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/debian:trixie-slim"
USER = "10001"
#: MiB of each image's files that it may have; measured (docs/deploy.md).
MOST = {"worker-cpu": 334, "worker-gpu": 334, "coordinator": 330, "capture": 360}
#: What worker-gpu has in place of gigabytes of PyTorch: the pinned version, and newer than any.
PINNED = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
STAND_INS = {"torch": f"{PINNED['torch']}+stand.in", "torchvision": "0.999.0+stand.in"}
#: Seconds in which something has to happen.
PATIENCE = 120
#: A container as near as can be: its own processes and mounts, nothing to write to, no rights.
INSIDE = """\
set -eu
root=$1; shift
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o uid=10001,gid=10001,mode=700 tmpfs "$root/var/lib/p2c2g"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
exec setpriv --no-new-privs --bounding-set=-all,+sys_chroot,+setuid,+setgid \\
    chroot --userspec=10001:10001 --groups= "$root" "$@"
"""


class Images:
    """A store of images, and what is built into it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._conf = folder / "storage.conf"
        self._conf.write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/store"\n'
            f'runroot = "{folder}/run"\n'
        )
        mirror = folder / "mirror"
        mirror.mkdir(exist_ok=True)
        # The authorities of this machine: its mirrors may have one of their own.
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", mirror / "ca.crt")
        (mirror / "pip.conf").write_text("[global]\ncert = /mirror/ca.crt\nfind-links = /mirror\n")
        for name, version in STAND_INS.items():
            stand_in(mirror, name, version)

    def buildah(self, *words: str) -> str:
        done = subprocess.run(
            ["buildah", *words], cwd=ROOT, capture_output=True, text=True, check=False,
            env=os.environ | {"CONTAINERS_STORAGE_CONF": str(self._conf)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout.strip()

    def make_base(self) -> None:
        """Have what the Dockerfile stands on, as Debian's own slim image is."""
        if BASE.rpartition(":")[0] in self.buildah("images", "--format", "{{.Name}}"):
            return
        root = self._folder / "root"
        subprocess.run(["debootstrap", "--variant=minbase", "trixie", str(root)], check=True)
        subprocess.run(["chroot", str(root), "apt-get", "clean"], check=True)
        for left in ("var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            for each in (root / left).iterdir():
                shutil.rmtree(each) if each.is_dir() else each.unlink()
        container = self.buildah("from", "scratch")
        self.buildah("add", "-q", container, str(root), "/")
        self.buildah("commit", "-q", container, BASE)
        self.buildah("rm", container)

    def build(self, role: str) -> tuple[Path, dict[str, Any]]:
        """Build one, and return its files and its configuration."""
        mirror = self._folder / "mirror"
        self.buildah(
            "bud", "--isolation=chroot", "--pull=never", "--format=docker", "--layers",
            f"--volume={mirror}:/mirror:ro", f"--volume={mirror}/pip.conf:/etc/pip.conf:ro",
            "-f", "docker/Dockerfile", "--target", role, "-t", f"p2c2g/{role}", ".",
        )  # fmt: skip
        container = self.buildah("from", "--pull=never", f"localhost/p2c2g/{role}")
        told = json.loads(self.buildah("inspect", container))
        return Path(self.buildah("mount", container)), told["Docker"]["config"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    if os.geteuid() or not all(map(shutil.which, ("buildah", "debootstrap"))):
        pytest.skip("needs root: apt-get install buildah debootstrap")
    kept = os.environ.get("P2C2G_TRIAL_STORE")
    made = Images(Path(kept) if kept else tmp_path_factory.mktemp("images"))
    made.make_base()
    return made


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ExitStack() as stack:
        yield brokers.redis_server(stack, tmp_path_factory.mktemp("redis"))


class Container:
    """An image that runs."""

    def __init__(self, root: Path, config: dict[str, Any], **more: str) -> None:
        told = dict(each.split("=", 1) for each in config["Env"])
        self._env = {**told, **more}
        self._root, self._config = root, config
        self.lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    def _words(self, words: Sequence[str]) -> list[str]:
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private"),
            *("sh", "-c", INSIDE, "sh", str(self._root), *words),
        ]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, to its end."""
        return subprocess.run(
            self._words(words), env=self._env, capture_output=True, text=True, check=False,
            timeout=PATIENCE,
        )  # fmt: skip

    def start(self, *command: str) -> None:
        """Start what it is for."""
        words = [*self._config["Entrypoint"], *(command or self._config["Cmd"])]
        self._process = subprocess.Popen(
            self._words(words), env=self._env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

    def until(self, text: str) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError("".join(self.lines))

    def healthy(self) -> subprocess.CompletedProcess[str]:
        """Run its healthcheck once."""
        kind, *words = self._config["Healthcheck"]["Test"]
        assert kind == "CMD"
        return self.run(*words)

    def end(self) -> None:
        if self._process is not None:
            # The kernel no longer ends them with their parent: they have become another user.
            for child in psutil.Process(self._process.pid).children(recursive=True):
                child.kill()
            self._process.communicate()


@pytest.fixture
def running() -> Iterator[Any]:
    with ExitStack() as stack:

        def make(root: Path, config: dict[str, Any], **more: str) -> Container:
            made = Container(root, config, **more)
            stack.callback(made.end)
            return made

        yield make


def stand_in(folder: Path, name: str, version: str) -> None:
    """Write a wheel that has nothing in it."""
    told = f"{name}-{version}.dist-info"
    with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{told}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(f"{told}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{told}/RECORD", "")


def assert_lean(role: str, root: Path, config: dict[str, Any]) -> None:
    """Check user, rights and size of an image."""
    assert config["User"] == f"{USER}:{USER}"
    size = int(
        subprocess.check_output(["du", "-sxm", "--apparent-size", root], text=True).split()[0]
    )
    assert 0 < size <= MOST[role], f"{role} has {size} MiB of files"
    for folder, names, files in os.walk(root / "opt/p2c2g"):
        for name in (*names, *files):
            told = Path(folder, name).lstat()
            # Nothing of it can be changed by the user that it runs as, or by others.
            assert told.st_uid == 0
            assert told.st_mode & 0o002 == 0 or Path(folder, name).is_symlink()
    for folder in ("home/p2c2g", "var/lib/p2c2g"):
        if (root / folder).exists():
            assert (root / folder).stat().st_uid == int(USER)
    for gone in (
        "opt/p2c2g/bin/pip", "usr/bin/apt-get", "usr/bin/perl", "usr/bin/gcc", "src", "wheels",
        "build",
    ):  # fmt: skip
        assert not (root / gone).exists()


def test_a_peer_s_image_works_for_a_gamer_s(
    images: Images, broker: str, running: Any, tmp_path: Path
) -> None:
    root, config = images.build("worker-cpu")
    assert_lean("worker-cpu", root, config)
    peer = running(root, config, P2C2G_BROKER_URL=broker)
    refused = peer.run("sh", "-c", "echo > /opt/p2c2g/x || echo > /home/p2c2g/x || id -u")
    assert refused.stdout.strip() == USER, refused
    nets = peer.run("/opt/p2c2g/bin/python", "-c", "import onnxruntime, onnx, cv2; print(1)")
    assert (nets.stdout.strip(), nets.stderr) == ("1", ""), nets
    assert peer.healthy().returncode == 1  # It is not started yet.
    peer.start()
    peer.until(" ready.")
    assert peer.healthy().returncode == 0, peer.healthy()

    root, config = images.build("capture")
    assert_lean("capture", root, config)
    gamer = running(root, config, P2C2G_BROKER_URL=broker)
    words = ("--source=pattern", "--size=320x180", "--fps=10", "--deadline=2000", "--wait-for=1")
    played = gamer.run(
        *config["Entrypoint"], *words, "--seconds=5", "--headless", "--report=/tmp/report.json"
    )
    assert played.returncode == 0, played
    assert "chunks" in played.stdout, played
    gamer.start(*config["Cmd"], *words)
    gamer.until("http://")
    deadline = monotonic() + PATIENCE
    while (asked := gamer.healthy()).returncode != 0:
        assert monotonic() < deadline, asked
        sleep(0.5)


def test_a_gpu_peer_s_image_says_what_it_looked_for(
    images: Images, broker: str, running: Any
) -> None:
    # With all of its steps, and nothing in PyTorch's place: no card can be used.
    root, config = images.build("worker-gpu")
    assert_lean("worker-gpu", root, config)
    peer = running(root, config, P2C2G_BROKER_URL=broker)
    refused = peer.run(*config["Entrypoint"], *config["Cmd"])
    assert refused.returncode == 2, refused
    assert "cannot serve the queue gpu" in refused.stderr, refused


def test_a_coordinator_s_image_is_reached_and_shows_flower(
    images: Images, broker: str, running: Any
) -> None:
    root, config = images.build("coordinator")
    assert_lean("coordinator", root, config)
    port = str(brokers.free_port())
    front = running(
        root, config, P2C2G_BROKER_URL=broker, P2C2G_COORDINATOR_POOL="own",
        P2C2G_COORDINATOR_LISTEN_HOST="127.0.0.1", P2C2G_COORDINATOR_LISTEN_PORT=port,
    )  # fmt: skip
    assert front.healthy().returncode == 1
    front.start()
    front.until("The coordinator is at ")
    deadline = monotonic() + PATIENCE
    while (asked := front.healthy()).returncode != 0:
        assert monotonic() < deadline, asked
        sleep(0.5)
    version = front.run("p2c2g", "--version")
    assert version.stdout.startswith("p2c2g "), version
    flower = front.run("/opt/p2c2g/bin/python", "-c", "import flower; print(1)")
    assert flower.stdout.strip() == "1", flower
    # SQLAlchemy, Alembic and their templates are all there.
    assert front.run("p2c2g", "coordinator", "migrate").returncode == 0
