"""Environments of versions, one beside the other, and what is done to make one."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from email.parser import BytesHeaderParser
from importlib import metadata
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from p2c2g.errors import UnavailableError, UpdateError
from p2c2g.lending.home import KEEP, VARIABLE, Home
from p2c2g.system import processes
from p2c2g.updating.course import UnsureError
from p2c2g.updating.fetching import Source
from p2c2g.updating.manifest import PROJECT, Manifest

#: Bytes that stay free on the disk at least.
_SPARE: Final = 64 << 20
#: A new environment may need so many times what the one has that is used.
_GROWTH: Final = 1.2
#: Bytes of a wheel's description at most.
_MOST_METADATA: Final = 1 << 20
#: Seconds that a step may take: to install, and each look at what was installed.
_INSTALL: Final = 3_600.0
_LOOK: Final = 300.0
#: Letters of what a program said that are shown.
_MOST_SHOWN: Final = 160


class Venvs:
    """Makes environments in a peer's home.

    Args:
        home: the peer's.
        source: where wheels come from.
        index: that libraries are installed from; pip's own configuration says it where "".
        ending: set where this process is to end; steps are given up then.
        free: returns the bytes that are free for files of a folder.
    """

    def __init__(
        self,
        home: Home,
        source: Source,
        index: str = "",
        ending: Event | None = None,
        free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        self._home = home
        self._source = source
        self._index = index
        self._ending = ending or Event()
        self._free = free
        self._files = home.root / "update"

    def current(self) -> str:
        """Return the version that is used.

        Raises:
            UnavailableError: none is.
        """
        version = self._home.current_version()
        if version is None:
            raise UnavailableError(
                f"There is no {self._home.current}: set this peer up by p2c2g peer init."
            )
        return version

    def fetch(self, manifest: Manifest) -> None:
        """Have a release's wheels here.

        Raises:
            UnavailableError: there is no room for it, or it cannot be had.
        """
        need = int(2 * manifest.size + _GROWTH * _size(self._home.current.resolve()) + _SPARE)
        try:
            self._files.mkdir(mode=0o700, parents=True, exist_ok=True)
            free = self._free(self._files)
        except OSError as error:
            raise UnavailableError(
                f"{self._files} cannot be written ({error.strerror})."
            ) from error
        if free < need:
            raise UnavailableError(
                f"it needs {need >> 20} MB on the disk, and {free >> 20} MB are free."
            )
        for wheel in manifest.wheels:
            self._source.fetch(wheel, self._files / wheel.name)

    def build(self, manifest: Manifest) -> None:
        """Make an environment of a release, beside the one that is used.

        Raises:
            UpdateError: a wheel is none, or would have something installed from elsewhere.
            UnsureError: it cannot be installed.
            UnavailableError: there is no room for it.
        """
        for wheel in manifest.wheels:
            check_wheel(self._files / wheel.name)
        venv = self._home.venv(manifest.version)
        self._remove(venv)
        self._step([sys.executable, "-I", "-m", "venv", str(venv)], _LOOK)
        wheels = [
            f"{self._files / wheel.name}{_extras() if wheel.project == PROJECT else ''}"
            for wheel in manifest.wheels
        ]
        index = ["--index-url", self._index] if self._index else []
        python = self._home.program("python", manifest.version)
        self._step(
            [
                str(python), "-I", "-m", "pip", "install", "--no-input", "--no-cache-dir",
                # What is built from source runs its author's code here.
                "--disable-pip-version-check", "--only-binary=:all:", *index, *wheels,
            ],
            _INSTALL,
        )  # fmt: skip

    def probe(self, version: str) -> None:
        """See whether a version can be started, and works on chunks of its own.

        Raises:
            UpdateError: it does not.
        """
        program = str(self._home.program(version=version))
        said = self._look([program, "--version"])
        if said != f"{PROJECT} {version}":
            raise UpdateError(f"its wheel is not of this version: it says {said[:_MOST_SHOWN]!r}.")
        self._look([program, "peer", "probe", "--json"])
        self._look([program, *KEEP, "--check"])

    def switch(self, version: str) -> None:
        """Use a version from the next start on."""
        self._home.switch(version)

    def tidy(self, *kept: str) -> None:
        """Delete what is left of others than these versions, and files that were fetched."""
        shutil.rmtree(self._files, ignore_errors=True)
        if not self._home.venvs.is_dir():
            return
        for venv in self._home.venvs.iterdir():
            if venv.name not in kept:
                self._remove(venv)

    def _remove(self, venv: Path) -> None:
        """Delete an environment; where it only is a link, that alone."""
        if venv.is_symlink():
            venv.unlink()
        elif venv.exists():
            shutil.rmtree(venv, ignore_errors=True)

    def _look(self, command: Sequence[str]) -> str:
        """Run a program of the new version; return what it printed.

        Raises:
            UpdateError: it fails.
        """
        try:
            return self._step(command, _LOOK)
        except UnsureError as error:
            raise UpdateError(str(error)) from error

    def _step(self, command: Sequence[str], patience: float) -> str:
        """Run a program that ends with this one and leaves others the processor; return its output.

        Raises:
            UnsureError: it fails, or takes too long.
            UnavailableError: there is no room, or this process is to end.
        """
        log = self._files / "step.log"
        nice = ["nice", "-n", "10"] if processes.find("nice") else []
        name = " ".join(Path(word).name for word in command[:4] if not word.startswith("-I"))
        try:
            self._files.mkdir(mode=0o700, parents=True, exist_ok=True)
            with log.open("wb") as output:
                process = processes.start(
                    [*nice, *command], env=environment(self._home), stdout=output, stderr=output
                )
        except OSError as error:
            raise UnavailableError(f"{log} cannot be written ({error.strerror}).") from error
        try:
            code = self._wait(process, patience)
        finally:
            processes.stop(process)
        said = _said(log)
        if code == 0:
            return said
        if os.strerror(errno.ENOSPC) in said or self._is_full():
            raise UnavailableError(f"{name}: no room is left on the disk.")
        last = (said.splitlines() or ["it said nothing"])[-1]
        raise UnsureError(
            f"{name} took longer than {patience:.0f} s." if code is None
            else f"{name} ended with {code}: {last[:_MOST_SHOWN]}"
        )  # fmt: skip

    def _wait(self, process: subprocess.Popen[bytes], patience: float) -> int | None:
        """Return a program's exit code; None where it took too long."""
        until = monotonic() + patience
        while monotonic() < until:
            try:
                return process.wait(0.2)
            except subprocess.TimeoutExpired:
                if self._ending.is_set():
                    raise UnavailableError("this machine's keeper was ended.") from None
        return None

    def _is_full(self) -> bool:
        try:
            return self._free(self._home.root) < 1 << 20
        except OSError:
            return False


def environment(home: Home, *, alone: bool = True) -> dict[str, str]:
    """Return the environment of a program of a peer's home.

    Args:
        home: the peer's.
        alone: whether its environment of Python alone is to count, and nothing that is named.
    """
    named = {"PYTHONPATH", "PYTHONHOME"} if alone else set()
    made = {name: value for name, value in os.environ.items() if name not in named}
    made[VARIABLE] = str(home.root)
    if sys.platform == "linux":
        made["XDG_CACHE_HOME"] = str(home.cache)
    return made


def check_wheel(path: Path) -> None:
    """Refuse a wheel that would have something installed from elsewhere than an index.

    Raises:
        UpdateError: it would, or it is no wheel.
    """
    try:
        with zipfile.ZipFile(path) as wheel:
            (name,) = (
                each for each in wheel.namelist()
                if each.endswith(".dist-info/METADATA") and each.count("/") == 1
            )  # fmt: skip
            with wheel.open(name) as file:
                told = BytesHeaderParser().parsebytes(file.read(_MOST_METADATA))
        needed = [Requirement(each) for each in told.get_all("Requires-Dist", [])]
    except (zipfile.BadZipFile, OSError, ValueError, InvalidRequirement, RuntimeError) as error:
        raise UpdateError(f"{path.name} is no wheel.") from error
    elsewhere = [each.name for each in needed if each.url is not None]
    if elsewhere:
        raise UpdateError(
            f"{path.name} would have {elsewhere[0]} installed from elsewhere than the index."
        )


def _extras() -> str:
    """Return the extras that are installed here, as pip has them: a new version has them too."""
    return as_extras(metadata.metadata(PROJECT).get_all("Provides-Extra") or (), _needs_of)


def as_extras(names: Sequence[str], needs: Callable[[str], list[str]]) -> str:
    """Return those of the extras all of whose libraries are installed, as pip has them.

    Args:
        names: of the extras.
        needs: returns the projects that an extra brings by itself.
    """
    found = [name for name in names if (wanted := needs(name)) and all(map(_is_there, wanted))]
    return f"[{','.join(found)}]" if found else ""


def _needs_of(extra: str) -> list[str]:
    needed = [Requirement(each) for each in metadata.requires(PROJECT) or ()]
    plain = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [
        each.name
        for each in needed
        if each not in plain and each.marker and each.marker.evaluate({"extra": extra})
        and each.name != PROJECT
    ]  # fmt: skip


def _is_there(project: str) -> bool:
    try:
        metadata.distribution(project)
    except metadata.PackageNotFoundError:
        return False
    return True


def _said(log: Path) -> str:
    """Return the end of what a program printed."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 65_536))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def _size(folder: Path) -> int:
    """Return the bytes of all files of a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(Path(place) / name).st_size
            except OSError:
                continue
    return total
