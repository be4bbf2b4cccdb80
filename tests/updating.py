"""A lent machine whose keeper runs, and the pool whose operator signs releases for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import psutil

from p2c2g import __version__
from p2c2g.lending import peer_config
from p2c2g.lending.home import KEEP, VARIABLE, Home
from p2c2g.lending.peer_settings import PeerConfig
from p2c2g.lending.state import State
from p2c2g.system.secrets import write_private
from p2c2g.updating.journal import Journal
from p2c2g.updating.manifest import Result

#: Seconds in which anything has to happen: an environment is made on a machine that is busy.
PATIENCE = 240.0


class Machine:
    """A lent machine, whose first version is the one that runs the tests.

    Args:
        folder: of its home, and of all that it writes.
        pool: the coordinator's address.
        token: lets it in.
        environment: of its keeper.
    """

    def __init__(self, folder: Path, pool: str, token: str, environment: dict[str, str]) -> None:
        self.home = Home(folder / "home")
        self.home.prepare()
        self.home.adopt(Path(sys.prefix), __version__)
        changes = {"pool.join": pool, "peer.name": "attic", "peer.slots": 1, "page.show": False}
        peer_config.write(self.home.config, PeerConfig.of(changes))
        write_private(self.home.join_key, token + "\n")
        self.log = folder / "keeper.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._pause = Event()
        self.environment = {
            **environment,
            VARIABLE: str(self.home.root),
            # A wheel finds its libraries in the environment of the tests.
            "PIP_NO_DEPS": "1",
            "PIP_NO_INDEX": "1",
            "P2C2G_UPDATE_EVERY": "1",
            "P2C2G_UPDATE_PATIENCE": str(PATIENCE),
            "P2C2G_UPDATE_IDLE": "1",
        }

    def keep(self) -> None:
        """Start what its service would start."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.home.program()), *KEEP], env=self.environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def journal(self) -> Journal:
        return Journal.read(self.home.keeper)

    def state(self) -> State | None:
        return State.read(self.home.state)

    def wait(self, until: Callable[[], Any], *, alive: bool = True) -> None:
        """Wait until something is so."""
        deadline = monotonic() + PATIENCE
        while not until():
            assert monotonic() < deadline, self.said()
            assert not alive or (self.process and self.process.poll() is None), self.said()
            self._pause.wait(0.02)

    def ended(self, version: str) -> Callable[[], bool]:
        """Return what tells whether it is known what became of a version here."""

        def is_known() -> bool:
            said = self.journal().said
            return said.startswith(f"{version} ") and "is being installed" not in said

        return is_known

    def works(self, version: str) -> Callable[[], bool]:
        """Return what tells whether a version is used and at work."""

        def is_so() -> bool:
            state = self.state()
            return (
                self.home.current_version() == version
                and state is not None
                and (state.version, state.word.value) in {(version, "ready"), (version, "working")}
            )

        return is_so

    def kill(self) -> None:
        """End the keeper at once, as when the power goes; the system ends what it had started."""
        assert self.process is not None
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(family, PATIENCE)

    def end(self) -> int:
        """End it in good order."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def said(self) -> str:
        """Return all that it has said."""
        return self.log.read_text(errors="replace") + "\n" + self.journal().model_dump_json()

    def result(self) -> Result:
        """Return the last result that it tells its coordinator, or has told."""
        return self.journal().reports[-1].result


class Operator:
    """Signs releases and publishes them, by the commands that an operator has.

    Args:
        folder: of keys and releases.
        run: runs a command of ours to its end; returns what it printed.
    """

    def __init__(self, folder: Path, run: Callable[..., str]) -> None:
        self.folder = folder
        self._run = run
        self._serial = 0
        self.public = self.new_key("release.key")
        run("release", "pin", self.public)

    def new_key(self, name: str) -> str:
        """Make a key; return its public half."""
        return self._run("release", "key", str(self.folder / name), "--no-passphrase").strip()

    def sign(self, wheel: Path, key: str = "release.key", **options: str) -> Path:
        """Sign a release of a wheel."""
        self._serial += 1
        told = {"serial": str(self._serial), "key": str(self.folder / key), **options}
        out = self.folder / f"{self._serial}.release.json"
        words = [f"--{name}={value}" for name, value in told.items()]
        self._run("release", "sign", str(wheel), *words, f"--out={out}", "--no-passphrase")
        return out

    def publish(self, release: Path, wheel: Path) -> None:
        self._run("release", "publish", str(release), str(wheel))

    def release(self, wheel: Path, **options: str) -> None:
        """Sign and publish."""
        self.publish(self.sign(wheel, **options), wheel)

    def shown(self) -> list[dict[str, Any]]:
        """Return the releases, and what was reported of them."""
        found: list[dict[str, Any]] = json.loads(self._run("release", "show", "--json"))
        return found


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a keeper."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("P2C2G_")}
    return {**clean, **more}
