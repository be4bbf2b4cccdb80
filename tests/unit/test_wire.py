"""The headers: a round trip for what is sound, a WireError for everything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.errors import WireError
from p2c2g.media.frame import MAX_EDGE, Rect, Size
from p2c2g.media.residual import MAX_GAIN, USUAL_FORM, Form
from p2c2g.media.wire import VERSION, ChunkHeader, ResultHeader

Header = ChunkHeader | ResultHeader
UNPACK: list[Callable[[bytes], Header]] = [ChunkHeader.unpack, ResultHeader.unpack]

TEXTS = st.text(max_size=512)
EDGES = st.integers(1, MAX_EDGE)
COUNTS = st.integers(0, 2**53)


@st.composite
def rects(draw: st.DrawFn, within: Size) -> Rect:
    x, y = draw(st.integers(0, within.width - 1)), draw(st.integers(0, within.height - 1))
    return Rect(
        x, y, draw(st.integers(1, within.width - x)), draw(st.integers(1, within.height - y))
    )


FORMS = st.builds(
    Form, st.sampled_from(["jpeg", "webp", "avif"]), st.integers(1, 100), st.integers(1, MAX_GAIN),
    st.booleans(),
) | st.builds(Form, st.sampled_from(["png", "raw"]), st.integers(1, 100))  # fmt: skip


@st.composite
def chunk_headers(draw: st.DrawFn) -> ChunkHeader:
    size = Size(draw(EDGES), draw(EDGES))
    return ChunkHeader(
        session=draw(TEXTS),
        frame=draw(COUNTS),
        chunk=draw(st.integers(0, 65_535)),
        attempt=draw(st.integers(1, 255)),
        codec=draw(TEXTS),
        form=draw(FORMS),
        operations=draw(TEXTS),
        frame_size=size,
        padded=draw(rects(size)),
        crop=draw(rects(Size(MAX_EDGE, MAX_EDGE))),
        budget_us=draw(COUNTS),
    )


@st.composite
def result_headers(draw: st.DrawFn) -> ResultHeader:
    times = sorted(draw(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS)))
    return ResultHeader(
        frame=draw(COUNTS),
        chunk=draw(st.integers(0, 65_535)),
        attempt=draw(st.integers(1, 255)),
        peer=draw(TEXTS),
        started_us=times[0],
        decode_us=times[1] - times[0],
        process_us=times[2] - times[1],
        done_us=times[3],
        ran=draw(TEXTS),
        waited_us=draw(st.integers(0, times[0])),
        idle_us=draw(st.integers(0, times[0])),
    )


CHUNK = ChunkHeader(
    session="5f1c", frame=7, chunk=2, attempt=1, codec="jpeg", form=USUAL_FORM,
    operations="upscale:2", frame_size=Size(640, 360), padded=Rect(0, 100, 328, 96),
    crop=Rect(0, 16, 640, 160), budget_us=95_000,
)  # fmt: skip
RESULT = ResultHeader(
    frame=7, chunk=2, attempt=1, peer="gpu@host",
    started_us=1_000, decode_us=10, process_us=20, done_us=1_040, waited_us=7, idle_us=1_000,
)  # fmt: skip
HEADERS = chunk_headers() | result_headers()


@given(HEADERS)
def test_a_header_comes_out_as_it_went_in(header: Header) -> None:
    assert type(header).unpack(header.pack()) == header


@given(st.binary(max_size=200), st.sampled_from(UNPACK))
def test_any_bytes_are_a_header_or_a_wire_error(
    data: bytes, unpack: Callable[[bytes], Header]
) -> None:
    sound_or_refused(unpack, data)
    sound_or_refused(unpack, bytes([0x90 + 12, VERSION]) + data)  # of this version


@given(HEADERS, st.data())
def test_a_header_cut_short_or_too_long_is_refused(header: Header, data: st.DataObject) -> None:
    packed = header.pack()
    with pytest.raises(WireError, match="cannot be read"):
        type(header).unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])
    with pytest.raises(WireError, match=r"cannot be read|must be at most"):
        type(header).unpack(packed + data.draw(st.binary(min_size=1, max_size=5)))


@given(HEADERS, st.data())
def test_flipped_bits_are_a_header_or_a_wire_error(header: Header, data: st.DataObject) -> None:
    packed = bytearray(header.pack())
    for _ in range(data.draw(st.integers(1, 4))):
        bit = data.draw(st.integers(0, len(packed) * 8 - 1))
        packed[bit // 8] ^= 1 << bit % 8
    sound_or_refused(type(header).unpack, bytes(packed))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXTS
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)  # fmt: skip


@given(HEADERS, st.data())
def test_any_value_in_any_field_is_a_header_or_a_wire_error(
    header: Header, data: st.DataObject
) -> None:
    fields = msgpack.unpackb(header.pack())
    fields[data.draw(st.integers(0, len(fields) - 1))] = data.draw(ANYTHING)
    sound_or_refused(type(header).unpack, msgpack.packb(fields))


def sound_or_refused(unpack: Callable[[bytes], Header], data: bytes) -> None:
    try:
        header = unpack(data)
    except WireError:
        return
    assert unpack(header.pack()) == header
    assert 1 <= header.attempt <= 255
    if isinstance(header, ChunkHeader):
        assert header.padded.right <= header.frame_size.width <= MAX_EDGE
        assert header.padded.bottom <= header.frame_size.height <= MAX_EDGE
        assert 1 <= header.form.quality <= 100
    else:
        assert header.decode_us + header.process_us <= header.done_us - header.started_us
        assert max(header.waited_us, header.idle_us) <= header.started_us


def changed(header: Header, index: int, value: Any) -> bytes:
    fields = msgpack.unpackb(header.pack())
    fields[index] = value
    packed: bytes = msgpack.packb(fields)
    return packed


@pytest.mark.parametrize("header", [CHUNK, RESULT])
@pytest.mark.parametrize(
    ("version", "named"), [(4, "4"), (6, "6"), (True, "a bool"), (1.0, "a float"), ("1", "a str")]
)
def test_another_version_is_refused_by_name(header: Header, version: object, named: str) -> None:
    with pytest.raises(WireError, match=f"is of version {named}; this side speaks version 5"):
        type(header).unpack(changed(header, 0, version))


@pytest.mark.parametrize(
    ("index", "value", "sentence"),
    [
        (1, "x" * 513, "a text of 513 letters, where at most 512 are allowed"),
        (1, b"bytes", "a bytes in place of text"),
        (2, -1, "-1 in place of a whole number from 0"),
        (2, 2**53 + 1, "in place of a whole number from 0 to 9007199254740992"),
        (2, True, "a bool in place of a whole number"),
        (3, 65_536, "65536 in place of a whole number from 0 to 65535"),
        (4, 0, "0 in place of a whole number from 1 to 255"),
        (6, ["jpeg", 0, 1, 0], "0 in place of a whole number from 1 to 100"),
        (6, ["jpeg", 101, 1, 0], "101 in place of a whole number from 1 to 100"),
        (6, ["jpeg", 75, 9, 0], "9 in place of a whole number from 1 to 8"),
        (6, ["jpeg", 75, 1, 2], "2 in place of a whole number from 0 to 1"),
        (6, ["jpeg", 75, True, 0], "a bool in place of a whole number"),
        (6, ["raw", 75, 2, 0], "asks for what cannot be: A gain of 2 cannot be"),
        (6, ["gif", 75, 1, 0], "asks for what cannot be: 'gif' is not a codec"),
        (6, [75, 75, 1, 0], "75 in place of text"),
        (6, ["jpeg", 75, 1], "lacks the four values of a residual's form"),
        (8, [0, 360], "0 in place of a whole number from 1 to 16384"),
        (8, [16_385, 360], "16385 in place of"),
        (8, [640], "lacks a list of 2 numbers"),
        (9, [0, 0, 0, 10], "an empty rectangle"),
        (9, [600, 0, 41, 10], "lies outside its frame"),
        (9, [0, 350, 10, 11], "lies outside its frame"),
        (10, [0, 0, 1.5, 1], "a float in place of a whole number"),
    ],
)
def test_a_chunk_header_out_of_bounds_is_refused_in_a_sentence(
    index: int, value: object, sentence: str
) -> None:
    with pytest.raises(WireError, match=sentence):
        ChunkHeader.unpack(changed(CHUNK, index, value))


@pytest.mark.parametrize(
    "header",
    [
        replace(RESULT, done_us=999),
        replace(RESULT, done_us=1_029),
        replace(RESULT, decode_us=2**53),
        replace(RESULT, process_us=31),
    ],
)
def test_a_result_whose_times_cannot_be_is_refused(header: ResultHeader) -> None:
    with pytest.raises(WireError, match="spans do not fit"):
        ResultHeader.unpack(header.pack())


@pytest.mark.parametrize("change", [{"waited_us": 1_001}, {"idle_us": 1_001}])
def test_a_result_that_waited_before_its_clock_began_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(WireError, match="before its clock did"):
        ResultHeader.unpack(replace(RESULT, **change).pack())


@pytest.mark.parametrize("header", [CHUNK, RESULT])
@pytest.mark.parametrize("index", range(12))
def test_lists_a_thousand_deep_are_refused_like_all_else(header: Header, index: int) -> None:
    fields = [msgpack.packb(field) for field in msgpack.unpackb(header.pack())]
    fields[index] = b"\x91" * 1020 + b"\x90"
    with pytest.raises(WireError):
        type(header).unpack(bytes([0x90 + len(fields)]) + b"".join(fields))


@pytest.mark.parametrize("unpack", UNPACK)
def test_too_many_bytes_are_not_even_read(unpack: Callable[[bytes], Header]) -> None:
    with pytest.raises(WireError, match="at most 8192 bytes"):
        unpack(b"\xc1" * 8193)


@pytest.mark.parametrize("unpack", UNPACK)
@pytest.mark.parametrize("value", [[], {}, 7, [VERSION], [VERSION, 1, 2]])
def test_other_messages_are_refused(unpack: Callable[[bytes], Header], value: object) -> None:
    with pytest.raises(WireError, match=r"not a list|fields in place of 12"):
        unpack(msgpack.packb(value))


def test_a_result_cuts_long_texts_and_mends_half_letters() -> None:
    long = "\N{VIDEO GAME}" * 600
    header = ResultHeader.unpack(replace(RESULT, peer=long, ran=long).pack())
    assert header == replace(RESULT, peer=long[:512], ran=long[:512])
    assert ResultHeader.unpack(replace(RESULT, peer="a\udc80b").pack()).peer == "a?b"


def test_a_chunk_is_named_by_its_numbers() -> None:
    assert str(CHUNK) == "chunk 2 of frame 7, attempt 1"
