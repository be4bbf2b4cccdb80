"""What redis-py, kombu and the sockets below them raise, and what it is called outside.

What a broker refuses is one of three kinds, and :func:`refusal` tells them apart:

=======================================  =================================================
a replica, a failed snapshot, full,      passes by itself: it is waited for
loading, busy with a script, too many
connections
a key of another type                    passes where somebody deletes the key: it is said
                                         and waited for
a cluster, a right that is missing,      stays: one sentence, and the end
a password, a command that is not there
=======================================  =================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from p2c2g.errors import BrokerRefusesError, BrokerUnavailableError

#: What a broken connection to the broker raises, by redis-py or the socket below it.
CONNECTION_ERRORS = (RedisConnectionError, redis.TimeoutError, OSError)
#: What any command to the broker may raise: that, and what the broker refuses.
BROKER_ERRORS = (redis.RedisError, OSError)

#: Begins each sentence about a cluster.
CLUSTER = (
    "The broker is a Redis Cluster, which cannot be used: queues, registry and results have to "
    "be on one server. Name a server without cluster mode, or one behind Sentinel"
)
_RIGHTS = (
    "A user of the broker needs all keys and channels and the commands of peers, such as "
    "ACL SETUSER name on >password ~* &* +@all"
)
#: What lasts, by the class or the first word of the broker's error; what it is called, and
#: what would be right.
_LASTING: tuple[tuple[type[Exception] | str, str, str], ...] = (
    (redis.exceptions.ClusterCrossSlotError, "", CLUSTER),
    (redis.exceptions.MovedError, "", CLUSTER),
    (redis.exceptions.AskError, "", CLUSTER),
    ("CROSSSLOT", "", CLUSTER),
    ("MOVED", "", CLUSTER),
    (redis.exceptions.NoPermissionError, "The broker's user lacks a right", _RIGHTS),
    ("NOPERM", "The broker's user lacks a right", _RIGHTS),
    (
        redis.exceptions.AuthenticationError,
        "The broker refuses the password",
        "Write it into the URL, as redis://:password@host:6379/0 or redis://user:password@host",
    ),
    (
        "NOAUTH",
        "The broker wants a password",
        "Write it into the URL, as redis://:password@host:6379/0 or redis://user:password@host",
    ),
    (
        "unknown command",
        "The broker lacks a command",
        "Name a Redis of 6.2 or later, or a Valkey, with all commands",
    ),
    (
        "DB index is out of range",
        "The broker lacks this database",
        "Name another by its number at the URL's end, such as /0",
    ),
)


def refusal(error: BaseException) -> str | None:
    """Return the sentence about a refusal that lasts; None for whatever may pass.

    Args:
        error: as a library raised it; what it was caused by is looked at too.
    """
    seen: BaseException | None = error
    while seen is not None:
        said = str(seen).rstrip(".")
        for mark, what, right in _LASTING:
            if isinstance(mark, type):
                found = isinstance(seen, mark)
            else:
                found = isinstance(seen, redis.ResponseError | OperationalError) and mark in said
            if found:
                return f"{what}: {said}. {right}." if what else f"{right}."
        seen = seen.__cause__
    return None


def advice(error: BaseException) -> str:
    """Return what would be right where a certificate cannot be verified; else nothing.

    A server may get a better one, so it is waited for, and no refusal.
    """
    if "CERTIFICATE_VERIFY_FAILED" not in str(error):
        return ""
    return (
        " A certificate of one's own authority is verified by the file that P2C2G_BROKER_CA names; "
        "one that nobody can verify, as Heroku's, is taken with P2C2G_BROKER_VERIFY=false."
    )


@contextmanager
def translated(what: str = "The broker does not answer") -> Iterator[None]:
    """Let what the broker's libraries raise be raised as ours.

    Args:
        what: the beginning of the sentence, which ends with their reason.

    Raises:
        BrokerRefusesError: the broker refused, and will again.
        BrokerUnavailableError: the broker is away, or refused.
    """
    try:
        yield
    except (*BROKER_ERRORS, OperationalError) as error:
        lasting = refusal(error)
        if lasting is not None:
            raise BrokerRefusesError(lasting) from error
        raise BrokerUnavailableError(f"{what}: {str(error).rstrip('.')}.") from error
