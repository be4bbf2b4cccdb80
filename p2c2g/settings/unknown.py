"""Variables that look like settings and are none: refused, since they would do nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from p2c2g.errors import UsageError

#: Variables that are no settings: options of ``celery worker`` read them
#: (:mod:`p2c2g.commands.worker_options`).
OPTION_VARIABLES = tuple(
    f"P2C2G_WORKER_{name}"
    for name in (
        "PEER_NAME", "REGION", "CPU_FALLBACK", "MAX_CPU", "ONLY_IDLE", "HOURS", "MAX_MBPS",
        "NO_TASK_EVENTS",
    )
)  # fmt: skip

#: What Kubernetes and Docker put into everybody's environment for a service that is called
#: p2c2g-broker, or so.
_INJECTED = re.compile(
    r"_SERVICE_HOST=|_SERVICE_PORT(_\w+)?=|_PORT=\w+://|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?="
    r"|_NAME=/|_ENV_\w+="
)


def refuse_unknown(environment: Mapping[str, str], settings: Iterable[str]) -> None:
    """Refuse a variable of one of our groups that is none of its settings.

    Args:
        environment: all variables.
        settings: the names of those that there are.

    Raises:
        UsageError: there is one; the sentence names it and those that it could be.
    """
    known = [*settings, *OPTION_VARIABLES]
    for name, value in sorted(environment.items()):
        upper = name.upper()
        group = re.match(r"P2C2G_(BROKER|WORKER|SESSION|LOG|COORDINATOR)(_|$)", upper)
        if group and upper not in known and not _INJECTED.search(f"{upper}={value}"):
            same = [each for each in known if each.startswith(group[0].rstrip("_") + "_")]
            raise UsageError(f"{name} is no setting: there are {', '.join(same)}.")
