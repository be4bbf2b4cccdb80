"""What a peer tells, as strangers may write it: bounds, bytes, and fields of the future."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from p2c2g.errors import WireError
from p2c2g.messaging.labels import MARKS
from p2c2g.peers.messages import (
    MAX_BEAT,
    MAX_ENROLMENT,
    Beat,
    Capabilities,
    Enrolment,
    Gpu,
    PeerState,
    parse,
)

KINDS: tuple[type[Enrolment] | type[Beat], ...] = (Enrolment, Beat)

names = st.text(
    st.characters(categories=["L", "Nd"], include_characters=MARKS), min_size=1, max_size=50
)
seconds = st.floats(0, 1e9)
counts = st.integers(0, 2**40)
rates = st.floats(0, 1e12)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)

capabilities = st.builds(
    Capabilities,
    cpu=texts,
    cores=st.integers(1, 4096),
    memory=counts,
    gpus=st.lists(
        st.builds(Gpu, name=texts, kind=st.sampled_from(["cuda", "opencl", "metal"])), max_size=2
    ).map(tuple),
    speeds=st.dictionaries(texts, rates, max_size=4),
    codecs=st.dictionaries(texts, rates, max_size=4),
    up=rates,
    down=rates,
    rtt=seconds,
    queues=st.lists(names, max_size=3).map(tuple),
    versions=st.dictionaries(texts, texts, max_size=3),
)
enrolments = st.builds(
    Enrolment,
    id=names,
    name=texts,
    region=texts,
    instance=names,
    slots=st.integers(1, 4096),
    queues=st.lists(names, max_size=3).map(tuple),
    interval=st.floats(0.1, 60),
    capabilities=capabilities,
)
beats = st.builds(
    Beat,
    instance=names,
    state=st.sampled_from(PeerState),
    load=st.floats(0, 1),
    in_flight=counts,
    served=counts,
    seconds_per_chunk=seconds,
    seconds_per_chunk_p95=seconds,
    rtt=seconds,
    uptime=seconds,
    reason=texts,
)


def enrolment(**changes: Any) -> bytes:
    return json.dumps({"id": "a@h", "instance": "i", **changes}).encode()


def beat(**changes: Any) -> bytes:
    return json.dumps({"instance": "i", "state": "ready", **changes}).encode()


@given(enrolments)
def test_an_enrolment_is_read_as_it_was_written(told: Enrolment) -> None:
    assert parse(Enrolment, told.model_dump_json().encode()) == told


@given(beats)
def test_a_beat_is_read_as_it_was_written(told: Beat) -> None:
    assert parse(Beat, told.model_dump_json().encode()) == told


@given(beats)
def test_a_beat_holds_its_instance_where_the_registry_looks_for_it(told: Beat) -> None:
    # The registry's script looks for this text; a name has no quote that JSON would escape.
    if '"' not in told.instance and "\\" not in told.instance:
        assert f'"instance":"{told.instance}"' in told.model_dump_json()


@given(st.sampled_from(KINDS), st.binary(max_size=300))
@example(Beat, b"")
@example(Enrolment, b"null")
@example(Beat, b"[" * 2000)
@example(Enrolment, b"\xff")
@example(Beat, b'{"v": 1}')
def test_any_bytes_are_read_or_refused_in_one_sentence(
    kind: type[Enrolment | Beat], data: bytes
) -> None:
    try:
        parse(kind, data)
    except WireError as error:
        sentence = str(error)
        assert sentence.startswith(f"a peer's {kind.__name__.lower()} cannot be read: ")
        assert sentence.endswith(".")
        assert "\n" not in sentence


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@given(
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from([*Enrolment.model_fields, *Beat.model_fields]), json_values),
)
def test_any_fields_are_read_within_their_bounds_or_refused(
    kind: type[Enrolment | Beat], fields: dict[str, Any]
) -> None:
    try:
        told = parse(kind, json.dumps(fields).encode())
    except WireError:
        return
    # What was read keeps to the bounds: it can be told again, and read again.
    assert parse(kind, told.model_dump_json().encode()) == told


@pytest.mark.parametrize(("kind", "most"), [(Enrolment, MAX_ENROLMENT), (Beat, MAX_BEAT)])
def test_what_is_too_long_is_refused_before_it_is_read(
    kind: type[Enrolment | Beat], most: int
) -> None:
    whole = enrolment() if kind is Enrolment else beat()
    assert parse(kind, whole.ljust(most)) == parse(kind, whole)
    with pytest.raises(WireError, match=rf"has {most + 1} bytes, where {most} are the most"):
        parse(kind, whole.ljust(most + 1))


@pytest.mark.parametrize(
    "field",
    [
        {"id": ""},
        {"id": "two words"},
        {"id": "a\x00b"},
        {"id": "x" * 201},
        {"instance": "\n"},
        {"name": "x" * 201},
        {"region": "x" * 65},
        {"slots": 0},
        {"slots": 4097},
        {"queues": ["cpu"] * 65},
        {"queues": ["two words"]},
        {"interval": 0.09},
        {"interval": 60.1},
        {"v": 1},
        {"capabilities": {"cores": 0}},
        {"capabilities": {"memory": -1}},
        {"capabilities": {"rtt": 1e300}},
        {"capabilities": {"gpus": [{"name": "x", "kind": "abacus"}]}},
        {"capabilities": {"speeds": {str(n): 1.0 for n in range(257)}}},
    ],
    ids=str,
)
def test_an_enrolment_beyond_a_bound_is_refused(field: dict[str, Any]) -> None:
    assert parse(Enrolment, enrolment()).id == "a@h"
    with pytest.raises(WireError, match=next(iter(field))):
        parse(Enrolment, enrolment(**field))


@pytest.mark.parametrize(
    "field",
    [
        {"state": "dancing"},
        {"load": 1.01},
        {"load": -0.01},
        {"in_flight": -1},
        {"served": 2**40 + 1},
        {"seconds_per_chunk": -1},
        {"seconds_per_chunk_p95": 1.1e9},
        {"rtt": "far"},
        {"uptime": None},
        {"reason": "x" * 201},
        {"v": 0},
    ],
    ids=str,
)
def test_a_beat_beyond_a_bound_is_refused(field: dict[str, Any]) -> None:
    assert parse(Beat, beat()).state is PeerState.READY
    with pytest.raises(WireError, match=next(iter(field))):
        parse(Beat, beat(**field))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(WireError, match="rtt"):
        parse(Beat, beat().replace(b"}", f', "rtt": {number}}}'.encode()))


def test_fields_of_a_newer_peer_are_not_heard() -> None:
    told = parse(Beat, beat(mood="merry"))
    assert "mood" not in told.model_dump()


def test_what_was_told_stays_as_it_is() -> None:
    told = parse(Beat, beat())
    with pytest.raises(ValidationError, match="frozen"):
        told.load = 0.5
