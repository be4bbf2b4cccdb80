"""What players send: read as it was written, and nothing else."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g_capture.input.events import (
    KEYS,
    MOST,
    SIZE,
    BadEventError,
    Event,
    Kind,
    pack,
    unpack,
)
from p2c2g_capture.input.keys import MACOS, NUMBERS, scan_code

STATIC = files("p2c2g.display") / "static"
GOOD = [
    Event(Kind.KEY_DOWN, 17),
    Event(Kind.KEY_UP, KEYS),
    Event(Kind.BUTTON_DOWN, 4),
    Event(Kind.BUTTON_UP),
    Event(Kind.MOVE_TO, x=1.0, y=0.25),
    Event(Kind.MOVE_BY, x=-4096, y=0.5),
    Event(Kind.WHEEL, y=-1.5),
    Event(Kind.PAD_BUTTON, 16, x=0.5, pad=3),
    Event(Kind.PAD_AXIS, 3, x=-1.0, pad=1),
    Event(Kind.RELEASE, sequence=2**32 - 1),
    Event(Kind.BEAT, at=12345.678),
]


def test_what_was_written_is_read():
    assert unpack(pack(GOOD)) == GOOD


@pytest.mark.parametrize(
    "wrong",
    [
        replace(GOOD[0], number=0),
        replace(GOOD[0], number=KEYS + 1),
        replace(GOOD[0], x=0.5),
        replace(GOOD[0], pad=1),
        replace(GOOD[0], at=-1.0),
        replace(GOOD[0], at=math.nan),
        replace(GOOD[0], at=math.inf),
        replace(GOOD[2], number=5),
        replace(GOOD[4], x=1.5),
        replace(GOOD[4], y=-0.5),
        replace(GOOD[4], x=math.nan),
        replace(GOOD[5], x=5000.0),
        replace(GOOD[5], y=math.inf),
        replace(GOOD[6], y=101.0),
        replace(GOOD[7], number=17),
        replace(GOOD[7], x=-0.5),
        replace(GOOD[7], pad=4),
        replace(GOOD[8], number=4),
        replace(GOOD[8], y=0.5),
        replace(GOOD[9], x=1.0),
        replace(GOOD[10], number=1),
    ],
)
def test_what_no_browser_sends_is_refused(wrong):
    with pytest.raises(BadEventError):
        unpack(pack([GOOD[0], wrong]))


@pytest.mark.parametrize("size", [0, 1, SIZE - 1, SIZE + 1, (MOST + 1) * SIZE])
def test_a_message_has_whole_events_and_no_more_than_fit(size):
    with pytest.raises(BadEventError, match="bytes"):
        unpack(bytes(size))


@given(st.binary(max_size=3 * SIZE))
def test_any_bytes_are_events_in_bounds_or_an_error_of_ours(data):
    try:
        events = unpack(data)
    except BadEventError:
        return
    assert pack(events) == data


def test_there_is_no_other_kind():
    for kind in (0, 12, 255):
        with pytest.raises(BadEventError, match=str(kind)):
            unpack(struct.pack("<BBHIdff", kind, 0, 0, 1, 0.0, 0.0, 0.0))


def test_the_page_has_the_same_keys_and_kinds():
    keys = (STATIC / "input_keys.js").read_text()
    assert {name: int(number) for name, number in re.findall(r"(\w+): (\d+)", keys)} == NUMBERS
    wire = (STATIC / "input_wire.js").read_text()
    kinds = re.search(r"KIND = \{(.*?)\}", wire, re.DOTALL)
    assert kinds is not None
    page = {name.lower(): int(kind) for name, kind in re.findall(r"(\w+): (\d+)", kinds[1])}
    assert page == {kind.name.lower().replace("_", ""): int(kind) for kind in Kind}


def test_a_key_has_one_number_on_each_system():
    assert len(set(NUMBERS.values())) == len(NUMBERS)
    assert len(set(MACOS.values())) == len(MACOS)
    codes = [code for number in NUMBERS.values() if (code := scan_code(number)) is not None]
    assert len(set(codes)) == len(codes)
    # Where keyboards agree, of which layout ever.
    assert [scan_code(NUMBERS[name]) for name in ("KeyQ", "ArrowUp", "F12")] == [16, 0xE048, 88]
