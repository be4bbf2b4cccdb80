"""Names and rules of an open pool: who may touch what."""

from __future__ import annotations

import fnmatch
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from p2c2g.errors import UsageError
from p2c2g.messaging import acl, names, open_names
from p2c2g.messaging.recalling import RecallingChannel
from p2c2g.settings.principal import Principal, Role, is_principal_id

ATTIC, CELLAR = "pattic", "pcellar"
ALICE, BOB = "galice", "gbobby"


def reaches(principal: Principal, key: str) -> str:
    """Return how a principal reaches a key: ``rw``, ``r``, ``w`` or nothing."""
    found = ""
    for rule in " ".join(acl.rules(principal)).replace("(", " ").replace(")", " ").split():
        kind, _, pattern = rule.partition("~")
        if pattern and fnmatch.fnmatchcase(key, pattern):
            found += {"": "rw", "%R": "r", "%W": "w"}[kind]
    return "".join(sorted(set(found)))


@pytest.mark.parametrize(
    ("key", "attic", "alice"),
    [
        (names.queue_key(open_names.chunks_queue(ATTIC, ALICE)), "rw", "rw"),
        (names.queue_key(open_names.chunks_queue(ATTIC, BOB)), "rw", ""),
        (names.queue_key(open_names.chunks_queue(CELLAR, ALICE)), "", "rw"),
        (open_names.results(ATTIC, ALICE, "s1"), "w", "rw"),
        (open_names.results(CELLAR, ALICE, "s1"), "", "rw"),
        (open_names.results(CELLAR, BOB, "s1"), "", ""),
        (open_names.enrolment(ATTIC), "rw", "r"),
        (open_names.beat(CELLAR), "", "r"),
        (names.queue_key(open_names.recall_queue(ATTIC, "r")), "rw", ""),
        (open_names.measurement(CELLAR, "t"), "", ""),
        (open_names.health(ALICE), "", "rw"),
        (open_names.health(BOB), "", "r"),
        (open_names.breakers(BOB), "", "r"),
        (open_names.gamer_blob(BOB, "h"), "r", ""),
        (open_names.wake(ALICE, "s", 0), "", "rw"),
        (open_names.peers(), "", "r"),
        (open_names.gamers(), "", "r"),
        (open_names.standing(ATTIC), "r", "r"),
        (open_names.standing(CELLAR), "", "r"),
        (names.peers(), "", ""),
        (names.beat(ATTIC), "", ""),
        (names.queue_key("cpu"), "", ""),
    ],
)
def test_who_reaches_what(key: str, attic: str, alice: str) -> None:
    assert reaches(Principal(Role.PEER, ATTIC), key) == attic
    assert reaches(Principal(Role.GAMER, ALICE), key) == alice


def test_an_id_that_is_the_beginning_of_another_reaches_nothing_of_it() -> None:
    shorter = Principal(Role.GAMER, "galice")
    for key in (open_names.results(ATTIC, "galice2", "s1"), open_names.health("galice2")):
        assert reaches(shorter, key) in ("", "r")


def test_a_sender_is_read_from_where_it_came() -> None:
    for peer, gamer in product((ATTIC, CELLAR), (ALICE, BOB)):
        assert open_names.sender_of(open_names.chunks_queue(peer, gamer)) == gamer
        assert open_names.result_sender(open_names.results(peer, gamer, "s1")) == peer
    for other in ("cpu", "p:x:own:recall.y", "p:x:in", "p:x:in:y:z"):
        assert open_names.sender_of(other) == ""


@pytest.mark.parametrize(
    "bad", ["", "abc", "Attic1", "a*b123", "a:b123", "attic.1", "1attic", "a" * 33, "attic\n"]
)
def test_an_id_holds_nothing_that_a_pattern_or_a_key_could_read(bad: str) -> None:
    assert not is_principal_id(bad)
    with pytest.raises(UsageError, match="small letters and digits"):
        Principal(Role.PEER, bad)


def test_a_chunk_of_an_open_pool_is_not_handed_back_and_any_other_is() -> None:
    """A peer cannot write there: its session sends the chunk elsewhere."""
    channel: Any = SimpleNamespace(traffic=0, asked=[])
    channel._ask = lambda commands, _: channel.asked.extend(commands)
    own = names.own_queue("cpu1@host")
    items = [(open_names.chunks_queue(ATTIC, ALICE), b"chunk"), (own, b"task")]
    RecallingChannel.hand_back(channel, items)
    assert channel.asked == [("RPUSH", own, b"task")]
    RecallingChannel.hand_back(channel, items[:1])
    assert len(channel.asked) == 1
