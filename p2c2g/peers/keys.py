"""The registry's names at the broker: its keys, and what a worker of Celery's has there."""

from __future__ import annotations

import re
from functools import lru_cache

from celery.utils.nodenames import worker_direct

PEERS = "p2c2g.peers"
BANNED = "p2c2g.banned"

#: The exchange of Celery's remote control: what a worker leaves behind when it is killed.
_PIDBOX = "celery.pidbox"
#: The set of its bindings, as kombu names it, and what stands between a member's parts.
BINDINGS = f"_kombu.binding.{_PIDBOX}"
_SEPARATOR = "\x06\x16"

_NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}")


def is_name(text: str) -> bool:
    """Tell whether a text can be a peer's id or a queue's name in an enrolment."""
    return _NAME.fullmatch(text) is not None


def beat_key(peer: str) -> str:
    """Return the key of a peer's beat."""
    return f"p2c2g.beat.{peer}"


@lru_cache(maxsize=4096)
def own_queue(peer: str) -> str:
    """Return the name of a peer's own queue."""
    return str(worker_direct(peer).name)


def control_queue(peer: str) -> str:
    """Return the name of the queue on which Celery's remote control reaches a peer."""
    return f"{peer}.{_PIDBOX}"


def control_binding(peer: str) -> str:
    """Return a peer's member of :data:`BINDINGS`: routing key, pattern, queue."""
    return _SEPARATOR.join(("", "", control_queue(peer)))
