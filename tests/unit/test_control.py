"""What remote control heeds: a command, and those who may wait for its answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.errors import WireError
from p2c2g.messaging.control import check

METHODS, PLACE = {"ping", "drain"}, "reply.celery.pidbox"
ASKER = "45cf10ce-0b4c-485f-acb8-4128048a964f"
WORDS = ["method", "arguments", "destination", "pattern", "matcher", "ticket", "reply_to"]


def asks(*, clock: object = 1, **body: Any) -> None:
    check({"method": "ping", **body}, clock, METHODS, PLACE)


def test_what_celery_asks_is_let_pass() -> None:
    asks(arguments={}, destination=None, pattern=None, matcher=None)
    asks(
        method="drain", arguments={"by": "me"}, destination=["cpu@host"], ticket=ASKER,
        reply_to={"exchange": PLACE, "routing_key": ASKER}, clock=None,
    )  # fmt: skip
    asks(pattern="cpu*@host", matcher="glob")


@pytest.mark.parametrize(
    "body",
    [
        {"method": "eval"},
        {"method": None},
        {"method": ["ping"]},
        {"arguments": []},
        {"destination": "cpu@host"},
        {"destination": [7]},
        {"destination": ["a"] * 2000},
        {"pattern": "(a+)+$", "matcher": "pcre"},
        {"pattern": "x" * 300, "matcher": "glob"},
        {"ticket": "x" * 300},
        {"ticket": 7},
        {"reply_to": "somebody"},
        {"reply_to": {}},
        {"reply_to": {"exchange": "", "routing_key": ASKER}},
        {"reply_to": {"exchange": PLACE, "routing_key": "cpu"}},
        {"reply_to": {"exchange": PLACE, "routing_key": ASKER, "more": 1}},
        {"clock": -1},
        {"clock": 1 << 60},
        {"clock": "1"},
        {"clock": True},
        {"callback": None},
    ],
)
def test_what_asks_for_more_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        asks(**body)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(ANY | st.dictionaries(st.sampled_from([*WORDS, "more"]), ANY), ANY)
def test_anything_is_a_command_or_a_wire_error(body: Any, clock: Any) -> None:
    try:
        check(body, clock, METHODS, PLACE)
    except WireError:
        return
    assert body["method"] in METHODS
