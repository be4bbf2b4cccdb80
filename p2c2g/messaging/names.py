"""What is called how at the broker: every key, queue and task of ours, and Celery's for us.

Functions, so that what stands in front of all of them is decided here and nowhere else.
"""

from __future__ import annotations

from typing import Final

#: In front of each key of ours.
PREFIX: Final = "p2c2g."
#: In front of each key that Celery makes for us: kombu's ``global_keyprefix``.
CELERY_PREFIX: Final = ""

#: The task that enhances one chunk; the core does not import its code.
ENHANCE_TASK: Final = "p2c2g.enhance"
#: Queues by capability.
CAPABILITIES: Final = ("gpu", "cpu")

#: The exchange of Celery's remote control.
_PIDBOX = "celery.pidbox"
#: What stands between the parts of a binding, as kombu writes it.
_SEPARATOR = "\x06\x16"


# -- the registry -----------------------------------------------------------------------------


def peers() -> str:
    """Return the key of the hash of all enrolments."""
    return f"{PREFIX}peers"


def banned() -> str:
    """Return the key of the hash of all bans."""
    return f"{PREFIX}banned"


def beat(peer: str) -> str:
    """Return the key of a peer's beat."""
    return f"{PREFIX}beat.{peer}"


# -- what sessions tell each other ------------------------------------------------------------


def breakers() -> str:
    """Return the key of the sorted set of open breakers."""
    return f"{PREFIX}breakers"


def sessions() -> str:
    """Return the key of the set of sessions that tell what they have seen of peers."""
    return f"{PREFIX}health"


def health(session: str) -> str:
    """Return the key of what one of them has seen."""
    return f"{PREFIX}health.{session}"


# -- frames and what else travels -------------------------------------------------------------


def results(session: str) -> str:
    """Return the key of a session's results stream."""
    return f"{PREFIX}results.{session}"


def is_results(key: str) -> bool:
    """Tell whether a key, such as a task's ``reply_to``, is a results stream's."""
    return key.startswith(results(""))


def recall(reader: str) -> str:
    """Return the key of the list by which a reader calls its reads back."""
    return f"{PREFIX}recall.{reader}"


def blob(name: str) -> str:
    """Return the key of a blob by the hash of its bytes."""
    return f"{PREFIX}blob.{name}"


def training(order: str) -> str:
    """Return the key of the hash that says how far an order to train is."""
    return f"{PREFIX}training.{order}"


def measurement(token: str) -> str:
    """Return the key of what is sent to and fro to measure a line."""
    return f"{PREFIX}probe.{token}"


# -- Celery's ---------------------------------------------------------------------------------


def own_queue(peer: str) -> str:
    """Return the name of a peer's own queue: the one that Celery's ``worker_direct`` has."""
    return f"{peer}.dq2"


def control_queue(peer: str) -> str:
    """Return the name of the queue on which Celery's remote control reaches a peer."""
    return f"{peer}.{_PIDBOX}"


def queue_key(queue: str) -> str:
    """Return the key of the list that a queue is."""
    return f"{CELERY_PREFIX}{queue}"


def control_bindings() -> str:
    """Return the key of the set of remote control's bindings, as kombu names it."""
    return f"{CELERY_PREFIX}_kombu.binding.{_PIDBOX}"


def control_binding(peer: str) -> str:
    """Return a peer's member of that set: routing key, pattern, queue."""
    return _SEPARATOR.join(("", "", control_queue(peer)))
