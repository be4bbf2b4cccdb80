"""The one boundary to the broker: what it asks for, and what it says of a broker that is away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from p2c2g.errors import BrokerUnavailableError, UsageError
from p2c2g.messaging import names
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from tests.lane import PATIENCE, Lane, by_port, settings
from tests.pool import MakeWorker

W = "w@test"


@pytest.fixture
def opened(broker: EmbeddedBroker) -> Iterator[Broker]:
    with Broker(settings(broker.url)) as made:
        yield made


@pytest.fixture
def away(broker: EmbeddedBroker) -> Iterator[Broker]:
    with Broker(settings(by_port(broker.url, 1))) as made:
        yield made


def serves(lane: Lane, queue: str) -> bool:
    answers = lane.app.control.inspect([W], timeout=PATIENCE, limit=1).active_queues()
    return bool(answers) and queue in {each["name"] for each in answers[W]}


def test_nothing_is_made_before_it_is_asked_for() -> None:
    with Broker(settings("http://broker.example")) as broker:
        with pytest.raises(UsageError, match="is not a broker's URL"):
            _ = broker.app
        with pytest.raises(UsageError, match="is not a broker's URL"):
            _ = broker.client


def test_it_is_made_once_and_again_after_it_was_closed(opened: Broker) -> None:
    app, client = opened.app, opened.client
    assert opened.app is app
    assert opened.client is client
    opened.close()
    opened.close()
    assert opened.client is not client
    opened.check()


def test_a_broker_that_is_away_is_told_in_one_sentence(away: Broker) -> None:
    with pytest.raises(BrokerUnavailableError, match=r"^No broker answers at redis://:\*\*\*@"):
        away.check()
    for ask in (
        lambda: away.ping(1, 5.0),
        lambda: away.leave_queue("cpu", W),
        lambda: away.join_queue("cpu", W),
        lambda: away.drain(W, 0.1),
    ):
        with pytest.raises(BrokerUnavailableError, match=r"^The broker does not answer: .*[^.]\.$"):
            ask()
    with pytest.raises(BrokerUnavailableError, match=r"^The order could not be sent: "):
        away.send("t", (), task_id="t.1", queue="train", shown="<order>", what="order")


def test_a_wrong_password_is_told_apart(broker: EmbeddedBroker) -> None:
    wrong = f"redis://:wrong@{HOST}:{broker.port}/0"
    with (
        Broker(settings(wrong)) as refused,
        pytest.raises(BrokerUnavailableError, match="refuses the password") as caught,
    ):
        refused.check()
    assert "wrong" not in str(caught.value).partition("refuses")[0]


def test_where_nobody_is_nobody_answers(opened: Broker, lane: Lane) -> None:
    assert opened.ping(1, 0.0) == 0
    assert opened.drain("ghost@x", 0.1) is None


def test_a_peer_leaves_a_queue_joins_it_and_is_drained(
    opened: Broker, lane: Lane, worker: MakeWorker
) -> None:
    peer = worker("-c", "1", "-Q", "cpu")
    assert opened.ping(1, PATIENCE) == 1
    opened.leave_queue("cpu", W)
    lane.wait_until(lambda: not serves(lane, "cpu"))
    opened.join_queue("cpu", W)
    lane.wait_until(lambda: serves(lane, "cpu"))
    assert opened.drain(W, PATIENCE) == {"ok": "draining"}
    assert peer.wait() == 0


def test_a_task_is_sent_to_a_queue_that_nobody_declared(opened: Broker, lane: Lane) -> None:
    opened.send("lane.echo", ("text",), task_id="order.1", queue="train", shown="<order 1>")
    assert lane.queued("train") == ["order.1"]
    lane.client.delete(names.queue_key("train"))
