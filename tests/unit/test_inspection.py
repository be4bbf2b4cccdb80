"""What a broker tells of itself: what cannot be used, and what is warned of."""

from __future__ import annotations

from typing import Any, cast

import pytest
import redis

from p2c2g.errors import BrokerRefusesError
from p2c2g.messaging.client import Client
from p2c2g.messaging.inspection import inspect


class Told:
    """A client of a broker that tells this of itself."""

    def __init__(self, told: dict[str, Any] | Exception) -> None:
        self._told = told

    def info(self, *_: str) -> dict[str, Any]:
        if isinstance(self._told, Exception):
            raise self._told
        return self._told


def ask(told: dict[str, Any] | Exception) -> str:
    return inspect(cast("Client", Told(told)))


@pytest.mark.parametrize("mode", ["cluster", "sentinel"])
def test_what_cannot_be_used_is_refused_by_name(mode: str) -> None:
    with pytest.raises(BrokerRefusesError, match=f"(?i){mode}"):
        ask({"redis_mode": mode})


@pytest.mark.parametrize(
    ("policy", "lost"),
    [
        ("allkeys-lru", "bans"),
        ("allkeys-random", "bans"),
        ("volatile-ttl", "seem dead"),
        ("volatile-lfu", "seem dead"),
    ],
)
def test_a_policy_that_may_evict_what_must_stay_is_named(policy: str, lost: str) -> None:
    warning = ask({"redis_mode": "standalone", "maxmemory": 1, "maxmemory_policy": policy})
    assert policy in warning
    assert lost in warning
    assert "noeviction" in warning
    # Without a limit nothing is ever evicted.
    assert not ask({"maxmemory": 0, "maxmemory_policy": policy})


@pytest.mark.parametrize(
    "told",
    [
        {"maxmemory": 1, "maxmemory_policy": "noeviction"},
        {},
        redis.exceptions.NoPermissionError("INFO"),
        redis.ConnectionError("away"),
    ],
)
def test_what_is_right_or_not_told_is_no_warning(told: dict[str, Any] | Exception) -> None:
    assert ask(told) == ""
