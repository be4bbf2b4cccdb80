"""What a worker serves: which queues, or in an open pool, which has none of all, which work."""

from __future__ import annotations

import logging
from typing import Any

from p2c2g.errors import UsageError
from p2c2g.messaging.names import CAPABILITIES
from p2c2g.peers.messages import Capabilities
from p2c2g.settings.principal import Principal, Role

logger = logging.getLogger(__name__)

GPU, CPU = CAPABILITIES
NO_GPU = "looked for CUDA, OpenCL and Metal and found no GPU"


def choose_queues(
    queues: Any, capabilities: Capabilities, cpu_fallback: bool, problem: str = ""
) -> None:
    """Leave only queues that this machine can serve.

    Args:
        queues: Celery's, with what ``-Q`` chose.
        capabilities: the machine's.
        cpu_fallback: whether ``cpu`` may replace what was asked for.
        problem: why a graphics card that is there cannot be used.

    Raises:
        UsageError: it was told to serve a queue that it cannot.
    """
    missing = [
        name
        for name in queues.consume_from
        if name in CAPABILITIES and name not in capabilities.queues
    ]
    if not missing:
        return
    told = queues._consume_from is not None
    names = ", ".join(missing)
    if told and not cpu_fallback:
        raise UsageError(
            f"This machine cannot serve the queue {names}: {problem or NO_GPU}. Give "
            "--cpu-fallback or -Q cpu to serve the queue cpu."
        )
    queues.deselect(missing)
    if told:
        queues.select_add(queues["cpu"])
        why = problem or "Found no GPU"
        logger.warning("%s: serving the queue cpu in place of %s.", why, names)


def capabilities_asked(queues: Any, principal: Principal) -> tuple[str, ...]:
    """Return what a worker of an open pool is to do, where no queue says so.

    Args:
        queues: Celery's, with what ``-Q`` chose.
        principal: whose it is.

    Raises:
        UsageError: it is a gamer's, or was told to do what an open pool has not.
    """
    if principal.role is not Role.PEER:
        raise UsageError(
            f"The membership of {principal.id} is a gamer's, which lends nothing: join as a peer "
            "with p2c2g peer run --join."
        )
    asked = tuple(each for each in CAPABILITIES if each in queues.consume_from)
    if not asked:
        raise UsageError(
            "An open pool's peers enhance, and do nothing else: give -Q cpu or -Q gpu."
        )
    return asked
