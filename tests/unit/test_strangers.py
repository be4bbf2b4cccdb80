"""What strangers send: every input is a result or an error of ours, and takes no more memory.

Headers, envelopes and codecs have tests of their own; here are the doors behind which they
are: the queue, the task, the results stream and the collector.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from time import monotonic
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2c2g.errors import ChunkError, WireError
from p2c2g.logs import rebind
from p2c2g.media.base import base
from p2c2g.media.chunker import Grid
from p2c2g.media.codecs import CODECS, codec
from p2c2g.media.composition import Composition
from p2c2g.media.frame import Frame, Pixels, Rect, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import USUAL_FORM, Form
from p2c2g.media.wire import ChunkHeader, ResultHeader
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.channel import Channel
from p2c2g.messaging.dispatcher import Dispatcher, task_id
from p2c2g.messaging.envelope import MAGIC
from p2c2g.messaging.inbox import Arrival, _arrival
from p2c2g.session.attempts import MAX_ATTEMPTS
from p2c2g.session.config import SessionConfig
from p2c2g.session.session import Session
from p2c2g.settings import Settings
from p2c2g_workers.engine import decoding
from p2c2g_workers.tasks import MAX_PIXELS, EnhancedChunk, enhance
from tests.effort import examples
from tests.forged_pictures import scan_bomb
from tests.honest import EXACT, answer

SPEED = settings(
    deadline=None,
    max_examples=examples(150),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SIZE = Size(96, 64)
PIPELINE = Pipeline.parse("upscale:2,sharpen:1")
ANY_BYTES = st.binary(max_size=300)


@pytest.fixture(autouse=True)
def _forget_context() -> Iterator[None]:
    yield
    rebind()  # a task names its chunk in its thread's logs


def picture(seed: int) -> Pixels:
    """Return soft shapes with an edge or two."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return small.repeat(8, axis=0).repeat(8, axis=1)


def changed(data: bytes, flips: list[tuple[int, int]]) -> bytes:
    """Return data with some of its bytes changed."""
    other = bytearray(data)
    for place, bits in flips:
        if other:
            other[place % len(other)] ^= bits
    return bytes(other)


FLIPS = st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 255)), max_size=4)


# -- the queue


@given(st.binary(max_size=400), st.sampled_from([b"", MAGIC, MAGIC + b"\x01", b"{", b'{"body": ']))
@SPEED
def test_any_bytes_in_a_queue_are_a_message_or_a_wire_error(data: bytes, head: bytes) -> None:
    try:
        message = Channel._decode(head + data)
    except WireError:
        return
    assert isinstance(message["properties"]["delivery_tag"], str)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=9)
            | st.sampled_from(
                ["body", "headers", "properties", "delivery_info", "__type__", "__value__"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(ANY_JSON)
@SPEED
def test_any_json_in_a_queue_is_a_message_or_a_wire_error(value: Any) -> None:
    try:
        message = Channel._decode(json.dumps(value).encode())
    except WireError:
        return
    assert isinstance(message["headers"], dict)


def test_json_a_hundred_thousand_deep_is_a_wire_error() -> None:
    with pytest.raises(WireError):
        Channel._decode(b"[" * 100_000)


# -- the peer's task


def chunk_header(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "session": "s", "frame": 1, "chunk": 0, "attempt": 1, "codec": "raw", "form": EXACT,
        "operations": "upscale:2", "frame_size": SIZE, "padded": Rect(0, 0, 96, 64),
        "crop": Rect(0, 0, 192, 128), "budget_us": 100_000,
    }  # fmt: skip
    return ChunkHeader(**(fields | changes)).pack()


PAYLOADS = {name: each.encode(picture(1), 80) for name, each in CODECS.items()}
OPERATIONS = [
    "upscale:2",
    "resize:1x1",
    "upscale:1/8,upscale:8",
    "sharpen:4",
    "x",
    "",
    "upscale:2,",
]


@given(
    st.sampled_from([*CODECS, "gif", ""]),
    st.sampled_from(OPERATIONS) | st.text(max_size=30),
    st.sampled_from([*PAYLOADS.values()]) | ANY_BYTES,
    FLIPS,
    st.tuples(*[st.integers(1, 16_384)] * 8),
    st.booleans(),
)
@SPEED
def test_a_peer_gives_a_result_or_a_chunk_error(
    name: str, operations: str, payload: bytes, flips: list[tuple[int, int]],
    numbers: tuple[int, ...], fits: bool,
) -> None:  # fmt: skip
    a, b, c, d, e, f, g, h = numbers
    sizes: dict[str, Any] = {}
    if not fits:
        sizes = {
            "frame_size": Size(a, b),
            "padded": Rect(c % a, d % b, min(e, a - c % a), min(f, b - d % b)),
            "crop": Rect(e, f, g, h),
        }
    header = chunk_header(codec=name, operations=operations, **sizes)
    task_gives_a_result_or_a_chunk_error(header, changed(payload, flips))


@given(ANY_BYTES, FLIPS, st.sampled_from([*PAYLOADS.values()]) | ANY_BYTES)
@SPEED
def test_any_header_is_a_result_or_a_chunk_error(
    data: bytes, flips: list[tuple[int, int]], payload: bytes
) -> None:
    task_gives_a_result_or_a_chunk_error(data, payload)
    task_gives_a_result_or_a_chunk_error(changed(chunk_header(), flips), payload)


def task_gives_a_result_or_a_chunk_error(header: bytes, payload: bytes) -> None:
    try:
        result = enhance.run(header, payload)
    except ChunkError:
        return
    assert isinstance(result, EnhancedChunk)
    asked = ChunkHeader.unpack(header)
    assert Size.of(asked.form.decode(result.payload, asked.crop.size)) == asked.crop.size


def test_a_chunk_that_would_take_too_much_memory_is_refused_unread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its payload, a picture of that size, is never looked at."""
    monkeypatch.setattr(decoding, "codec", lambda name: codec("png") if name == "png" else None)
    whole = Rect(0, 0, 16_384, 16_384)
    for operations, padded in (("pass", whole), ("upscale:4", Rect(0, 0, 4096, 4096))):
        header = chunk_header(
            codec="png", operations=operations, frame_size=padded.size, padded=padded,
        )  # fmt: skip
        with pytest.raises(WireError, match=f"at most {MAX_PIXELS} pixels: send smaller"):
            enhance.run(header, png(padded.size))


def png(size: Size) -> bytes:
    """Return a PNG's beginning."""
    head = b"IHDR" + struct.pack(">IIBBBBB", size.width, size.height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


# -- the results stream


@given(
    st.lists(
        st.sampled_from([b"id", b"state", b"header", b"payload", b"error", b"peer", b"SUCCESS"])
        | ANY_BYTES,
        max_size=14,
    )
)
@SPEED
def test_any_entry_of_the_stream_is_an_arrival(fields: list[bytes]) -> None:
    arrival = _arrival(fields, "")
    assert all(isinstance(each, str) for each in (arrival.task_id, arrival.error, arrival.peer))
    assert all(isinstance(each, bytes) for each in (arrival.header, arrival.payload))


class Desk:
    """A session that is fed by hand: no thread of it runs, and what it sends goes nowhere."""

    def __init__(self, form: Form = EXACT) -> None:
        plan = SessionConfig(SIZE, PIPELINE, Grid(2, 1), codec="png", form=form, deadline=1e6)
        self.session = Session(Broker(Settings()), plan, lambda _: None)
        self.plan = plan
        self.frame = picture(3)
        now = monotonic()
        self.session.submit(Frame(0, self.frame, now, now))
        whole = PIPELINE.resolve(SIZE)
        self.good = [answer(whole, self.frame, chunk, form) for chunk in plan.chunks]

    def take(self, arrival: Arrival) -> None:
        self.session._collector.take(arrival, monotonic())

    def close(self) -> None:
        self.session._inbox._selector.close()
        self.session._inbox._waker.close()
        self.session._inbox._wakee.close()


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a session believe that its broker takes everything."""
    monkeypatch.setattr(Dispatcher, "is_connected", property(lambda _self: True))
    monkeypatch.setattr(Dispatcher, "send", lambda *_args, **_kwargs: None)


@pytest.fixture
def desk(connected: None) -> Iterator[Desk]:
    here = Desk()
    yield here
    here.close()


def result_header(chunk: int, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "frame": 0, "chunk": chunk, "attempt": 1, "peer": "one@here",
        "started_us": 10, "decode_us": 1, "process_us": 1, "done_us": 20,
    }  # fmt: skip
    return ResultHeader(**(fields | changes)).pack()


def arrival(chunk: int, payload: bytes, header: bytes | None = None, **changes: Any) -> Arrival:
    fields: dict[str, Any] = {
        "task_id": task_id("s", 0, chunk), "succeeded": True, "payload": payload, "error": "",
        "header": result_header(chunk) if header is None else header, "peer": "",
    }  # fmt: skip
    return Arrival(**(fields | changes))


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[int, int, Arrival]:
    """Give which good payload is sent for which chunk (-1: none), and the arrival."""
    chunk, sent = draw(st.integers(0, 1)), draw(st.integers(-1, 1))
    header = draw(
        st.none()
        | ANY_BYTES
        | st.builds(changed, st.just(result_header(chunk)), FLIPS)
        | st.builds(
            result_header, st.integers(0, 3), frame=st.integers(0, 2), attempt=st.integers(1, 9),
            peer=st.text(max_size=600),
        )
    )  # fmt: skip
    return chunk, sent, arrival(
        chunk,
        draw(ANY_BYTES | st.sampled_from([*PAYLOADS.values()])),
        header,
        task_id=draw(
            st.just(task_id("s", 0, chunk)) | st.text(max_size=30) | st.just(f"s.{2**60}.99999")
        ),
        succeeded=draw(st.booleans()),
        error=draw(st.text(max_size=2000)),
        peer=draw(st.text(max_size=2000)),
    )  # fmt: skip


@given(st.lists(arrivals(), max_size=12))
@SPEED
def test_whatever_arrives_what_is_shown_is_the_own_frame(
    connected: None, script: list[tuple[int, int, Arrival]]
) -> None:
    desk = Desk()
    try:
        for _, sent, one in script:
            if sent >= 0:
                one = Arrival(**{
                    **{name: getattr(one, name) for name in Arrival.__slots__},
                    "payload": desk.good[sent],
                })  # fmt: skip
            desk.take(one)
        for chunk in range(2):
            assert len(desk.session.tables.attempts.runs((0, chunk))) <= MAX_ATTEMPTS
        [pending] = desk.session.tables.frames.flush()
        chunks, parts = desk.plan.chunks, []
        for index, part in pending.parts.items():
            assert part.payload in desk.good, "no garbage"
            parts.append((chunks[index].target, part.residual))
        # Another chunk's residual may be believed, and can do no harm.
        plan = PIPELINE.resolve(SIZE)
        under = base(desk.frame, plan.scale_x, plan.scale_y, plan.output)
        whole = Composition.of(plan.scale_x, plan.scale_y).frame(under, parts)
        small = cv2.resize(whole, (SIZE.width, SIZE.height), interpolation=cv2.INTER_AREA)
        assert cv2.absdiff(small, desk.frame).max() <= 1
        assert desk.session.tables.attempts.accepted.total() == len(pending.parts)
    finally:
        desk.close()


def test_an_honest_result_is_accepted(desk: Desk) -> None:
    for chunk, payload in enumerate(desk.good):
        desk.take(arrival(chunk, payload))
    assert desk.session.tables.attempts.accepted == {1: 2}
    [pending] = desk.session.tables.frames.flush()
    for index, part in pending.parts.items():
        due = EXACT.decode(desk.good[index], desk.plan.chunks[index].target.size)
        np.testing.assert_array_equal(part.residual, due)


def test_a_lie_is_a_failed_attempt_of_its_peer(desk: Desk) -> None:
    size = desk.plan.chunks[0].target.size
    dark = EXACT.encode(np.full((size.height, size.width, 1), -128, np.int16))
    desk.take(arrival(0, dark))
    assert not desk.session.tables.attempts.accepted
    assert desk.session.tables.attempts.failed == 1
    assert desk.session.tally.summary()["errors"] == {"CheckError": 1}
    desk.take(arrival(0, desk.good[0], result_header(0, attempt=2, peer="two@here")))
    assert desk.session.tables.attempts.accepted == {2: 1}


def test_a_megabyte_of_forged_results_is_never_decoded(
    connected: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progressive pictures of the right size took a collector a minute, and every frame with it."""
    decoded: list[int] = []
    desk = Desk(USUAL_FORM)
    try:
        bomb = scan_bomb(desk.plan.chunks[0].target.size, 1)
        with monkeypatch.context() as patch:
            patch.setattr(
                simplejpeg, "decode_jpeg", lambda data, *_, **__: decoded.append(len(data))
            )
            for number in range(-(-(1 << 20) // len(bomb))):
                desk.take(arrival(0, bomb, result_header(0, peer=f"forger{number}@there")))
        assert desk.session.tally.summary()["errors"].keys() == {"CodecError"}
        assert not decoded
        desk.take(arrival(1, desk.good[1]))
        assert desk.session.tables.attempts.accepted == {1: 1}
    finally:
        desk.close()
