"""The envelope: what goes in comes out, and nothing else than a WireError for the rest."""

from __future__ import annotations

import json
import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.transport.virtual import Channel, Message

from p2c2g.errors import WireError
from p2c2g.messaging import envelope
from p2c2g.messaging.envelope import check, is_envelope, pack, unpack
from p2c2g.messaging.limits import MAX_BODY, MAX_HEAD

PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.binary()
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
NAMES = st.text(max_size=20)
PAYLOADS = st.fixed_dictionaries(
    {
        "body": st.binary(max_size=400),
        "content-type": st.sampled_from([None, "application/x-msgpack", "application/json"]),
        "content-encoding": st.sampled_from([None, "binary", "utf-8"]),
        "headers": st.dictionaries(
            st.text().filter(lambda name: name != "compression"), VALUES, max_size=4
        ),
        "properties": st.fixed_dictionaries(
            {
                "delivery_tag": NAMES,
                "delivery_info": st.fixed_dictionaries({"exchange": NAMES, "routing_key": NAMES}),
                "body_encoding": st.none(),
                "reply_to": NAMES,
            }
        ),
    }
)


def payload(**changes: Any) -> dict[str, Any]:
    return {
        "body": b"picture",
        "content-type": "application/x-msgpack",
        "content-encoding": "binary",
        "headers": {"task": "p2c2g.enhance"},
        "properties": {
            "delivery_tag": "1",
            "delivery_info": {"exchange": "", "routing_key": "cpu"},
            "body_encoding": None,
        },
    } | changes


def properties(**changes: Any) -> dict[str, Any]:
    return {"properties": payload()["properties"] | changes}


@given(PAYLOADS)
def test_a_message_comes_out_as_it_went_in(message: dict[str, Any]) -> None:
    data = pack(message)
    assert is_envelope(data)
    assert unpack(data) == message


def test_the_body_travels_as_it_is_and_costs_little() -> None:
    body = bytes(range(256)) * 400
    data = pack(payload(body=body))
    assert data.endswith(body)
    assert len(data) - len(body) < 300


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_wire_error(tail: bytes) -> None:
    for data in (tail, envelope.MAGIC + tail, struct.pack(">4sBI", b"P2CG", 1, len(tail)) + tail):
        refused_or_deliverable(data)


@given(PAYLOADS, st.data())
def test_a_message_cut_short_within_its_head_is_refused(
    message: dict[str, Any], draw: st.DataObject
) -> None:
    data = pack(message)
    head = len(data) - len(message["body"])
    with pytest.raises(WireError):
        unpack(data[: draw.draw(st.integers(0, head - 1))])


@given(PAYLOADS, st.data())
def test_flipped_bits_are_a_message_or_a_wire_error(
    message: dict[str, Any], draw: st.DataObject
) -> None:
    data = bytearray(pack(message))
    for _ in range(draw.draw(st.integers(1, 4))):
        bit = draw.draw(st.integers(0, len(data) * 8 - 1))
        data[bit // 8] ^= 1 << bit % 8
    refused_or_deliverable(bytes(data))


HEADS = st.lists(
    st.none() | NAMES | PAYLOADS.map(lambda message: message["properties"]) | VALUES, max_size=5
)


@given(HEADS, st.binary(max_size=20))
def test_any_head_is_a_message_or_a_wire_error(head: list[Any], body: bytes) -> None:
    packed = msgpack.packb(head)
    refused_or_deliverable(struct.pack(">4sBI", b"P2CG", 1, len(packed)) + packed + body)


def refused_or_deliverable(data: bytes) -> None:
    """Have kombu make its message of what is let pass; it must not raise."""
    try:
        message = unpack(data)
    except WireError:
        return
    delivered: Any = Message(message, channel=Codecs())  # type: ignore[no-untyped-call]
    assert delivered.body == message["body"]
    assert not delivered.errors


class Codecs:
    """The one thing of a channel that a message asks for."""

    codecs = Channel.codecs
    decode_body = Channel.decode_body


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_refused_by_its_number(version: int) -> None:
    data = bytearray(pack(payload()))
    data[4] = version
    with pytest.raises(WireError, match=rf"version {version}; this side speaks version 1"):
        unpack(bytes(data))
    assert is_envelope(bytes(data))


def test_a_head_longer_than_its_message_or_than_any_is_refused() -> None:
    for length in (1, MAX_HEAD + 1, 2**32 - 1):
        with pytest.raises(WireError, match="does not fit its message"):
            unpack(struct.pack(">4sBI", b"P2CG", 1, length))
    too_long = struct.pack(">4sBI", b"P2CG", 1, MAX_HEAD + 1) + bytes(MAX_HEAD + 1)
    with pytest.raises(WireError, match="does not fit its message"):
        unpack(too_long)


def test_headers_that_no_reader_takes_are_not_written() -> None:
    with pytest.raises(WireError, match=f"at most {MAX_HEAD} are allowed"):
        pack(payload(headers={"big": bytes(MAX_HEAD)}))


def test_a_body_longer_than_any_is_neither_written_nor_read() -> None:
    data = pack(payload(body=bytes(MAX_BODY)))
    with pytest.raises(WireError, match=f"at most {MAX_BODY} are allowed: send smaller chunks"):
        pack(payload(body=bytes(MAX_BODY + MAX_HEAD + 1)))
    with pytest.raises(WireError, match="send smaller chunks"):
        unpack(data + bytes(MAX_HEAD + 1))


def test_json_of_a_stock_kombu_is_no_envelope() -> None:
    assert not is_envelope(json.dumps(payload(body="")).encode())
    assert not is_envelope(b"")
    with pytest.raises(WireError, match="is not a P2C2G envelope"):
        unpack(b"{}")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"headers": None}, "headers"),
        ({"headers": []}, "headers"),
        ({"properties": "x"}, "properties"),
        ({"content-type": 5}, "content-type"),
        ({"content-encoding": []}, "content-encoding"),
        ({"body": None}, "body"),
        (properties(delivery_tag=None), "delivery tag"),
        (properties(delivery_info=[]), "routing key"),
        (properties(delivery_info={"exchange": ""}), "routing key"),
        (properties(delivery_info={"routing_key": "cpu"}), "exchange"),
        (properties(body_encoding="rot13"), "encoding"),
        (properties(body_encoding=["base64"]), "encoding"),
        (properties(body_encoding="base64"), "encoding"),
        ({"headers": {"compression": "application/x-bz2"}}, "compressed"),
        ({"headers": {"compression": None}}, "compressed"),
        ({"content-type": "application/x-python-serialize"}, "content-type"),
        ({"content-encoding": "utf-7"}, "content-encoding"),
        (properties(expiration="1"), "expiration"),
        (properties(reply_to="x" * 300), "reply_to"),
        (properties(priority="9"), "priority"),
        (properties(delivery_info={"exchange": "", "routing_key": "", "x": 1}), "'x'"),
        ({"body": "é"} | properties(body_encoding="base64"), "not base64"),
        ({"body": "abc"} | properties(body_encoding="base64"), "not base64"),
    ],
)
def test_what_kombu_could_not_deliver_is_refused_by_name(
    changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(WireError, match=named):
        check(payload(**changes))


def test_what_stock_kombu_writes_is_let_pass() -> None:
    check(payload(body="aGVsbG8=") | properties(body_encoding="base64"))
    check(payload(body="{}", **properties(body_encoding="utf-8")))
    check(payload(**{"content-type": None, "content-encoding": None}))


@pytest.mark.parametrize("message", [None, [], "text", 7])
def test_what_is_no_mapping_is_refused(message: object) -> None:
    with pytest.raises(WireError, match="not a mapping"):
        check(message)
