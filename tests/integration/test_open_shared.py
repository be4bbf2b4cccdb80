"""What gamers of an open pool tell each other, each with its own login."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from p2c2g.messaging import open_names
from p2c2g.messaging.client import redis_client
from p2c2g.peers.breaker import Change
from p2c2g.peers.health_words import Snapshot
from p2c2g.peers.open_shared import (
    MAX_BREAKERS,
    MAX_GAMERS,
    OpenBreakers,
    OpenHealth,
    OtherGamers,
    read,
)
from p2c2g.peers.trust import TrustSnapshot
from p2c2g.settings.principal import Principal, Role, account_mark
from tests.open_pool import OpenPool

ALICE, BOB, CAROL = "galice", "gbobby", "gcarol"


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[OpenPool]:
    with OpenPool("valkey", tmp_path) as opened:
        for gamer in (ALICE, BOB, CAROL):
            opened.join(Role.GAMER, gamer)
        yield opened
        assert opened.denials() == []


def of(pool: OpenPool, gamer: str) -> tuple[OpenBreakers, OpenHealth]:
    client = redis_client(pool.settings(pool.memberships[Principal(Role.GAMER, gamer)]))
    others = OtherGamers(client, gamer, random=Random(1))
    return OpenBreakers(client, gamer, others), OpenHealth(client, gamer, others)


def test_a_breaker_is_told_to_the_others_and_closed_again(pool: OpenPool) -> None:
    alice, bob = of(pool, ALICE)[0], of(pool, BOB)[0]
    told = alice.sync([Change("pattic", 50.0), Change("pcellar", 40.0)])
    assert told["pattic"].keys() == {ALICE}
    heard = bob.sync([])
    assert heard.keys() == {"pattic", "pcellar"}
    assert heard["pattic"][ALICE] == pytest.approx(50.0, abs=10.0)
    alice.sync([Change("pattic", 0.0)])
    assert bob.sync([]).keys() == {"pcellar"}


def test_two_sessions_of_one_gamer_do_not_undo_each_other(pool: OpenPool) -> None:
    one, other, bob = of(pool, ALICE)[0], of(pool, ALICE)[0], of(pool, BOB)[0]
    one.sync([Change("pattic", 9.0)])
    other.sync([])
    other.sync([Change("pcellar", 9.0)])
    assert bob.sync([]).keys() == {"pattic", "pcellar"}


@pytest.mark.parametrize(
    "word",
    [
        b"", b"{", b"[1]", b'{"pattic": "x"}', b'{"pattic": 1e400}', b'{"pattic": NaN}',
        b'{"p*": 5}', b'{"pattic": 1e300}', b"[" * 5000, b"{}" + b" " * MAX_BREAKERS,
        b'{"pattic": true}', ResourceWarning(),
    ],
)  # fmt: skip
def test_nonsense_is_no_word(word: object) -> None:
    assert read(word) in ({}, {"pattic": 1.0})


def test_a_liar_shuts_nobody_out_for_longer_than_any_breaker(pool: OpenPool) -> None:
    bob = of(pool, BOB)[0]
    pool.operator.set(open_names.breakers(ALICE), json.dumps({"pattic": 4e9}))
    assert bob.sync([]) == {}
    # One of another kind is no word either.
    pool.operator.delete(open_names.breakers(ALICE))
    pool.operator.zadd(open_names.breakers(ALICE), {"pattic": 1.0})
    pool.operator.lpush(open_names.health(ALICE), "x")
    assert bob.sync([]) == {}
    assert of(pool, BOB)[1].sync(Snapshot(), TrustSnapshot()).health == ()


def test_health_is_told_and_heard(pool: OpenPool) -> None:
    alice, bob = of(pool, ALICE)[1], of(pool, BOB)[1]
    alice.sync(Snapshot(), TrustSnapshot(peers={"pattic": (1, 0)}))
    assert [each.peers.keys() for each in bob.sync(Snapshot(), TrustSnapshot()).trust] == [
        {"pattic"}
    ]


def test_so_many_are_heard_and_others_in_time(pool: OpenPool) -> None:
    for number in range(3 * MAX_GAMERS):
        pool.operator.sadd(open_names.gamers(), f"gmany{number:03}")
    pool.operator.sadd(open_names.gamers(), "no*gamer")
    client = redis_client(pool.settings(pool.memberships[Principal(Role.GAMER, ALICE)]))
    now = [0.0]
    others = OtherGamers(client, ALICE, clock=lambda: now[0], random=Random(1))
    first = others.heard()
    assert len(first) == MAX_GAMERS
    assert ALICE not in first
    assert others.heard() == first
    now[0] = 31.0
    assert others.heard() != first


def test_an_account_of_many_gamers_is_one_voice_and_ones_own_none(pool: OpenPool) -> None:
    for number in range(3 * MAX_GAMERS):
        pool.operator.sadd(open_names.gamers(), f"gcrowded{number:03}")
    own = "gown0000x1"
    pool.join(Role.GAMER, own)
    pool.operator.sadd(open_names.gamers(), "gown0000x2")
    client = redis_client(pool.settings(pool.memberships[Principal(Role.GAMER, own)]))
    heard = OtherGamers(client, own, random=Random(1)).heard()
    assert {account_mark(each) for each in heard} == {"gcrowded", ALICE, BOB, CAROL}
    assert len(heard) == 4
