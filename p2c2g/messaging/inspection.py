"""What a broker says of itself that decides whether it can be used."""

from __future__ import annotations

from typing import Any

import redis

from p2c2g.errors import BrokerRefusesError
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import BROKER_ERRORS, CLUSTER
from p2c2g.messaging.limits import MAX_BODY, MAX_BULK, MAX_HEAD

#: What is lost under each family of policies, by the name's beginning.
_LOST = {
    "allkeys": "bans, enrolments and chunks may vanish",
    "volatile": "living peers may seem dead, and results may be lost",
}


#: The setting that says how long a value may be.
_BULK = "proto-max-bulk-len"


def inspect(client: Client) -> str:
    """Return a warning about a broker that can be used, nothing where all is well.

    A broker that does not tell is believed to be right.  Where two things are wrong, the first is
    what chunks are lost by.

    Raises:
        BrokerRefusesError: it cannot be used at all.
    """
    try:
        told: dict[str, Any] = client.info("server", "memory")
    except redis.ResponseError:
        return ""  # Not everybody may ask.
    except BROKER_ERRORS:
        return ""  # Who goes on hears of it.
    mode = str(told.get("redis_mode", ""))
    if mode == "cluster":
        raise BrokerRefusesError(f"{CLUSTER}.")
    if mode == "sentinel":
        raise BrokerRefusesError(
            "The broker is a Sentinel, which only tells where the server is: name it by "
            "sentinel:// in place of redis://."
        )
    policy = str(told.get("maxmemory_policy", ""))
    lost = _LOST.get(policy.partition("-")[0])
    if lost is not None and told.get("maxmemory"):
        return (
            f"The broker evicts keys where its memory is full (maxmemory-policy {policy}): {lost}. "
            "Set it to noeviction."
        )
    return _longest(client)


def _longest(client: Client) -> str:
    """Return a warning about how long a value may be at the broker, nothing where that is right."""
    try:
        told: Any = client.config_get(_BULK)
        longest = int(told[_BULK])
    except (*BROKER_ERRORS, KeyError, TypeError, ValueError):
        return ""  # Not everybody may ask.
    if longest < MAX_BODY + 2 * MAX_HEAD:
        return (
            f"The broker takes no value of more than {longest} bytes ({_BULK}), and a chunk may "
            f"have {MAX_BODY}. Set it to {MAX_BULK}."
        )
    if longest > MAX_BULK:
        return (
            f"The broker takes values of up to {longest} bytes ({_BULK}), which one stranger is "
            f"enough to send to every peer and session. Set it to {MAX_BULK}."
        )
    return ""
