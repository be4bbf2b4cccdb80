"""What this process counts is what the broker counts."""

from __future__ import annotations

from typing import Any

import pytest

from p2c2g.messaging.broker import Broker
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.messaging.metering import meter
from p2c2g.messaging.pipelining import CommandStream


@pytest.fixture
def told(broker: EmbeddedBroker) -> Any:
    """Return a function that gives the bytes that the broker has received and sent so far."""
    with Broker.at(broker.url) as asking:

        def ask() -> tuple[int, int]:
            info: Any = asking.client.info("stats")
            return info["total_net_input_bytes"], info["total_net_output_bytes"]

        yield ask


def test_all_that_goes_and_comes_is_counted_once(broker: EmbeddedBroker, told: Any) -> None:
    with Broker.at(broker.url) as used:
        used.client.ping()
        stream = CommandStream(lambda: used.client.connection_pool, busy_after=0.1)
        stream.connect()
        came, went = told()
        before = meter.up, meter.down
        # By a client's commands, and by those that are sent ahead.
        used.client.set("here", bytes(300_000))
        assert used.client.get("here") == bytes(300_000)
        stream.send([("GET", "here")] * 3)
        stream.collect(leave=0)
        stream.close()
        after = told()
        # Of what it sent it tells without the answer that tells it.
        assert meter.up - before[0] == after[0] - came
        assert abs(meter.down - before[1] - (after[1] - went)) < 200
        assert meter.down - before[1] > 4 * 300_000
