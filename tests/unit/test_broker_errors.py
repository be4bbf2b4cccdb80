"""What the broker's libraries raise is translated once, and nothing else is."""

from __future__ import annotations

import pytest
import redis
from kombu.exceptions import OperationalError

from p2c2g.errors import BrokerRefusesError, BrokerUnavailableError, UsageError
from p2c2g.messaging.errors import refusal, translated


@pytest.mark.parametrize(
    "error",
    [
        redis.ConnectionError("refused."),
        redis.ResponseError("OOM command not allowed"),
        redis.TimeoutError("no reply"),
        OperationalError("lost"),
        ConnectionResetError("reset"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_broker_raises_becomes_one_sentence(error: Exception) -> None:
    with pytest.raises(BrokerUnavailableError) as caught, translated():
        raise error
    assert str(caught.value) == f"The broker does not answer: {str(error).rstrip('.')}."
    assert caught.value.__cause__ is error


def test_the_sentence_may_begin_otherwise() -> None:
    with (
        pytest.raises(BrokerUnavailableError, match=r"^It went away: gone\.$"),
        translated("It went away"),
    ):
        raise redis.ConnectionError("gone")


@pytest.mark.parametrize("error", [UsageError("wrong"), ValueError("no"), KeyError("key")])
def test_what_others_raise_stays_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, translated():
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (redis.exceptions.ClusterCrossSlotError("Keys don't hash to the same slot"), "Cluster"),
        (redis.exceptions.MovedError("866 127.0.0.1:7000"), "Cluster"),
        (redis.ResponseError("CROSSSLOT Keys in request"), "Cluster"),
        (redis.exceptions.NoPermissionError("No permissions to access a channel"), "channel"),
        (redis.ResponseError("NOPERM User p has no permissions to run 'evalsha'"), "evalsha"),
        (redis.AuthenticationError("invalid username-password pair"), "refuses the password"),
        (redis.ResponseError("NOAUTH Authentication required."), "wants a password"),
        (redis.ResponseError("unknown command 'XADD', with args beginning with:"), "XADD"),
        (redis.ResponseError("DB index is out of range"), "database"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_lasts_is_one_sentence_that_names_it(error: Exception, word: str) -> None:
    sentence = refusal(error)
    assert sentence is not None
    assert word in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    with pytest.raises(BrokerRefusesError) as caught, translated():
        raise error
    assert str(caught.value) == sentence
    # Whatever a library wraps it into.
    wrapped = OperationalError("lost")
    wrapped.__cause__ = error
    assert refusal(wrapped) == sentence


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
        redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
        redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
        redis.ResponseError("BUSY Redis is busy running a script."),
        redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        redis.ConnectionError("max number of clients reached"),
        redis.ResponseError("UNBLOCKED force unblock from blocking operation"),
        redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        redis.ConnectionError("refused"),
        redis.TimeoutError("no reply"),
    ],
    ids=str,
)
def test_what_passes_is_no_refusal(error: Exception) -> None:
    assert refusal(error) is None
