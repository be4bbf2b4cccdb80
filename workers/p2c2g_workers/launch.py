"""Turns what a person asks for into the options of the ``celery`` command that does it."""

from __future__ import annotations

import hashlib
import re
import socket
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from p2c2g.commands.guest import Limits
from p2c2g.errors import UsageError
from p2c2g.messaging.labels import MAX_REGION, parse_label

#: Characters of a node's name before the @, at most.
_LONGEST = 40
_MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True, slots=True)
class Launch:
    """A worker to be started.

    Args:
        queues: names joined by commas.
        name: what people call the peer.
        region: where it is; None where that is not said.
        slots: chunks at once; None for one a core, fewer where ``limits`` has a share.
        limits: the limits that it keeps to.
        cpu_fallback: whether it may serve ``cpu`` where it has no GPU.
    """

    queues: str = "cpu"
    name: str = "peer"
    region: str | None = None
    slots: int | None = None
    limits: Limits = field(default_factory=Limits)
    cpu_fallback: bool = False

    def arguments(self, cores: int, node: str | None = None) -> list[str]:
        """Return the arguments of ``celery``.

        Args:
            cores: that this machine has.
            node: the part of its name that tells machines apart; this machine's where None.

        Raises:
            UsageError: the queues, the name or the region are not valid.
        """
        limits = self.limits
        options: dict[str, str | None] = {
            "peer-name": parse_label(self.name),
            "region": (
                None if self.region is None else parse_label(self.region, MAX_REGION, "region")
            ),
            "max-cpu": None if limits.max_cpu is None else f"{100 * limits.max_cpu:g}%",
            "hours": None if limits.hours is None else str(limits.hours),
            "max-mbps": None if limits.max_mbps is None else f"{limits.max_mbps:g}",
        }
        flags = {"only-idle": limits.only_idle, "cpu-fallback": self.cpu_fallback}
        return [
            # Without Celery's banner: a line of ours says what this peer is doing.
            "-q", "-A", "p2c2g", "worker",
            "-Q", _queues(self.queues),
            "-n", f"{slug(self.name)}@{node or this_machine()}",
            "-c", str(self.slots or concurrency(cores, limits.max_cpu)),
            # A line that somebody lends is for chunks.
            "--no-task-events",
            "-l", "info",
            *(f"--{option}={value}" for option, value in options.items() if value is not None),
            *(f"--{flag}" for flag, wanted in flags.items() if wanted),
        ]  # fmt: skip


def concurrency(cores: int, max_cpu: float | None) -> int:
    """Return how many chunks to work on at once: no more than the CPU share has cores for."""
    return max(1, cores if max_cpu is None else int(cores * max_cpu + 0.5))


def slug(name: str) -> str:
    """Return a name in the characters that a node's name allows: ASCII letters, digits, . and -."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:_LONGEST]
    if plain:
        return plain
    return f"peer-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def this_machine() -> str:
    """Return the host's name and four digits that stay the same and differ between machines.

    Many machines are called localhost.  What the digits come from cannot be told from them.
    """
    host = re.sub(r"[^A-Za-z0-9.-]+", "-", socket.gethostname()).strip("-.")[:_LONGEST] or "host"
    try:
        identity = _MACHINE_ID.read_text().strip()
    except OSError:
        identity = ""
    digest = hashlib.sha256(f"p2c2g {identity or uuid.getnode()}".encode()).hexdigest()
    return f"{host}-{digest[:4]}"


def _queues(text: str) -> str:
    names = [name.strip() for name in text.split(",")]
    if not all(re.fullmatch(r"[\w.-]{1,200}", name, re.ASCII) for name in names):
        raise UsageError(
            f"{text!r} are no queues: give names of letters, digits, dots and dashes, joined by "
            "commas, such as cpu,gpu."
        )
    return ",".join(dict.fromkeys(names))
