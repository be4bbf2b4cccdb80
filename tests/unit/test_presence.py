"""Who has answered lately, and who is asked when a second peer is wanted."""

from __future__ import annotations

from p2c2g.peers.presence import MAX_PEERS, Presence


def anybody(peer: str) -> bool:
    return True


def test_the_one_that_answered_last_is_asked() -> None:
    presence = Presence()
    for at, peer in enumerate(["ada", "zoe", "ada"]):
        presence.seen(peer, at / 10)
    assert presence.other(0.3, (), anybody) == "ada"
    assert presence.other(0.3, {"ada"}, anybody) == "zoe"
    assert presence.other(0.3, {"ada", "zoe"}, anybody) is None
    assert presence.other(0.3, (), lambda peer: peer != "ada") == "zoe"


def test_who_has_been_silent_for_a_second_is_not_asked() -> None:
    presence = Presence(recent=1.0)
    presence.seen("ada", 5.0)
    assert presence.other(6.0, (), anybody) == "ada"
    assert presence.other(6.01, (), anybody) is None


def test_strangers_do_not_fill_the_memory() -> None:
    presence = Presence()
    for number in range(3 * MAX_PEERS):
        presence.seen(f"peer {number}", number / 1000)
    assert len(presence) == MAX_PEERS
    assert presence.other(1.0, (), anybody) == f"peer {3 * MAX_PEERS - 1}"
