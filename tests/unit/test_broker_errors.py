"""What the broker's libraries raise is translated once, and nothing else is."""

from __future__ import annotations

import pytest
import redis
from kombu.exceptions import OperationalError

from p2c2g.errors import BrokerUnavailableError, UsageError
from p2c2g.messaging.errors import translated


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
