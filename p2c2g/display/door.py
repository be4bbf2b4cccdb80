"""How many may stand at the viewer's door, and how many may be in.

Pure: connections are told apart by their clients' addresses, and hung up on by a callable.

A connection costs a file descriptor, of which the whole session has some hundreds, so there are
never more than :attr:`Limits.connections`.  Beyond them a newcomer takes the place of the oldest
that is not a viewer, of the network that has most: who fills the door hangs up on itself, and who
comes with a request is heard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

#: The address and the port of a client, as asyncio has them.
Client = tuple[str, int]

#: Viewers at a time; each costs the session's machine the bytes of every picture.
MAX_VIEWERS = 16
#: How many of these places are for this machine alone, and how many one network may have.
OWN_PLACES, PLACES_OF_A_NETWORK = 4, 4

#: This machine, as a network.
_OWN = "localhost"
#: The first bits of an IPv6 address that are one customer's.
_IPV6_NETWORK = 64
_MOST_CONNECTIONS, _LEAST_CONNECTIONS = 256, 32


@dataclass(frozen=True, slots=True)
class Limits:
    """What a stranger may take.

    Args:
        connections: all connections together.
        of_a_network: connections of one network that is not this machine or a trusted proxy.
        own: how many of all are for this machine alone.
        request_seconds: for a request from its first byte to the end of its answer, and for a
            connection until its first one.
        ping_seconds: from one question whether a viewer is still there to the next, and for the
            answer: one whose network changed must not keep a place for long.
    """

    connections: int = _MOST_CONNECTIONS
    of_a_network: int = 64
    own: int = 32
    request_seconds: float = 10.0
    ping_seconds: tuple[float, float] = (5.0, 10.0)

    @property
    def at_once(self) -> int:
        """Return how many connections are taken before any of them is counted."""
        return self.connections // 8

    @classmethod
    def of_files(cls, most: int) -> Limits:
        """Return limits that leave most of the process's file descriptors to others.

        Args:
            most: how many it may have open.
        """
        connections = min(_MOST_CONNECTIONS, max(_LEAST_CONNECTIONS, most // 4))
        return cls(connections, of_a_network=connections // 4, own=connections // 8)


def network_of(address: str) -> str:
    """Return what counts as one: an IPv4 address, 64 bits of an IPv6 address, this machine."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    if ip.is_loopback:
        return _OWN
    if isinstance(ip, IPv6Address):
        return str(ip_network((ip.packed, _IPV6_NETWORK), strict=False))
    return str(ip)


def is_own(network: str) -> bool:
    """Say whether a network is this machine."""
    return network == _OWN


@dataclass(slots=True)
class _Connection:
    network: str
    hang_up: Callable[[], None]
    is_viewer: bool = False


class Door:
    """The connections that are open, and which has to go for another.

    Args:
        limits: how many there may be.
        proxies: networks, as :func:`network_of` gives them, that many come through.
    """

    def __init__(self, limits: Limits, proxies: Iterable[str] = ()) -> None:
        self._limits = limits
        self._proxies = frozenset(proxies)
        # The oldest first.
        self._open: dict[Client, _Connection] = {}

    def __len__(self) -> int:
        return len(self._open)

    def came(self, client: Client, hang_up: Callable[[], None]) -> bool:
        """Take a connection in, and hang up on another where that is needed for it.

        Returns:
            False where there is no room for it.
        """
        network, limits = network_of(client[0]), self._limits
        counts = Counter(each.network for each in self._open.values())
        is_full = len(self._open) >= limits.connections
        others_are_full = len(self._open) - counts[_OWN] >= limits.connections - limits.own
        if is_own(network):
            counts[_OWN] = 0  # All others go before it.
        elif network not in self._proxies and counts[network] >= limits.of_a_network:
            is_full, counts = True, Counter({network: 1})
        elif others_are_full:
            is_full = True
            del counts[_OWN]
        if is_full:
            goes = self._first_to_go(counts)
            if goes is None:
                return False
            self._open.pop(goes).hang_up()
        self._open[client] = _Connection(network, hang_up)
        return True

    def watches(self, client: Client) -> None:
        """Note that a connection became a viewer's: it no longer has to go for another."""
        if client in self._open:
            self._open[client].is_viewer = True

    def is_viewer(self, client: Client) -> bool:
        """Say whether a connection is a viewer's."""
        return client in self._open and self._open[client].is_viewer

    def left(self, client: Client) -> None:
        """Note that a connection is gone."""
        self._open.pop(client, None)

    def _first_to_go(self, counts: Counter[str]) -> Client | None:
        """Return the oldest connection that is no viewer's, of the network that has most."""
        for network, _ in counts.most_common():
            for client, connection in self._open.items():
                if connection.network == network and not connection.is_viewer:
                    return client
        return None


class Seats:
    """Who has one of a number of places.

    Args:
        most: how many there are.
        own: how many of them are kept for this machine.
        full: what others are told where all are taken.
    """

    def __init__(
        self,
        most: int = MAX_VIEWERS,
        own: int = OWN_PLACES,
        full: str = f"{MAX_VIEWERS} viewers are connected already.",
    ) -> None:
        self._most, self._others, self._full = most, most - own, full
        self._taken: Counter[str | None] = Counter()
        self._own = 0

    def refusal(self, network: str | None, *, near: bool) -> str:
        """Say why there is no place, or nothing where there is one; 123 bytes at most.

        Args:
            network: of whom it is, None where it is not known.
            near: whether it is on this machine.
        """
        others = self._taken.total()
        if others + self._own >= self._most:
            return self._full
        if near:
            return ""
        if others >= self._others:
            return f"{others} viewers are connected already; the rest is for the session's machine."
        if network is not None and self._taken[network] >= PLACES_OF_A_NETWORK:
            return f"{PLACES_OF_A_NETWORK} viewers of your network are connected already."
        return ""

    def take(self, network: str | None, *, near: bool) -> None:
        """Note that one is taken."""
        if near:
            self._own += 1
        else:
            self._taken[network] += 1

    def give_back(self, network: str | None, *, near: bool) -> None:
        """Note that one is free again."""
        if near:
            self._own -= 1
        else:
            self._taken[network] -= 1
