"""What the broker has to be told of who is in a pool."""

from __future__ import annotations

from p2c2g.coordinator.roll import Changes, Known, Roll
from p2c2g.peers.standing import MAX_GAMERS, MAX_STANDING, PeerStanding, Verdict, Voucher
from p2c2g.settings.principal import Principal, Role

VOUCHER = Voucher(key="A" * 43 + "=", account="lender")
ATTIC, CELLAR = (Principal(Role.PEER, name) for name in ("pattic", "pcellar"))
ALICE = Principal(Role.GAMER, "galice")


def peer(principal: Principal = ATTIC, digest: str | None = "a", **more: object) -> Known:
    return Known(principal, digest, voucher=VOUCHER, **more)  # type: ignore[arg-type]


def settle(roll: Roll) -> Changes:
    """Write what is to be written."""
    changes = roll.changes()
    roll.wrote(changes)
    roll.told(roll.standings())
    return changes


def test_who_comes_is_let_in_once() -> None:
    roll = Roll()
    roll.know([peer(), Known(ALICE, "g")])
    changes = settle(roll)
    assert changes.grant == {ATTIC: ("a",), ALICE: ("g",)}
    assert changes.gamers_here == {"galice"}
    assert set(changes.vouchers) == {"pattic"}
    assert not roll.changes()
    assert not roll.standings()
    assert not roll.lacks([ATTIC, ALICE, CELLAR])
    assert roll.lacks([ATTIC])


def test_what_failed_is_still_to_be_written() -> None:
    roll = Roll()
    roll.know([peer()])
    assert roll.changes() == roll.changes()
    assert roll.standings() == roll.standings() != {}


def test_who_is_banned_loses_all_and_is_told() -> None:
    roll = Roll()
    roll.know([peer(), peer(CELLAR), Known(ALICE, "g")])
    settle(roll)
    roll.know([peer(digest=None, verdict=Verdict.BANNED, reason="It lied.")])
    changes = roll.changes()
    assert changes.revoke == (ATTIC,)
    assert changes.vouchers == {"pattic": None}
    assert not changes.grant
    (said,) = roll.standings().values()
    assert said is not None
    standing = PeerStanding.model_validate_json(said)
    assert (standing.verdict, standing.reason, standing.gamers) == (Verdict.BANNED, "It lied.", ())


def test_a_gamer_who_comes_or_goes_is_told_to_every_peer() -> None:
    roll = Roll()
    roll.know([peer(), peer(CELLAR)])
    settle(roll)
    roll.know([Known(ALICE, "g")])
    assert set(roll.standings()) == {"pattic", "pcellar"}
    settle(roll)
    roll.know([Known(ALICE, None)])
    assert settle(roll).gamers_gone == {"galice"}
    roll.know([peer(verdict=Verdict.DRAINING)])
    assert set(roll.standings()) == {"pattic"}


def test_who_left_is_told_nothing_any_more() -> None:
    roll = Roll()
    roll.know([peer(), peer(CELLAR)])
    settle(roll)
    roll.know_all([peer()])
    changes = settle(roll)
    assert changes.revoke == (CELLAR,)
    roll.know([], gone=[ATTIC])
    assert roll.standings() == {"pattic": None}


def test_a_broker_that_forgot_all_gets_all_and_loses_what_is_nobodys() -> None:
    roll = Roll()
    roll.know([peer(), Known(ALICE, "g")])
    settle(roll)
    stranger = Principal(Role.GAMER, "gstranger")
    roll.begin([stranger, ALICE], ["pother"], ["gstranger"])
    changes = settle(roll)
    assert changes.revoke == (stranger,)
    assert set(changes.grant) == {ATTIC, ALICE}
    assert changes.vouchers["pother"] is None
    assert (changes.gamers_here, changes.gamers_gone) == ({"galice"}, {"gstranger"})
    assert not roll.changes()


def test_the_largest_pool_fits() -> None:
    roll = Roll()
    roll.know(peer(Principal(Role.PEER, f"p{number:031}")) for number in range(1_000))
    roll.know(
        Known(Principal(Role.GAMER, f"g{number:031}"), "g") for number in range(MAX_GAMERS + 10)
    )
    said = roll.standings()
    assert len(said) == 1_000
    assert all(len(text or "") <= MAX_STANDING for text in said.values())
