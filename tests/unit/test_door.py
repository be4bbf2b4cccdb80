"""Who has to go from the viewer's door, and who has a place inside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.display.door import (
    MAX_VIEWERS,
    OWN_PLACES,
    PLACES_OF_A_NETWORK,
    Door,
    Limits,
    Seats,
    network_of,
)

LIMITS = Limits(connections=32, of_a_network=8, own=4)


class Crowd:
    """Clients at a door, and who was hung up on."""

    def __init__(self, *proxies: str) -> None:
        self.door = Door(LIMITS, proxies)
        self.gone: list[tuple[str, int]] = []
        self.port = 0

    def comes(self, address: str) -> tuple[str, int] | None:
        self.port += 1
        client = (address, self.port)
        return client if self.door.came(client, lambda: self.gone.append(client)) else None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("127.0.0.9", "localhost"),
        ("::1", "localhost"),
        ("::ffff:127.0.0.1", "localhost"),
        ("what", "what"),
    ],
)
def test_what_counts_as_one_network(address, network):
    assert network_of(address) == network


def test_a_network_that_has_its_share_hangs_up_on_its_own_oldest():
    crowd = Crowd()
    other = crowd.comes("192.0.2.1")
    clients = [crowd.comes("192.0.2.7") for _ in range(20)]
    assert crowd.gone == clients[: 20 - LIMITS.of_a_network]
    assert other not in crowd.gone


def test_a_crowd_of_one_machine_each_cannot_shut_out_this_machine():
    crowd = Crowd()
    mine = [crowd.comes("127.0.0.1") for _ in range(LIMITS.own)]
    for each in range(200):
        crowd.comes(f"198.51.100.{each}")
    assert len(crowd.door) == LIMITS.connections
    assert not set(mine) & set(crowd.gone)
    assert crowd.comes("127.0.0.1") is not None
    assert not set(mine) & set(crowd.gone)


def test_viewers_do_not_go_for_others():
    crowd = Crowd()
    viewers = [crowd.comes("192.0.2.7") for _ in range(LIMITS.of_a_network)]
    for viewer in viewers:
        assert viewer is not None
        crowd.door.watches(viewer)
    assert crowd.comes("192.0.2.7") is None
    assert crowd.comes("192.0.2.8") is not None
    assert crowd.gone == []


def test_many_come_through_a_proxy_that_is_trusted():
    crowd = Crowd("192.0.2.7")
    assert all(crowd.comes("192.0.2.7") for _ in range(LIMITS.of_a_network + 5))
    assert crowd.gone == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["127.0.0.1", "192.0.2.1", "192.0.2.2", "2001:db8::1"]),
            st.sampled_from(["come", "come", "come", "watch", "leave"]),
        ),
        max_size=200,
    )
)
def test_there_are_never_too_many_and_nobody_is_lost(steps):
    crowd = Crowd()
    there: list[tuple[str, int]] = []
    viewers: set[tuple[str, int]] = set()
    for address, step in steps:
        if step == "come":
            gone = len(crowd.gone)
            if client := crowd.comes(address):
                there.append(client)
            there = [each for each in there if each not in crowd.gone[gone:]]
            assert len(crowd.gone) - gone <= 1
        elif there and step == "watch":
            viewers.add(there[-1])
            crowd.door.watches(there[-1])
        elif there:
            crowd.door.left(there.pop(0))
        assert len(crowd.door) == len(there) <= LIMITS.connections
        others = [client for client in there if client[0] != "127.0.0.1"]
        assert len(others) <= LIMITS.connections - LIMITS.own
        assert not viewers & set(crowd.gone)


@pytest.mark.parametrize(("files", "connections"), [(64, 32), (256, 64), (1024, 256), (10**6, 256)])
def test_most_files_are_left_to_the_session(files, connections):
    limits = Limits.of_files(files)
    assert limits.connections == connections
    assert 0 < limits.own <= limits.of_a_network < limits.connections


def test_places_are_kept_for_this_machine_and_no_network_has_all():
    seats = Seats()
    for network in ("a", "b", "c"):
        for _ in range(PLACES_OF_A_NETWORK):
            assert seats.refusal(network, near=False) == ""
            seats.take(network, near=False)
        said = seats.refusal(network, near=False)
        assert "connected already" in said
        assert len(said.encode()) <= 123  # what a WebSocket's close can carry
    assert "session's machine" in seats.refusal("d", near=False)
    for _ in range(OWN_PLACES):
        assert seats.refusal(None, near=True) == ""
        seats.take(None, near=True)
    assert seats.refusal(None, near=True) == f"{MAX_VIEWERS} viewers are connected already."
    seats.give_back("a", near=False)
    assert seats.refusal("a", near=False) == seats.refusal(None, near=True) == ""


def test_one_place_is_anybodys():
    seats = Seats(1, 0, "Somebody else speaks.")
    for network, near in (("a", False), (None, True), (None, False)):
        assert seats.refusal(network, near=near) == ""
        seats.take(network, near=near)
        assert seats.refusal("b", near=False) == "Somebody else speaks."
        assert seats.refusal(None, near=True) == "Somebody else speaks."
        seats.give_back(network, near=near)
