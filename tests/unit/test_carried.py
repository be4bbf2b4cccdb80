"""What a task's message may be: a chunk or an order, and whatever else is a WireError."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.errors import WireError
from p2c2g.media.frame import Rect, Size
from p2c2g.media.residual import Form
from p2c2g.media.wire import ChunkHeader
from p2c2g.messaging import names
from p2c2g.messaging.limits import MAX_BODY
from p2c2g_workers.carried import read

HEADER = ChunkHeader(
    session="s", frame=4, chunk=1, attempt=2, codec="jpeg", form=Form("jpeg", 75),
    operations="upscale:2", frame_size=Size(64, 64), padded=Rect(0, 0, 64, 64),
    crop=Rect(0, 0, 128, 128), budget_us=1000,
).pack()  # fmt: skip
CHUNK = [[HEADER, b"picture"], {}, {"callbacks": None, "errbacks": None, "chain": None}]
ORDER = f"{'0a' * 16}.1"
#: As Celery writes them.
HEADERS: dict[str, Any] = {
    "lang": "py", "task": names.ENHANCE_TASK, "id": "s.4.1", "shadow": None, "eta": None,
    "expires": None, "group": None, "group_index": None, "retries": 0, "timelimit": [None, None],
    "root_id": "s.4.1", "parent_id": None, "argsrepr": "<frame 4 chunk 1>", "kwargsrepr": "",
    "origin": "gen1@host", "ignore_result": False, "replaced_task_nesting": 0,
    "stamped_headers": None, "stamps": {},
}  # fmt: skip


def message(body: Any = CHUNK, **headers: Any) -> Any:
    """Return what is needed of kombu's message."""
    data = body if isinstance(body, bytes) else msgpack.packb(body)
    return SimpleNamespace(
        headers={**HEADERS, **headers},
        properties={"correlation_id": headers.get("id", HEADERS["id"])},
        content_type="application/x-msgpack",
        body=data,
    )


def test_what_our_session_sends_is_a_chunk_of_its_session() -> None:
    for queue in ("cpu", "gpu", names.own_queue("peer@host")):
        assert read(message(), queue) == (CHUNK, "s")
    assert read(message(redelivered=True), "cpu")[1] == "s"
    assert read(message([*CHUNK[:2], None]), "cpu")[1] == "s"


def test_an_order_to_train_has_a_queue_of_its_own() -> None:
    order = message([["{}", 1], {}, None], task=names.TRAIN_TASK, id=ORDER)
    assert read(order, names.TRAIN_QUEUE) == ([["{}", 1], {}, None], "")
    with pytest.raises(WireError, match=r"'p2c2g.train', where p2c2g.enhance is carried"):
        read(order, "cpu")
    with pytest.raises(WireError, match=r"'p2c2g.enhance', where p2c2g.train is carried"):
        read(message(), names.TRAIN_QUEUE)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], ORDER),
        (["{}", "1"], ORDER),
        (["{}", True], ORDER),
        ([b"{}", 1], ORDER),
        (["{}", 1, 2], ORDER),
        (["{}", 1], "s.4.1"),
        (["{}", 1], ORDER + "\n"),
        (["x" * 40_000, 1], ORDER),
    ],
)
def test_what_is_no_order_is_refused(arguments: list[Any], name: str) -> None:
    with pytest.raises(WireError):
        read(message([arguments, {}, {}], task=names.TRAIN_TASK, id=name), names.TRAIN_QUEUE)


@pytest.mark.parametrize(
    "body",
    [
        [[HEADER, bytes(MAX_BODY + 1)], {}, {}],
        [[HEADER, "picture"], {}, {}],
        [[HEADER, b"picture", 1], {}, {}],
        [[HEADER, b"picture"], {"x": 1}, {}],
        [[b"", b"picture"], {}, {}],
        [[HEADER, b"picture"], {}, {"link": None}],
        [[HEADER, b"picture"], {}, {"chord": {}}],
        [[HEADER, b"picture"], {}, {"chain": []}],
        [[HEADER, b"picture"], {}, []],
        [[HEADER, b"picture"], {}],
        {"args": [HEADER, b"picture"], "kwargs": {}},
        msgpack.packb(CHUNK)[:-1],
        msgpack.packb(CHUNK) + b"\0",
        msgpack.packb([[HEADER, msgpack.Timestamp(1)], {}, {}]),
        b"\xdd\x00\x20\x00\x00" * 100,
        b"\x91" * 5000,
        b"",
    ],
    ids=range(17),
)
def test_what_is_no_chunk_is_refused(body: Any) -> None:
    with pytest.raises(WireError):
        read(message(body), "cpu")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from([*HEADERS, "callbacks", "hostname", ""]), VALUES, VALUES)
def test_any_header_and_any_body_is_a_chunk_or_a_wire_error(
    name: str, value: Any, body: Any
) -> None:
    for told in (message(**{name: value}) if name else message(), message(body)):
        try:
            _, session = read(told, "cpu")
        except WireError:
            continue
        assert session == "s"


@given(st.binary(max_size=300))
def test_any_bytes_are_no_chunk(data: bytes) -> None:
    with pytest.raises(WireError):
        read(message(data), "cpu")
