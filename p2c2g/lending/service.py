"""What starts a lent machine's peer with the machine, and keeps it: the system's own services.

===========  ============================================================================
systemd      a unit of the user's own (``~/.config/systemd/user``)
launchd      a launch agent of the user's own (``~/Library/LaunchAgents``)
windows      a scheduled task of the user's own, by PowerShell
none         a plain process, as in a container: started here, gone after the next start
===========  ============================================================================

Stopping asks the process to end (SIGTERM, but on Windows) and gives it time: a peer finishes what
it has.  launchd and Windows have been written by their manuals and not been seen running.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from getpass import getuser
from pathlib import Path
from typing import Final, Protocol

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.lending.home import Home
from p2c2g.lending.plain_process import PlainProcess
from p2c2g.lending.unit import (
    PATIENCE,
    Unit,
    label_of,
    launchd_plist,
    quoted,
    systemd_unit,
    windows_script,
)
from p2c2g.system.files import write_whole

#: Seconds that a program of the system's may take.
_ANSWERS: Final = 30.0
KINDS: Final = ("systemd", "launchd", "windows", "none")

#: Runs a program; returns its exit code and what it printed.
Run = Callable[[Sequence[str]], tuple[int, str]]


class Service(Protocol):
    """A service of the system.  Every method may raise UnavailableError, with what it said."""

    kind: str

    def install(self, unit: Unit) -> None:
        """Have it start with the machine, or as the user signs in; in place of an earlier one."""

    def start(self, name: str) -> None:
        """Start it now, where it does not run."""

    def stop(self, name: str) -> None:
        """End it, and wait for that."""

    def is_running(self, name: str) -> bool:
        """Tell whether it runs."""

    def uninstall(self, name: str) -> None:
        """End it and leave nothing of it behind; nothing happens where there is none."""

    def note(self) -> str:
        """Return what the owner should know of it, in a sentence; "" where nothing."""


def service_of(kind: str, home: Home, run: Run | None = None) -> Service:
    """Return a service by its name, or ``auto`` for what this system has.

    Raises:
        UsageError: there is none of that name, or this system has none such.
    """
    run = run or _run
    if kind == "auto":
        kind = usual_kind(run)
    match kind:
        case "systemd":
            return Systemd(run)
        case "launchd":
            return Launchd(run)
        case "windows":
            return WindowsTask(run)
        case "none":
            return PlainProcess(home.service, PATIENCE)
    raise UsageError(f"{kind!r} is no service: give auto, {', '.join(KINDS[:-1])} or none.")


def installed(home: Home, run: Run | None = None) -> Service:
    """Return the service that a home was installed with."""
    return service_of("none" if home.service.exists() else "auto", home, run)


def usual_kind(run: Run | None = None, platform: str = sys.platform) -> str:
    """Return what this system starts services by."""
    if platform == "win32":
        return "windows"
    if platform == "darwin":
        return "launchd"
    with suppress(UnavailableError):
        # Present and reachable: in a container, and by su, it is not.
        code, _ = (run or _run)(("systemctl", "--user", "show-environment"))
        if code == 0:
            return "systemd"
    return "none"


class Systemd:
    """A unit of the user's own."""

    kind = "systemd"

    def __init__(self, run: Run, folder: Path | None = None) -> None:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        self._folder = folder or base / "systemd" / "user"
        self._run = run
        self._lingers = True

    def install(self, unit: Unit) -> None:
        """Write the unit, enable it, and let it run while the user is not signed in."""
        _write(self._file(unit.name), systemd_unit(unit))
        self._do("daemon-reload")
        self._do("enable", self._unit(unit.name))
        with suppress(UnavailableError):
            code, _ = self._run(("loginctl", "enable-linger"))
            if code:  # Perhaps not this user's to say; it may be so already.
                asked = ("loginctl", "show-user", getuser(), "--property=Linger", "--value")
                code, said = self._run(asked)
                code = code or said.split()[:1] != ["yes"]
            self._lingers = not code

    def start(self, name: str) -> None:
        """Start it."""
        self._do("start", self._unit(name))

    def stop(self, name: str) -> None:
        """Stop it."""
        self._do("stop", self._unit(name))

    def is_running(self, name: str) -> bool:
        """Ask systemd."""
        return self._run(("systemctl", "--user", "is-active", "--quiet", self._unit(name)))[0] == 0

    def uninstall(self, name: str) -> None:
        """Stop and disable it, and delete the unit.  Lingering stays: others may need it."""
        file = self._file(name)
        if not file.exists():
            return
        self._do("disable", "--now", self._unit(name))
        _delete(file)
        self._do("daemon-reload")
        # Where nothing else is in them.
        above = list(self._folder.parents)[:2]
        for folder in (self._folder / "default.target.wants", self._folder, *above):
            with suppress(OSError):
                folder.rmdir()

    def note(self) -> str:
        """Say so where it ends as the user signs out."""
        if self._lingers:
            return ""
        return (
            "It runs while you are signed in; `sudo loginctl enable-linger $USER` lets it run on."
        )

    def _file(self, name: str) -> Path:
        return self._folder / self._unit(name)

    @staticmethod
    def _unit(name: str) -> str:
        return f"{name}.service"

    def _do(self, *arguments: str) -> None:
        _done("systemctl", self._run(("systemctl", "--user", *arguments)))


class Launchd:
    """A launch agent of the user's own."""

    kind = "launchd"

    def __init__(self, run: Run, folder: Path | None = None, user_id: int | None = None) -> None:
        self._folder = folder or Path.home() / "Library" / "LaunchAgents"
        self._run = run
        self._domain = f"gui/{os.getuid() if user_id is None else user_id}"

    def install(self, unit: Unit) -> None:
        """Write the agent's file, and load it."""
        file = self._file(unit.name)
        if file.exists():
            self._run(("launchctl", "bootout", f"{self._domain}/{label_of(unit.name)}"))
        _write(file, launchd_plist(unit))
        _done("launchctl", self._run(("launchctl", "bootstrap", self._domain, str(file))))

    def start(self, name: str) -> None:
        """Start it."""
        target = f"{self._domain}/{label_of(name)}"
        if not self.is_running(name):
            # Gone after a stop, which takes it out of the domain.
            self._run(("launchctl", "bootstrap", self._domain, str(self._file(name))))
        _done("launchctl", self._run(("launchctl", "kickstart", target)))

    def stop(self, name: str) -> None:
        """Take it out of the domain: only ended, it would be started again."""
        if self.is_running(name):
            target = f"{self._domain}/{label_of(name)}"
            _done("launchctl", self._run(("launchctl", "bootout", target)))

    def is_running(self, name: str) -> bool:
        """Ask launchd."""
        code, said = self._run(("launchctl", "print", f"{self._domain}/{label_of(name)}"))
        return code == 0 and "pid =" in said

    def uninstall(self, name: str) -> None:
        """Stop it, and delete its file."""
        if self._file(name).exists():
            self._run(("launchctl", "bootout", f"{self._domain}/{label_of(name)}"))
            _delete(self._file(name))

    def note(self) -> str:
        """Nothing."""
        return ""

    def _file(self, name: str) -> Path:
        return self._folder / f"{label_of(name)}.plist"


class WindowsTask:
    """A scheduled task of the user's own, which starts as the user signs in."""

    kind = "windows"

    def __init__(self, run: Run) -> None:
        self._run = run

    def install(self, unit: Unit) -> None:
        """Register it."""
        self._do(windows_script(unit))

    def start(self, name: str) -> None:
        """Start it."""
        self._do(f"Start-ScheduledTask -TaskName {quoted(name)}")

    def stop(self, name: str) -> None:
        """Stop it."""
        self._do(f"Stop-ScheduledTask -TaskName {quoted(name)}")

    def is_running(self, name: str) -> bool:
        """Ask the scheduler."""
        script = f"(Get-ScheduledTask -TaskName {quoted(name)}).State"
        code, said = self._run(_powershell(script))
        return code == 0 and said.strip() == "Running"

    def uninstall(self, name: str) -> None:
        """Stop it, and take it out of the scheduler."""
        task = f"Get-ScheduledTask -TaskName {quoted(name)} -ErrorAction SilentlyContinue"
        self._do(
            f"$task = {task}; if ($task) {{ $task | Stop-ScheduledTask; "
            "$task | Unregister-ScheduledTask -Confirm:$false }"
        )

    def note(self) -> str:
        """Say when it runs."""
        return "It runs while you are signed in."

    def _do(self, script: str) -> None:
        _done("PowerShell", self._run(_powershell(script)))


def _powershell(script: str) -> tuple[str, ...]:
    program = shutil.which("powershell.exe") or "powershell.exe"
    stop = "$ErrorActionPreference = 'Stop'; "
    return (program, "-NoProfile", "-NonInteractive", "-Command", stop + script)


def _done(program: str, answer: tuple[int, str]) -> None:
    code, said = answer
    if code:
        reason = " ".join(said.split())[:300] or f"its exit code is {code}"
        raise UnavailableError(f"{program} does not do it: {reason.rstrip('.')}.")


def _write(file: Path, data: bytes | str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, data)
    except OSError as error:
        raise UnavailableError(f"{file} cannot be written ({error.strerror}).") from error


def _delete(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(f"{file} cannot be deleted ({error.strerror}).") from error


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Run a program of the system's.

    Raises:
        UnavailableError: it is not there, or does not end.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own words, and no shell
            list(command), capture_output=True, text=True, errors="replace", check=False,
            stdin=subprocess.DEVNULL, timeout=_ANSWERS + PATIENCE,
        )  # fmt: skip
    except OSError as error:
        raise UnavailableError(
            f"{command[0]} cannot be started ({error.strerror}): this system starts services "
            "otherwise; give --service none."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{command[0]} does not answer.") from error
    return done.returncode, f"{done.stdout}\n{done.stderr}"
