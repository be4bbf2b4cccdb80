"""Who fills the broker, and whose keys nobody needs any more: decided without a broker."""

from __future__ import annotations

import json

import pytest

from p2c2g.coordinator.janitor import Flood, Janitor, Limits, blamed, printable
from p2c2g.messaging import names, open_names
from p2c2g.messaging.rights import Fill, Held
from p2c2g.settings.principal import Principal, Role

ATTIC, ALICE = Principal(Role.PEER, "pattic"), Principal(Role.GAMER, "galice")
LIMITS = Limits(
    peer_bytes=1_000, peer_keys=10, gamer_bytes=2_000, gamer_keys=20, calm_bytes=100, calm_keys=5
)
IN = names.queue_key(open_names.chunks_queue(ATTIC.id, ALICE.id))
OUT = open_names.results(ATTIC.id, ALICE.id, "s1")
PEERS, GAMERS = {"pattic"}, {"galice"}


def saw(janitor: Janitor, *held: Held, now: float = 0.0) -> tuple[Flood, ...]:
    """Return who floods, where all are here who could be."""
    seen = janitor.saw(held, PEERS, GAMERS, now)
    assert not seen.left
    return seen.floods


@pytest.mark.parametrize(
    ("key", "whose"),
    [
        (IN, ALICE),
        (OUT, ATTIC),
        (open_names.enrolment(ATTIC.id), ATTIC),
        (open_names.beat(ATTIC.id), ATTIC),
        (names.queue_key(open_names.recall_queue(ATTIC.id, "r")), ATTIC),
        (open_names.measurement(ATTIC.id, "t"), ATTIC),
        (open_names.health(ALICE.id), ALICE),
        (open_names.breakers(ALICE.id), ALICE),
        (open_names.wake(ALICE.id, "s1", 0), ALICE),
        (open_names.gamer_blob(ALICE.id, "h"), ALICE),
        (names.queue_key("p:pattic:in:ALICE"), None),  # no gamer can write it
        (open_names.standing(ATTIC.id), None),
        (open_names.peers(), None),
        (names.queue_key("cpu"), None),
        (names.peers(), None),
        (f"{names.celerys()}p:", None),
        (f"{names.celerys()}g:*:x", None),
        ("", None),
    ],
)
def test_each_key_grows_by_one_principal(key: str, whose: Principal | None) -> None:
    assert blamed(key) == whose


def test_who_has_too_many_bytes_is_named_once_with_what_shows_it() -> None:
    janitor = Janitor(LIMITS)
    assert not saw(janitor, Held(OUT, 600), Held(IN, 600))
    (flood,) = saw(janitor, Held(open_names.beat(ATTIC.id), 401))
    assert flood.principal == ATTIC
    assert flood.bytes == 1_001
    assert [held.key for held in flood.largest] == [OUT, open_names.beat(ATTIC.id)]
    assert not saw(janitor, Held(OUT, 5_000))
    janitor.swept()
    assert not saw(janitor, Held(OUT, 999))
    assert saw(janitor, Held(IN, 2_001))[0].principal == ALICE


def test_who_has_too_many_keys_is_named() -> None:
    many = [Held(open_names.measurement(ATTIC.id, f"{number}"), number) for number in range(11)]
    (flood,) = saw(Janitor(LIMITS), *many)
    assert flood.keys == 11
    assert "11 keys, and 10 are allowed" in flood.reason


def test_evidence_is_short_printable_and_json() -> None:
    key = open_names.measurement(ATTIC.id, "\x1b[2J" + "x" * 5_000 + "\udcff")
    (flood,) = saw(Janitor(LIMITS), Held(key, 1_000), Held(key, 9))
    text = json.dumps(flood.evidence())
    assert len(text) < 2_000
    assert text.isascii()
    assert "\x1b" not in printable(key)
    assert flood.evidence()["allowed_bytes"] == 1_000


def test_a_sweep_is_a_quick_one_where_the_broker_fills_up() -> None:
    janitor = Janitor(LIMITS)
    assert not janitor.hurries(Fill(200, 0, 20))
    assert not janitor.hurries(Fill(300, 0, 25))
    assert janitor.hurries(Fill(301, 0, 20))
    assert janitor.hurries(Fill(200, 0, 26))
    janitor.swept()
    assert not janitor.hurries(Fill(301, 0, 26))
    # A large pool comes and goes more.
    janitor.swept()
    assert not janitor.hurries(Fill(8_000, 0, 800))
    assert not janitor.hurries(Fill(9_000, 0, 900))
    assert janitor.hurries(Fill(9_001, 0, 900))


def test_nobody_has_more_than_a_share_of_a_small_broker() -> None:
    janitor = Janitor(LIMITS)
    janitor.hurries(Fill(0, 4_000, 0))
    (flood,) = saw(janitor, Held(OUT, 501))
    assert flood.most_bytes == 500
    assert not saw(janitor, Held(IN, 500))


def test_what_those_who_left_have_left_is_found() -> None:
    mine = [IN, OUT, open_names.beat(ATTIC.id), open_names.health(ALICE.id)]
    junk = [names.queue_key("p:pattic:in:ALICE"), f"{names.celerys()}p:X:y:z"]
    held = [Held(key, 1) for key in (*mine, *junk)]

    def left(peers: set[str], gamers: set[str]) -> list[str]:
        return list(Janitor(LIMITS).saw(held, peers, gamers, 0.0).left)

    assert left(PEERS, GAMERS) == junk
    assert left(PEERS, set()) == [IN, OUT, open_names.health(ALICE.id), *junk]
    assert left(set(), GAMERS) == [IN, OUT, open_names.beat(ATTIC.id), *junk]


def test_who_writes_for_those_who_are_not_there_floods_too_though_it_is_removed() -> None:
    janitor = Janitor(LIMITS)
    absent = Held(open_names.results(ATTIC.id, "gnobody", "s1"), 300)
    found = []
    for second in range(4):
        seen = janitor.saw([absent], PEERS, GAMERS, float(second))
        assert seen.left == (absent.key,)
        found += seen.floods
        janitor.swept()
    assert [flood.principal for flood in found] == [ATTIC]
    # A little now and then is none: a gamer went while its answers were on the way.
    calm = Janitor(LIMITS)
    for minute in range(10):
        assert not calm.saw([absent], PEERS, GAMERS, minute * 60.0).floods
        calm.swept()


def test_one_sweep_of_many_principals_costs_little_memory() -> None:
    janitor = Janitor(Limits())
    peers = {f"p{number:06}" for number in range(1_000)}
    for peer in peers:
        held = [Held(open_names.results(peer, "galice", f"s{n}"), 100) for n in range(20)]
        janitor.saw(held, peers, GAMERS, 0.0)
    assert sum(len(account.largest) for account in janitor._held.values()) == 8_000
