"""A lent machine's home: one folder with all that P2C2G keeps there.

.. code-block:: text

    <user's data>/p2c2g/peer, or what P2C2G_PEER_HOME names
    ├── venvs/<version>/   an environment with that version in it, or a link to one
    ├── current            which of them is used: a link, on Windows a file with the version
    ├── peer.toml          what its owner lends (peer_config.py)
    ├── broker.url         of a pool of one's own; its owner's alone
    ├── join.key           a join token that has not been used yet; its owner's alone
    ├── paused             there while its owner has it paused: why
    ├── page.token         of its own page; its owner's alone
    ├── state.json         what the running peer does; written by that alone (state.py)
    ├── update.now         there where its keeper is to look for a newer version at once
    ├── keeper.json        what its keeper did last; written by that alone
    ├── service.json       the process, where no service of the system starts it
    ├── pool-ca.crt        certificates that sign the coordinator's, where the system's do not
    ├── pools/             its membership of an open pool (joining/kept.py)
    ├── cache/             what was measured, and nets
    └── log/
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from platformdirs import user_data_path

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.system.files import write_whole

#: Names the folder.
VARIABLE: Final = "P2C2G_PEER_HOME"
#: After ``p2c2g``: the worker as peer.toml says, and the keeper, which starts that and updates it.
RUN: Final = ("peer", "run", "--configured")
KEEP: Final = ("peer", "keep")
#: Which of them the system's service starts.
STARTS: Final = KEEP

_WINDOWS: Final = sys.platform == "win32"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder.  Nothing of it need be there."""

    root: Path

    @classmethod
    def find(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the one that :data:`VARIABLE` names, else the user's.

        Raises:
            UsageError: the variable names no folder by its whole path.
        """
        named = environment.get(VARIABLE, "")
        if not named:
            return cls(cls.usual())
        path = Path(named).expanduser()
        if not path.is_absolute() or (path.exists() and not path.is_dir()):
            raise UsageError(
                f"{VARIABLE} is {named!r}: give the whole path of a folder, such as "
                f"{str(cls.usual())!r}, or leave it out."
            )
        return cls(path)

    @staticmethod
    def usual() -> Path:
        """Return where it is unless another is named."""
        return user_data_path("p2c2g", appauthor=False) / "peer"

    @property
    def is_usual(self) -> bool:
        """Tell whether it is where nobody has to name it."""
        return self.root == self.usual()

    @property
    def config(self) -> Path:
        """Return the file of what its owner lends."""
        return self.root / "peer.toml"

    @property
    def broker_url(self) -> Path:
        """Return the file with the URL of a broker, for a pool of one's own."""
        return self.root / "broker.url"

    @property
    def join_key(self) -> Path:
        """Return the file with a join token, until the peer has joined by it."""
        return self.root / "join.key"

    @property
    def paused(self) -> Path:
        """Return the file that is there while its owner has the peer paused."""
        return self.root / "paused"

    @property
    def page_token(self) -> Path:
        """Return the file with the token of the peer's page."""
        return self.root / "page.token"

    @property
    def state(self) -> Path:
        """Return the file with what the running peer does."""
        return self.root / "state.json"

    @property
    def keeper(self) -> Path:
        """Return the file with what the keeper did last."""
        return self.root / "keeper.json"

    @property
    def wanted(self) -> Path:
        """Return the file by which the keeper is asked to look for a newer version at once."""
        return self.root / "update.now"

    @property
    def service(self) -> Path:
        """Return the file with the process, where no service of the system starts it."""
        return self.root / "service.json"

    @property
    def pool_ca(self) -> Path:
        """Return the file of certificates that may sign the coordinator's, where there are any."""
        return self.root / "pool-ca.crt"

    @property
    def pools(self) -> Path:
        """Return the folder of memberships."""
        return self.root / "pools"

    @property
    def cache(self) -> Path:
        """Return the folder of what can be made again."""
        return self.root / "cache"

    @property
    def log(self) -> Path:
        """Return the folder of logs."""
        return self.root / "log"

    @property
    def venvs(self) -> Path:
        """Return the folder of environments, one a version."""
        return self.root / "venvs"

    @property
    def current(self) -> Path:
        """Return what says which environment is used."""
        return self.root / "current"

    def venv(self, version: str) -> Path:
        """Return the environment of a version.

        Raises:
            UsageError: that is no version.
        """
        if not version or not all(each.isalnum() or each in ".+-_!" for each in version):
            raise UsageError(f"{version!r} is no version: give one such as 0.1.0.")
        if not version.strip("."):
            raise UsageError(f"{version!r} is no version: give one such as 0.1.0.")
        return self.venvs / version

    def current_version(self) -> str | None:
        """Return the version that is used; None where there is none."""
        try:
            if _WINDOWS:
                return self.current.read_text(encoding="utf-8").strip() or None
            return self.current.readlink().name
        except OSError:
            return None

    def switch(self, version: str) -> None:
        """Use another version from the next start on; a reader finds the old or the new one.

        Raises:
            UsageError: there is no environment of it.
            UnavailableError: it cannot be noted.
        """
        target = self.venv(version)
        if not target.is_dir():
            raise UsageError(f"There is no environment of version {version} in {self.venvs}.")
        try:
            if _WINDOWS:
                write_whole(self.current, version)
                return
            part = self.root / f".current.{os.getpid()}.part"
            part.unlink(missing_ok=True)
            part.symlink_to(Path(self.venvs.name) / version, target_is_directory=True)
            part.replace(self.current)
        except OSError as error:
            raise UnavailableError(
                f"The version to be used cannot be noted in {self.current} ({error.strerror})."
            ) from error

    def adopt(self, prefix: Path, version: str) -> None:
        """Use an environment that lies elsewhere, such as pipx's; it stays where it is.

        Raises:
            UnavailableError: it cannot be noted.
        """
        venv = self.venv(version)
        try:
            self.venvs.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not venv.is_dir() or (venv.is_symlink() and venv.resolve() != prefix.resolve()):
                if venv.is_symlink():
                    venv.unlink()
                venv.symlink_to(prefix, target_is_directory=True)
        except OSError as error:
            raise UnavailableError(
                f"{venv} cannot be made a link to {prefix} ({error.strerror})."
            ) from error
        self.switch(version)

    def program(self, name: str = "p2c2g", version: str | None = None) -> Path:
        """Return a program of an environment: of ``version``, else of the one that is used.

        With the latter it is a path that stays right when another is used, but on Windows.
        """
        if version is not None:
            venv = self.venv(version)
        elif _WINDOWS:
            venv = self.venv(self.current_version() or "")
        else:
            venv = self.current
        return venv / ("Scripts" if _WINDOWS else "bin") / (f"{name}.exe" if _WINDOWS else name)

    def prepare(self) -> None:
        """Make the folders; nobody but their owner may look into them.

        Raises:
            UnavailableError: they cannot be made.
        """
        try:
            for folder in (self.root, self.venvs, self.log):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(
                f"The folder {self.root} cannot be made ({error.strerror}): name another by "
                f"{VARIABLE}."
            ) from error

    def clear(self) -> None:
        """Delete all but the environments: what was begun and did not come about."""
        if not self.root.exists():
            return
        for path in self.root.iterdir():
            if path in (self.venvs, self.current):
                continue
            with suppress(OSError):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        for folder in (self.venvs, self.root):
            with suppress(OSError):
                folder.rmdir()

    def remove(self) -> None:
        """Delete it all; environments that only are linked to stay where they are.

        Folders above it that are empty then, and ours, go as well.

        Raises:
            UnavailableError: something of it cannot be deleted.
        """
        if not self.root.exists():
            return
        try:
            shutil.rmtree(self.root)
        except OSError as error:
            raise UnavailableError(
                f"{error.filename or self.root} cannot be deleted ({error.strerror})."
            ) from error
        if self.is_usual:
            with suppress(OSError):
                self.root.parent.rmdir()
