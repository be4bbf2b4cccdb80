"""What a broker tells of itself: what cannot be used, and what is warned of."""

from __future__ import annotations

from typing import Any, cast

import pytest
import redis

from p2c2g.errors import BrokerRefusesError
from p2c2g.messaging.client import Client
from p2c2g.messaging.inspection import inspect
from p2c2g.messaging.limits import MAX_BODY, MAX_BULK


class Told:
    """A client of a broker that tells this of itself."""

    def __init__(self, told: dict[str, Any] | Exception, longest: object = MAX_BULK) -> None:
        self._told = told
        self._longest = longest

    def info(self, *_: str) -> dict[str, Any]:
        if isinstance(self._told, Exception):
            raise self._told
        return self._told

    def config_get(self, name: str) -> dict[str, Any]:
        if isinstance(self._longest, Exception):
            raise self._longest
        return {name: self._longest}


def ask(told: dict[str, Any] | Exception, longest: object = MAX_BULK) -> str:
    return inspect(cast("Client", Told(told, longest)))


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


@pytest.mark.parametrize(
    ("longest", "said"),
    [
        ("536870912", "one stranger is enough"),
        (str(MAX_BULK + 1), "one stranger is enough"),
        (str(MAX_BODY), "a chunk may have"),
        ("1048576", "a chunk may have"),
    ],
)
def test_how_long_a_value_may_be_is_looked_at(longest: str, said: str) -> None:
    warning = ask({}, longest)
    assert said in warning
    assert warning.endswith(f"Set it to {MAX_BULK}.")


@pytest.mark.parametrize(
    "longest",
    [
        str(MAX_BULK),
        "",
        None,
        redis.exceptions.NoPermissionError("CONFIG"),
        redis.ResponseError("unknown command"),
        redis.ConnectionError("away"),
    ],
)
def test_a_broker_that_is_right_or_does_not_tell_is_not_warned_of(longest: object) -> None:
    assert ask({}, longest) == ""
