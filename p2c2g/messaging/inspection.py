"""What a broker says of itself that decides whether it can be used."""

from __future__ import annotations

from typing import Any

import redis

from p2c2g.errors import BrokerRefusesError
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import BROKER_ERRORS, CLUSTER

#: What is lost under each family of policies, by the name's beginning.
_LOST = {
    "allkeys": "bans, enrolments and chunks may vanish",
    "volatile": "living peers may seem dead, and results may be lost",
}


def inspect(client: Client) -> str:
    """Return a warning about a broker that can be used, nothing where all is well.

    A broker that does not tell is believed to be right.

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
    if lost is None or not told.get("maxmemory"):
        return ""
    return (
        f"The broker evicts keys where its memory is full (maxmemory-policy {policy}): {lost}. "
        "Set it to noeviction."
    )
