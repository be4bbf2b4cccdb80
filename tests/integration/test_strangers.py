"""Attacks on a real worker by one who knows the broker's password: none gets more than a refusal.

Each attack is tried, an honest chunk is done after it, and the worker told what it threw away.
"""

from __future__ import annotations

import base64
import bz2
import json
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgpack
import numpy as np
import pytest
import redis
from kombu import Consumer

from p2c2g.media.codecs import codec
from p2c2g.media.frame import Rect, Size
from p2c2g.media.residual import Form
from p2c2g.media.wire import ChunkHeader
from p2c2g.messaging import envelope, names
from p2c2g.messaging.client import open_connection
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.messaging.limits import MAX_BODY, MAX_BULK, MAX_HELD, MAX_JSON
from p2c2g.messaging.publishing import anonymous_queue
from tests.lane import PATIENCE, Lane, settings
from tests.pool import Pool, Worker
from tests.refusing_app import REFUSED

SESSION = "strangers"
#: Bytes that a worker's memory may grow by, whatever it is sent.
GROWTH = 96 << 20
SIZE = Size(16, 16)
PICTURE = codec("png").encode(np.zeros((16, 16, 3), np.uint8), 80)
NOTHING = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def header(frame: int, session: str = SESSION, name: str = "png") -> bytes:
    return ChunkHeader(
        session=session, frame=frame, chunk=0, attempt=1, codec=name, form=Form("png", 80),
        operations="upscale:2", frame_size=SIZE, padded=Rect(0, 0, 16, 16),
        crop=Rect(0, 0, 32, 32), budget_us=60_000_000,
    ).pack()  # fmt: skip


class Stranger:
    """Writes messages by hand, beside a session that goes on."""

    def __init__(self, lane: Lane, worker: Worker) -> None:
        self.lane = lane
        self.worker = worker
        self._frame = 0

    def message(
        self,
        *,
        task: str = names.ENHANCE_TASK,
        arguments: Any = None,
        keywords: Any = None,
        embedded: Any = NOTHING,
        headers: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
        body: bytes | None = None,
        name: str = "",
        queue: str = "cpu",
        content: str = "application/x-msgpack",
    ) -> bytes:
        """Return a chunk's envelope, with whatever is given in place of a chunk's own."""
        self._frame += 1
        name = name or f"{SESSION}.{self._frame}.0"
        if body is None:
            given = [header(self._frame), PICTURE] if arguments is None else arguments
            body = msgpack.packb([given, keywords or {}, embedded])
        head = msgpack.packb(
            [
                content,
                "binary",
                {"lang": "py", "task": task, "id": name, **(headers or {})},
                {
                    "delivery_tag": "t",
                    "delivery_info": {"exchange": "", "routing_key": queue},
                    "body_encoding": None,
                    **(properties or {}),
                },
            ]
        )
        return struct.pack(">4sBI", envelope.MAGIC, envelope.VERSION, len(head)) + head + body

    def attack(self, *items: bytes) -> list[str]:
        """Send, and then an honest chunk; return why the worker threw things away."""
        for item in items:
            self.lane.push(item)
        self.honest()
        return self.refused()

    def refused(self) -> list[str]:
        """Return why it threw things away since it was asked last; it never reconnected."""
        with self.lane.client.pipeline() as pipe:
            pipe.lrange(REFUSED, 0, -1)
            pipe.delete(REFUSED)
            reasons, _ = pipe.execute()
        assert self.worker.log().count("Connected to") == 1
        return [reason.decode() for reason in reasons]

    def honest(self) -> dict[bytes, bytes]:
        """Have a chunk done; return its entry."""
        item = self.message()
        name = f"{SESSION}.{self._frame}.0"
        self.lane.push(item)
        self.lane.wait_for([name])
        entry = next(each for each in self.lane.entries if each[b"id"].decode() == name)
        assert entry[b"state"] == b"SUCCESS", entry
        return entry

    def peak(self) -> int:
        """Return the most memory that the worker has had, in bytes."""
        assert self.worker.process is not None
        status = Path(f"/proc/{self.worker.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) << 10

    def held(self) -> Any:
        """Return what the worker holds for later."""
        answer = self.lane.app.control.inspect(
            destination=[self.worker.name], timeout=60, limit=1
        ).scheduled()
        return answer[self.worker.name]


@pytest.fixture(scope="module")
def stranger(
    broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stranger]:
    with Lane(settings(broker.url), session=SESSION) as lane:
        lane.client.flushall()
        lane.open()
        log = tmp_path_factory.mktemp("strangers") / "w.log"
        worker = Worker(
            lane.app, broker.url, log, "-Q", "cpu,train", "-c", "1",
            name="strangers", application="tests.refusing_app",
        )  # fmt: skip
        try:
            worker.start()
            yield Stranger(lane, worker)
        finally:
            worker.kill()


# -- what is read before anything is checked ----------------------------------------------------


def test_nothing_is_decompressed(stranger: Stranger) -> None:
    """A few hundred bytes became 300 MB before any task was chosen."""
    bomb = bz2.compress(bytes(300 << 20))
    assert len(bomb) < 500
    before = stranger.peak()
    said = stranger.attack(
        stranger.message(body=bomb, headers={"compression": "application/x-bz2"}),
        plain(bomb, headers={"compression": "bzip2"}),
    )
    assert said == ["a message is compressed, which none may be."] * 2
    assert stranger.peak() - before < GROWTH


def test_a_body_is_read_within_bounds(stranger: Stranger) -> None:
    """Each of these lists claims to have two million elements, in the one before."""
    length = struct.pack(">BI", 0xDD, 2_000_000)
    before = stranger.peak()
    deep = stranger.message(body=length * 500 + bytes(2_000_000))
    wide = stranger.message(body=msgpack.packb([[header(1), PICTURE], {}, NOTHING])[:-1] + length)
    json_bomb = plain(b"[" + b"[]," * 200_000 + b"[]]")
    said = stranger.attack(deep, wide, json_bomb, plain(b"[" * 500_000))
    assert len(said) == 4
    assert stranger.peak() - before < GROWTH


def test_a_message_is_no_longer_than_any_of_ours(stranger: Stranger) -> None:
    said = stranger.attack(
        stranger.message(arguments=[header(1), bytes(MAX_BODY + 1)]),
        plain(b'"' + b"x" * MAX_JSON + b'"'),
    )
    assert len(said) == 2
    # And the broker itself takes nothing that is much longer.
    with pytest.raises(redis.RedisError):
        stranger.lane.push(bytes(MAX_BULK + 1))


def test_no_more_bytes_wait_than_there_is_room_for(pool: Pool) -> None:
    """However many messages a worker has asked for, as one does whose line is far."""
    waiting: list[Any] = []
    with Lane(pool.settings()) as lane, open_connection(lane.app) as connection:
        channel = connection.default_channel
        queues = [anonymous_queue("cpu")]
        with Consumer(
            channel, queues, on_message=waiting.append, accept=["msgpack"], prefetch_count=64
        ):
            for number in range(12):
                lane.send(payload=bytes(MAX_BODY))
                lane.confirm()
                while len(waiting) + channel.malformed <= number:
                    with suppress(TimeoutError):  # What is thrown away is no event.
                        connection.drain_events(timeout=0.05)
            held = MAX_HELD // MAX_BODY - 1  # Each is a little more than its picture.
            assert (len(waiting), channel.malformed) == (held, 12 - held)
            # Of such it asks for no more than there is room for.
            assert channel.credit <= 0
            while waiting:
                waiting.pop().ack()
            lane.send()
            connection.drain_events(timeout=PATIENCE)
            assert len(waiting) == 1


def plain(body: bytes, **more: Any) -> bytes:
    """Return a message as a plain Celery application writes it."""
    told = {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {
            "task": names.ENHANCE_TASK, "id": f"{SESSION}.1.0", "lang": "py",
            **more.get("headers", {}),
        },
        "properties": {
            "delivery_tag": "t",
            "delivery_info": {"exchange": "", "routing_key": "cpu"},
            "body_encoding": "base64",
        },
    }  # fmt: skip
    return json.dumps(told).encode()


# -- what a worker would do with its own rights -------------------------------------------------

SIGNATURE = {
    "task": names.ENHANCE_TASK, "args": [], "kwargs": {}, "subtask_type": None, "immutable": True,
    "options": {"queue": "elsewhere"},
}  # fmt: skip


@pytest.mark.parametrize("part", ["callbacks", "errbacks", "chain", "chord"])
def test_it_publishes_nothing_for_a_stranger(stranger: Stranger, part: str) -> None:
    told = SIGNATURE if part == "chord" else [SIGNATURE]
    bad = [header(1), b"no picture"]
    said = stranger.attack(
        stranger.message(embedded={**NOTHING, part: told}),
        # Errbacks are for those that fail.
        stranger.message(embedded={**NOTHING, part: told}, arguments=bad),
        stranger.message(headers={part: told}),
    )
    assert len(said) == 3
    assert not stranger.lane.client.exists(names.queue_key("elsewhere"))


@pytest.mark.parametrize(
    "headers",
    [
        {"eta": "2999-01-01T00:00:00+00:00"},
        {"expires": "2999-01-01T00:00:00+00:00"},
        {"retries": 3},
        {"group": "g"},
        {"group_index": 1},
        {"timelimit": [1, 1]},
        {"timelimit": [None, 0.001]},
        {"stamps": {"a": "b"}, "stamped_headers": ["a"]},
        {"replaced_task_nesting": 5},
        {"shadow": "celery.ping"},
        {"hostname": "other@test"},
        {"delivery_info": {}},
        {"loglevel": "DEBUG"},
        {"argsrepr": "x" * 5000},
        {"root_id": ["a"]},
    ],
    ids=lambda told: "+".join(told),
)
def test_it_heeds_no_header_that_a_chunk_has_not(
    stranger: Stranger, headers: dict[str, Any]
) -> None:
    assert len(stranger.attack(stranger.message(headers=headers))) == 1


def test_it_holds_nothing_for_next_year(stranger: Stranger) -> None:
    later = {"eta": "2999-01-01T00:00:00+00:00"}
    said = stranger.attack(*(stranger.message(headers=later) for _ in range(300)))
    assert len(said) == 300
    assert stranger.held() == []


@pytest.mark.parametrize(
    "task",
    [
        "celery.map", "celery.starmap", "celery.chunks", "celery.group", "celery.chain",
        "celery.chord", "celery.chord_unlock", "celery.accumulate", "celery.backend_cleanup",
        "p2c2g.train", "no.such",
    ],
)  # fmt: skip
def test_a_queue_of_chunks_carries_chunks(stranger: Stranger, task: str) -> None:
    """And an unknown task gets no answer either: its id would name whose key is written."""
    name = uuid4().hex
    said = stranger.attack(
        stranger.message(task=task, name=name, arguments=["x", 1]),
        stranger.message(task=task, arguments=[SIGNATURE, []]),
    )
    assert said == [f"it is no task: its task is {task!r}, where p2c2g.enhance is carried."] * 2
    assert not stranger.lane.client.exists(f"{names.celerys()}celery-task-meta-{name}")


@pytest.mark.parametrize("task", [names.ENHANCE_TASK, "celery.backend_cleanup"])
def test_a_queue_of_orders_carries_orders(stranger: Stranger, task: str) -> None:
    stranger.lane.push(stranger.message(task=task), "train")
    stranger.lane.wait_until(lambda: stranger.lane.client.exists(REFUSED))
    (said,) = stranger.refused()
    assert said == f"it is no task: its task is {task!r}, where p2c2g.train is carried."


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "strangers.1.1"},
        {"name": f"other.{1 << 20}.0"},
        {"name": "celery-task-meta"},
        {"name": "x" * 5000},
        {"arguments": [header(1, session="two words"), PICTURE], "name": "two words.1.0"},
        {"arguments": [header(1, session="a.b"), PICTURE], "name": "a.b.1.0"},
        {"arguments": [b"", PICTURE]},
        {"arguments": [header(1)]},
        {"arguments": [header(1), "text"]},
        {"arguments": [], "keywords": {"header": header(1), "payload": PICTURE}},
        {"properties": {"correlation_id": "another"}},
    ],
    ids=lambda told: "+".join(told),
)
def test_a_chunk_is_what_its_id_says(stranger: Stranger, changes: dict[str, Any]) -> None:
    assert len(stranger.attack(stranger.message(**changes))) == 1


def test_a_result_goes_where_its_chunk_says_and_nowhere_else(stranger: Stranger) -> None:
    other = names.results("other")
    stranger.lane.client.xgroup_create(other, "g", id="$", mkstream=True)
    for place in (other, names.peers(), "elsewhere"):
        stranger.lane.push(stranger.message(properties={"reply_to": place}))
        stranger.lane.wait_for([f"{SESSION}.{stranger._frame}.0"])
    assert stranger.lane.client.xlen(other) == 0
    assert not stranger.lane.client.exists("elsewhere")


def test_a_failure_finds_its_session(stranger: Stranger) -> None:
    item = stranger.message()
    name = f"{SESSION}.{stranger._frame}.0"
    bad = stranger.message(name=name, arguments=[header(stranger._frame), b"no picture"])
    assert item != bad
    stranger.lane.push(bad)
    stranger.lane.wait_for([name])
    entry = stranger.lane.entries[-1]
    assert (entry[b"id"].decode(), entry[b"state"]) == (name, b"FAILURE")
    assert entry[b"peer"] == b"strangers@test"


# -- remote control -----------------------------------------------------------------------------

PLACE = "reply.celery.pidbox"


def asked(stranger: Stranger, data: bytes) -> list[str]:
    """Send to remote control, and ask something after it; return why that was thrown away."""
    topic = f"{names.celerys()}/0.celery.pidbox"
    assert stranger.lane.client.publish(topic, data) == 1
    assert stranger.held() == []
    return stranger.refused()


def command(body: Any, **more: Any) -> bytes:
    told = json.loads(plain(b"", **more))
    told["headers"] = {"clock": 1, "expires": 0, **more.get("headers", {})}
    told["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    return json.dumps(told).encode()


ATTACKS: dict[str, bytes] = {
    "deep": b"[" * 100_000,
    "long": b'"' + b"x" * MAX_JSON + b'"',
    "no message": b'{"body": 7}',
    "compressed": command({"method": "ping"}, headers={"compression": "bzip2"}),
    "no mapping": command([1, 2]),
    "no command": command({"method": "no_such"}),
    "no method": command({"arguments": {}}),
    "a word more": command({"method": "ping", "callback": "x"}),
    "a clock": command({"method": "ping"}, headers={"clock": 10**400}),
    "a slow pattern": command(
        {"method": "ping", "pattern": "(((s|t|r|a|n|g)+)+)+$", "matcher": "pcre"}
    ),
    "an answer to a queue": command(
        {"method": "ping", "reply_to": {"exchange": "", "routing_key": "elsewhere"}, "ticket": "t"}
    ),
    "an answer to another exchange": command(
        {"method": "ping", "reply_to": {"exchange": "celeryev", "routing_key": "elsewhere"}}
    ),
    "an answer to nobody's queue": command(
        {"method": "ping", "reply_to": {"exchange": PLACE, "routing_key": "elsewhere"}}
    ),
}


@pytest.mark.parametrize("what", ATTACKS)
def test_remote_control_does_no_more_than_a_command(stranger: Stranger, what: str) -> None:
    assert len(asked(stranger, ATTACKS[what])) == 1
    assert not stranger.lane.client.exists(names.queue_key("elsewhere"))


# -- what only the broker can refuse ------------------------------------------------------------


def test_at_a_broker_that_takes_anything_a_worker_does_not(pool: Pool) -> None:
    """It gives the connection up, and is there again: see docs/broker.md for what is right."""
    pool.client.config_set("proto-max-bulk-len", 512 << 20)
    worker = pool.worker("big")
    with Lane(pool.settings(), session=SESSION) as lane:
        watched = Stranger(lane, worker)
        before = watched.peak()

        def reading() -> set[str]:
            return {each["id"] for each in pool.client.client_list() if each["cmd"] == "brpop"}

        lane.wait_until(lambda: bool(reading()))
        given_up = reading()
        lane.push(bytes(200 << 20))
        lane.wait_until(lambda: worker.log().count("Connected to") == 2)
        # Until the broker has seen that, it may still give a chunk to nobody.
        lane.wait_until(lambda: not given_up & reading())
        assert watched.peak() - before < GROWTH
        assert "proto-max-bulk-len" in worker.log()
        watched.honest()
