"""What is to be kept running, and how each system's files say it.  Pure."""

from __future__ import annotations

import plistlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from p2c2g.lending.home import VARIABLE, Home

#: Seconds that a peer has to end in good order.
PATIENCE: Final = 60
#: Seconds before one that has ended is started again.
AGAIN: Final = 5


@dataclass(frozen=True, slots=True)
class Unit:
    """What is to be kept running.

    Args:
        name: of the service, such as ``p2c2g-peer``.
        command: the program, by its whole path, and its arguments.
        environment: variables beside the system's.
        log: the folder for what it prints, where the system keeps no journal.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path

    @classmethod
    def of(cls, home: Home, arguments: Sequence[str]) -> Unit:
        """Return that of a lent machine.

        Args:
            home: its folder.
            arguments: of ``p2c2g``: :data:`~p2c2g.lending.home.KEEP` or
                :data:`~p2c2g.lending.home.RUN`.
        """
        environment = {} if home.is_usual else {VARIABLE: str(home.root)}
        command = (str(home.program()), *arguments)
        return cls(service_name(home), command, environment, home.log)


def service_name(home: Home) -> str:
    """Return a service's name: a home that is not the usual one has its own."""
    if home.is_usual:
        return "p2c2g-peer"
    return f"p2c2g-peer-{sha256(str(home.root).encode()).hexdigest()[:8]}"


def systemd_unit(unit: Unit) -> str:
    """Return a unit's text."""
    command = " ".join(_word(each) for each in unit.command)
    environment = "".join(
        f"Environment={_word(f'{name}={value}')}\n" for name, value in unit.environment.items()
    )
    return f"""\
# Written by p2c2g peer init; deleted by p2c2g peer uninstall.
[Unit]
Description=P2C2G: lends this machine to a pool
Documentation=https://pypi.org/project/p2c2g/
StartLimitIntervalSec=0

[Service]
ExecStart={command}
{environment}Restart=on-failure
RestartSec={AGAIN}
# What is running is finished: a session sees a peer that leaves, and not one that fails.
KillMode=mixed
TimeoutStopSec={PATIENCE}
# What the peer does not need. More (namespaces) is not every user's manager's to give.
NoNewPrivileges=true
UMask=0077
LimitCORE=0
# Between units only this counts, as nice 10 does within one: games come first.
CPUWeight=10

[Install]
WantedBy=default.target
"""


def launchd_plist(unit: Unit) -> bytes:
    """Return an agent's file."""
    return plistlib.dumps(
        {
            "Label": label_of(unit.name),
            "ProgramArguments": list(unit.command),
            "EnvironmentVariables": dict(unit.environment),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": AGAIN,
            "ExitTimeOut": PATIENCE,
            "ProcessType": "Background",
            "Umask": 0o077,
            "StandardOutPath": str(unit.log / "service.log"),
            "StandardErrorPath": str(unit.log / "service.log"),
        }
    )


def windows_script(unit: Unit) -> str:
    """Return the PowerShell that registers a task; it has no variables of its environment."""
    program, *arguments = unit.command
    # A task cannot set variables: a shell without a window does.
    sets = "".join(f"$env:{name} = {quoted(value)}; " for name, value in unit.environment.items())
    call = " ".join(("&", *map(quoted, (program, *arguments))))
    inner = f'-NoProfile -WindowStyle Hidden -Command "{sets}{call}"'
    return (
        f"$action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument {quoted(inner)}; "
        "$trigger = New-ScheduledTaskTrigger -AtLogOn -User $env:USERNAME; "
        "$settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries "
        "-DontStopIfGoingOnBatteries -ExecutionTimeLimit 0 -RestartCount 999 "
        "-RestartInterval (New-TimeSpan -Minutes 1) -StartWhenAvailable; "
        f"Register-ScheduledTask -Force -TaskName {quoted(unit.name)} -Action $action "
        "-Trigger $trigger -Settings $settings | Out-Null"
    )


def _word(text: str) -> str:
    """Return a word as a unit's file has it: specifiers and variables mean nothing in it."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if any(each in text for each in " \t'\"\\;") else text


def quoted(text: str) -> str:
    """Return a text in PowerShell's single quotes, in which nothing means anything."""
    return "'" + text.replace("'", "''") + "'"


def label_of(name: str) -> str:
    """Return what launchd calls a service."""
    return f"org.p2c2g.{name}"
