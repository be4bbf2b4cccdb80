"""What hosts of applications, and runners of a ``Procfile``, say in the environment.

Heroku, Dokku and what is like them name a process ``DYNO``; Render, Railway and Fly have names of
their own; honcho and foreman name what they start, too.  Here alone they are understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from p2c2g.errors import UsageError

#: Name the broker where none of our variables does; the first that is set counts.
BROKER_VARIABLES: Final = ("REDIS_TLS_URL", "REDIS_URL")
#: The port that the one process has to listen on which is to be reached.
PORT: Final = "PORT"
#: How much a process is to do at once, as the host thinks.
CONCURRENCY: Final = "WEB_CONCURRENCY"
#: From where routers of hosts ask: networks that no stranger's packet can come from.
ROUTERS: Final = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7"

#: ``cpu.1``, as a Procfile's processes are called.
_PROCESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}\.[0-9]{1,6}")
#: Letters of a name that a host makes.
_LONGEST: Final = 40


@dataclass(frozen=True, slots=True)
class Host:
    """Where this process runs.

    Attributes:
        name: of the host of applications; nothing on a machine of one's own.
        process: what it calls this process, such as ``cpu.1``; nothing where it has no name.
        region: where it is, as the host calls it.
        address: of the process that is reached from outside, where the host says it.
        port: what ``PORT`` holds.
        concurrency: what ``WEB_CONCURRENCY`` holds.
    """

    name: str = ""
    process: str = ""
    region: str = ""
    address: str = ""
    port: str = ""
    concurrency: str = ""

    def listen_port(self) -> int | None:
        """Return the port to listen on; None where the host names none.

        Raises:
            UsageError: it is no port.
        """
        if not self.port:
            return None
        if not self.port.isdecimal() or not 0 < int(self.port[:9]) <= 65_535:
            raise UsageError(f"{PORT} cannot be used: give a number from 1 to 65535.")
        return int(self.port)

    def slots(self, cores: int) -> int:
        """Return how many chunks a worker takes at once: hosts show cores that many share.

        Raises:
            UsageError: ``WEB_CONCURRENCY`` is no number above 0.
        """
        if not self.concurrency:
            return cores
        if not self.concurrency.isdecimal() or int(self.concurrency[:9]) == 0:
            raise UsageError(f"{CONCURRENCY} cannot be used: give a number of 1 or more.")
        return min(cores, int(self.concurrency[:9]))


def found(environment: Mapping[str, str]) -> Host:
    """Return what the environment says of the host."""

    def said(*names: str) -> str:
        """Return the first that is set, without what a name cannot hold."""
        text = next((environment[name] for name in names if environment.get(name)), "")
        return re.sub(r"[^A-Za-z0-9._@-]+", "-", text)[:_LONGEST]

    dyno, name, process, region, address = said("DYNO"), "", "", "", ""
    if dyno:
        name, process = "Heroku", dyno
        if environment.get("DOKKU_APP_TYPE") or environment.get("DOKKU_APP_NAME"):
            name = "Dokku"
    elif environment.get("RENDER"):
        name, process = "Render", said("RENDER_INSTANCE_ID", "RENDER_SERVICE_NAME")
        address = environment.get("RENDER_EXTERNAL_URL", "")
    elif environment.get("RAILWAY_ENVIRONMENT_ID") or environment.get("RAILWAY_ENVIRONMENT"):
        name, region = "Railway", said("RAILWAY_REPLICA_REGION")
        process = _joined(said("RAILWAY_SERVICE_NAME"), said("RAILWAY_REPLICA_ID")[:8])
        if domain := environment.get("RAILWAY_PUBLIC_DOMAIN"):
            address = f"https://{domain}"
    elif environment.get("FLY_APP_NAME"):
        name, region = "Fly", said("FLY_REGION")
        process = _joined(said("FLY_PROCESS_GROUP", "FLY_APP_NAME"), said("FLY_MACHINE_ID"))
    else:
        runners = (said("HONCHO_PROCESS_NAME"), said("PS"))
        process = next((each for each in runners if _PROCESS.fullmatch(each)), "")
    if not re.fullmatch(r"https://[A-Za-z0-9.-]+", address):
        address = ""
    if process.startswith("run."):
        process = ""  # A command that a person runs there.
    return Host(
        name, process, region, address,
        environment.get(PORT, "").strip(), environment.get(CONCURRENCY, "").strip(),
    )  # fmt: skip


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)[:_LONGEST]
