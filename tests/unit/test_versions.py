"""Whose version is another: what peers say of it, and what is believed of those that do not."""

from __future__ import annotations

import json

import pytest

from p2c2g.peers.messages import VERSION, Enrolment
from p2c2g.peers.versions import left_out, other_version, spoken

OURS = Enrolment(id="a@b", instance="i", speaks=spoken())


def told(**changes: object) -> bytes:
    return json.dumps(OURS.model_dump(mode="json") | changes).encode()


@pytest.mark.parametrize(
    "enrolment",
    [
        told(),
        told(speaks=""),
        told(speaks=["9"]),
        told(speaks="\x1b[2J"),
        told(v=True, speaks=""),
        told(v="3", speaks=""),
        told(v=-1, speaks=""),
        b"",
        b"[]",
        b"\xff",
        b"[" * 10_000,
        b'{"v": 3}' + b" " * 20_000,
    ],
)
def test_ours_and_nonsense_are_of_no_other_version(enrolment: bytes) -> None:
    assert other_version(enrolment) == ""


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({"speaks": "9.1.2"}, "9.1.2"),
        ({"v": VERSION + 1, "speaks": "9.1.3"}, "9.1.3"),
        ({"v": VERSION + 1}, f"?.?.{VERSION + 1}"),
        ({"v": 1, "speaks": ""}, "?.?.1"),
    ],
)
def test_what_another_speaks_is_named(changes: dict[str, object], version: str) -> None:
    assert other_version(told(**changes)) == version
    assert f"it speaks {version}, this side {spoken()}" in left_out("a@b", version)
