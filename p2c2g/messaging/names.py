"""What is called how at the broker: every key, queue and task of ours, and Celery's for us.

Functions, so that what stands in front of all of them is decided here and nowhere else: the
setting ``P2C2G_BROKER_PREFIX``, by which several pools, and programs that are none of ours, can use
one database.  A process has one (:func:`use`).
"""

from __future__ import annotations

from typing import Final

#: What a process has in front of its keys unless it is told otherwise.
DEFAULT_PREFIX: Final = "p2c2g"

#: The task that enhances one chunk; the core does not import its code.
ENHANCE_TASK: Final = "p2c2g.enhance"
#: Queues by capability.
CAPABILITIES: Final = ("gpu", "cpu")
#: The queue of orders to train, and the one task that it carries.
TRAIN_QUEUE: Final = "train"
TRAIN_TASK: Final = "p2c2g.train"

#: The exchange of Celery's remote control.
_PIDBOX = "celery.pidbox"
#: What stands between the parts of a binding or of a key with a priority, as kombu writes it.
_SEPARATOR = "\x06\x16"


_prefix = DEFAULT_PREFIX


def use(prefix: str) -> None:
    """Put another prefix in front of every key of this process."""
    global _prefix
    _prefix = prefix


def ours() -> str:
    """Return what stands in front of each key of ours."""
    return f"{_prefix}."


def celerys() -> str:
    """Return what stands in front of each key that Celery makes: kombu's ``global_keyprefix``.

    It is another than :func:`ours`, so that no queue has the key of something else.
    """
    return f"{_prefix}:"


# -- the registry -----------------------------------------------------------------------------


def peers() -> str:
    """Return the key of the hash of all enrolments."""
    return f"{ours()}peers"


def banned() -> str:
    """Return the key of the hash of all bans."""
    return f"{ours()}banned"


def spoken() -> str:
    """Return the key of the versions that sessions speak, of the one that told last."""
    return f"{ours()}spoken"


def beat(peer: str) -> str:
    """Return the key of a peer's beat."""
    return f"{ours()}beat.{peer}"


# -- what sessions tell each other ------------------------------------------------------------


def breakers() -> str:
    """Return the key of the sorted set of open breakers."""
    return f"{ours()}breakers"


def sessions() -> str:
    """Return the key of the set of sessions that tell what they have seen of peers."""
    return f"{ours()}health"


def health(session: str) -> str:
    """Return the key of what one of them has seen."""
    return f"{ours()}health.{session}"


# -- frames and what else travels -------------------------------------------------------------


def results(session: str) -> str:
    """Return the key of a session's results stream."""
    return f"{ours()}results.{session}"


def is_results(key: str) -> bool:
    """Tell whether a key is a results stream's."""
    return key.startswith(results(""))


def blob(name: str) -> str:
    """Return the key of a blob by the hash of its bytes."""
    return f"{ours()}blob.{name}"


def training(order: str) -> str:
    """Return the key of the hash that says how far an order to train is."""
    return f"{ours()}training.{order}"


def measurement(token: str) -> str:
    """Return the key of what is sent to and fro to measure a line."""
    return f"{ours()}probe.{token}"


# -- Celery's ---------------------------------------------------------------------------------


def own_queue(peer: str) -> str:
    """Return the name of a peer's own queue: the one that Celery's ``worker_direct`` has."""
    return f"{peer}.dq2"


def recall(reader: str) -> str:
    """Return the name of the queue by which a reader calls its reads back."""
    return f"recall.{reader}"


def control_queue(peer: str) -> str:
    """Return the name of the queue on which Celery's remote control reaches a peer."""
    return f"{peer}.{_PIDBOX}"


def is_control_reply(queue: str) -> bool:
    """Tell whether a queue takes the answers to somebody's remote control."""
    return queue.endswith(f".reply.{_PIDBOX}")


def queue_key(queue: str) -> str:
    """Return the key of the list that a queue is."""
    return f"{celerys()}{queue}"


def priority_keys(queue: str) -> tuple[str, ...]:
    """Return the keys into which a stock Celery application puts a queue's urgent messages."""
    return tuple(f"{queue_key(queue)}{_SEPARATOR}{step}" for step in (3, 6, 9))


def control_bindings() -> str:
    """Return the key of the set of remote control's bindings, as kombu names it."""
    return f"{celerys()}_kombu.binding.{_PIDBOX}"


def control_binding(peer: str) -> str:
    """Return a peer's member of that set: routing key, pattern, queue."""
    return _SEPARATOR.join(("", "", control_queue(peer)))
