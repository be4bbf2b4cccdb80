"""What else may lie in a queue: noise, other versions, other applications' tasks."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import msgpack
import pytest
from celery import Celery

from p2c2g.messaging import envelope, names
from p2c2g.messaging.embedded import EmbeddedBroker
from tests.lane import PATIENCE, Lane, settings
from tests.pool import Worker

HEADERS = {"task": "lane.echo", "id": "foreign", "argsrepr": "", "kwargsrepr": ""}
PROPERTIES = {
    "delivery_tag": "tag",
    "delivery_info": {"exchange": "", "routing_key": "cpu"},
    "body_encoding": None,
}


def enveloped(
    headers: object = HEADERS,
    properties: object = PROPERTIES,
    body: bytes = b"",
    content_type: object = "application/x-msgpack",
    content_encoding: object = "binary",
) -> bytes:
    # By hand: ours refuses to send what nobody would take.
    head: bytes = msgpack.packb([content_type, content_encoding, headers, properties])
    return struct.pack(">4sBI", envelope.MAGIC, envelope.VERSION, len(head)) + head + body


WHOLE = enveloped(body=msgpack.packb([[0.0, b"p"], {}, {}]))

NOISE = {
    "random bytes": random.Random(1).randbytes(5000),
    "nothing": b"",
    "JSON list": b"[1, 2, 3]",
    "JSON text": b'"hello"',
    "JSON of another kind": b'{"hello": "world"}',
    "JSON without a tag": b'{"body": "", "headers": {}, "properties": {}}',
    "version 0": WHOLE[:4] + b"\x00" + WHOLE[5:],
    "version 9": WHOLE[:4] + b"\x09" + WHOLE[5:],
    "an envelope cut in its head": WHOLE[:40],
    "an envelope cut in its prefix": WHOLE[:6],
    "a head that is no msgpack": WHOLE[:9] + b"\xc1" * (len(WHOLE) - 9),
    "a body that is no msgpack": enveloped(body=b"\xc1\xc1"),
    "a body cut short": WHOLE[:-3],
    "a body of another shape": enveloped(body=msgpack.packb(7)),
    "a body of two parts": enveloped(body=msgpack.packb([[], {}])),
    "arguments that are none": enveloped(body=msgpack.packb([5, 6, 7])),
    "headers without an id": enveloped(
        headers={"task": "lane.echo"}, body=msgpack.packb([[0.0, b"p"], {}, {}])
    ),
    "no headers at all": enveloped(headers={}, body=b"x"),
    "an unknown task": enveloped(
        headers={**HEADERS, "task": "no.such"}, body=msgpack.packb([[], {}, {}])
    ),
    "a task that is a number": enveloped(headers={**HEADERS, "task": 7}),
    "a task that is a list": enveloped(headers={**HEADERS, "task": [7]}),
    "pickle": enveloped(
        body=b"cos\nsystem\n(S'true'\ntR.", content_type="application/x-python-serialize"
    ),
    "an unknown content type": enveloped(body=b"x", content_type="image/png"),
    "a content type that is a list": enveloped(body=b"x", content_type=["a"]),
    "an unknown body encoding": enveloped(
        properties={**PROPERTIES, "body_encoding": "rot13"}, body=b"x"
    ),
    "an expiry that is none": enveloped(
        headers={**HEADERS, "expires": "tomorrow"}, body=msgpack.packb([[0.0, b"p"], {}, {}])
    ),
}


@pytest.fixture(scope="module")
def shared(
    broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Lane, Worker]]:
    """One worker that has to survive this whole module."""
    with Lane(settings(broker.url), session="messages") as lane:
        lane.client.flushall()
        lane.open()
        log = tmp_path_factory.mktemp("messages") / "w.log"
        worker = Worker(lane.app, broker.url, log, "-Q", "cpu", "-c", "2", name="messages")
        try:
            worker.start()
            yield lane, worker
        finally:
            worker.kill()


@pytest.mark.parametrize("kind", NOISE)
def test_a_worker_outlives(shared: tuple[Lane, Worker], kind: str) -> None:
    lane, worker = shared
    before = worker.log().count("\n")
    lane.push(NOISE[kind])
    lane.round_trip()
    lane.round_trip()
    written = worker.log().splitlines()[before:]
    assert any("WARNING" in line or "ERROR" in line or "CRITICAL" in line for line in written)
    # It neither started again nor lost its connection, and gave its credit back.
    assert worker.log().count("Connected to") == 1
    assert worker.log().count("ready.") == 1


def test_much_more_noise_than_credit_leaves_the_credit(shared: tuple[Lane, Worker]) -> None:
    lane, worker = shared
    for item in NOISE.values():
        for _ in range(10):
            lane.push(item)
    lane.wait_for(lane.send(20, 0.005))
    assert worker.log().count("Connected to") == 1


def test_the_log_names_the_version_and_counts(shared: tuple[Lane, Worker]) -> None:
    lane, worker = shared
    lane.push(NOISE["version 0"])
    lane.push(NOISE["version 0"])
    lane.round_trip()
    told = [line for line in worker.log().splitlines() if "envelope version 0" in line]
    assert len(told) >= 2
    numbers = [int(line.partition("number ")[2].partition(" ")[0]) for line in told[-2:]]
    assert numbers[1] == numbers[0] + 1


def test_a_stock_application_may_send_us_tasks(
    shared: tuple[Lane, Worker], broker: EmbeddedBroker
) -> None:
    with Celery("plain", broker=broker.url, backend=broker.url, set_as_current=False) as plain:
        options = {"global_keyprefix": names.celerys()}
        plain.conf.update(
            broker_transport_options=options, result_backend_transport_options=options
        )
        result = plain.send_task("lane.add", (2, 3), queue="cpu")
        assert result.get(timeout=PATIENCE) == 5
        named = plain.send_task("lane.add", kwargs={"x": 4, "y": 5}, queue="cpu")
        assert named.get(timeout=PATIENCE) == 9


def test_our_application_gets_what_a_task_returns(shared: tuple[Lane, Worker]) -> None:
    lane, _ = shared
    result = lane.app.send_task("lane.add", (20, 3), queue="cpu")
    assert result.get(timeout=PATIENCE) == 23
