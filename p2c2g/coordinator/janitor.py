"""Who fills the broker: access rules bound which keys a principal writes, and no bytes.

Each key grows by one principal alone (:func:`blamed`), so a key that is too long says who it was.
Keys are looked at in sweeps over all of the broker's, a part at a time, so that one look costs it
little.  While the broker fills up quickly, parts are looked at without a pause: who floods is found
within two seconds.  Pure: :mod:`p2c2g.coordinator.janitor_thread` looks and acts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from p2c2g.messaging import names
from p2c2g.messaging.rights import Fill, Held
from p2c2g.settings.principal import ID_PATTERN, Principal, Role

#: Keys of one principal that a judgement names, the largest first.
_NAMED: Final = 8
_MIB: Final = 2**20
#: Seconds over which it is added up what was removed of one principal's.
_REMOVED_FOR: Final = 60.0

_ID: Final = ID_PATTERN.strip("^$")
_KEY: Final = re.compile(
    rf"p:(?P<peer>{_ID}):(?:in:(?P<to>{_ID})|out:(?P<of>{_ID})\.[^:]*|(?:told|own|blob):.*)"
    rf"|g:(?P<gamer>{_ID}):.*",
    re.DOTALL,
)


#: A principal by its parts: to make one takes longer than to look at a key.
_Whose: TypeAlias = tuple[Role, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one principal may have at the broker at once.

    A peer's answers to one session are at most some 84 MiB, the stream's bound, and usually below
    one; a gamer's queues are bounded by its own sessions.
    """

    peer_bytes: int = 192 * _MIB
    peer_keys: int = 4_096
    gamer_bytes: int = 192 * _MIB
    gamer_keys: int = 8_192
    #: Of the broker's memory, one principal has this share at most: one of so many.
    share: int = 8
    #: Connections of one principal: a worker has some ten, and a session no more.
    connections: int = 256
    #: Growth of the broker during a sweep before the janitor hurries; or by an eighth, if more.
    calm_bytes: int = 16 * _MIB
    calm_keys: int = 4_096

    def of(self, role: Role, broker: int) -> tuple[int, int]:
        """Return the bytes and keys of one of a role, at a broker with so many bytes, 0 for any."""
        most = broker // self.share if broker else self.peer_bytes + self.gamer_bytes
        if role is Role.PEER:
            return min(self.peer_bytes, most), self.peer_keys
        return min(self.gamer_bytes, most), self.gamer_keys


@dataclass(slots=True)
class _Account:
    """What was seen of one principal in this sweep."""

    bytes: int = 0
    keys: int = 0
    largest: list[Held] = field(default_factory=list)

    def add(self, held: Held) -> None:
        self.bytes += held.bytes
        self.keys += 1
        if len(self.largest) < _NAMED or held.bytes > self.largest[-1].bytes:
            self.largest.append(held)
            self.largest.sort(key=lambda each: -each.bytes)
            del self.largest[_NAMED:]


@dataclass(frozen=True, slots=True)
class Flood:
    """A principal that has more at the broker than it may, and what shows it."""

    principal: Principal
    bytes: int
    keys: int
    most_bytes: int
    most_keys: int
    largest: tuple[Held, ...]

    @property
    def reason(self) -> str:
        """Return the sentence for the principal and the operator."""
        if self.bytes > self.most_bytes:
            return (
                f"It filled the broker: {self.bytes // _MIB} MiB, and {self.most_bytes // _MIB} "
                "are allowed."
            )
        return f"It filled the broker: {self.keys} keys, and {self.most_keys} are allowed."

    def evidence(self) -> dict[str, Any]:
        """Return what JSON can say of it."""
        return {
            "bytes": self.bytes,
            "keys": self.keys,
            "allowed_bytes": self.most_bytes,
            "allowed_keys": self.most_keys,
            "largest": [{"key": printable(held.key), "bytes": held.bytes} for held in self.largest],
        }


@dataclass(frozen=True, slots=True)
class Crowd:
    """A principal that has more connections than it may: others would find no place."""

    principal: Principal
    connections: int
    most: int
    largest: tuple[Held, ...] = ()

    @property
    def reason(self) -> str:
        """Return the sentence for the principal and the operator."""
        return f"It had {self.connections} connections to the broker, and {self.most} are allowed."

    def evidence(self) -> dict[str, Any]:
        """Return what JSON can say of it."""
        return {"connections": self.connections, "allowed_connections": self.most}


@dataclass(frozen=True, slots=True)
class Seen:
    """What some keys say: who has too much, and which of them nobody needs any more."""

    floods: tuple[Flood, ...]
    left: tuple[str, ...]


class Janitor:
    """Adds up what each principal has, and says who has too much.  Belongs to one thread.

    Args:
        limits: what one may have.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._held: dict[_Whose, _Account] = {}
        self._removed: dict[_Whose, _Account] = {}
        self._removed_since = float("-inf")
        self._told: set[_Whose] = set()
        self._at_start: Fill | None = None
        self._most = 0

    def hurries(self, fill: Fill) -> bool:
        """Tell whether the broker has filled up so quickly that the sweep should be a quick one."""
        self._most = fill.most
        if self._at_start is None:
            self._at_start = fill
        before, limits = self._at_start, self._limits
        return (
            fill.bytes - before.bytes > max(limits.calm_bytes, before.bytes // 8)
            or fill.keys - before.keys > max(limits.calm_keys, before.keys // 8)
        )  # fmt: skip

    def saw(
        self,
        held: Iterable[Held],
        peers: Collection[str],
        gamers: Collection[str],
        now: float,
    ) -> Seen:
        """Note keys of this sweep, and say what follows; who floods is named once a sweep.

        What nobody needs is to be removed, and counts against who wrote it for a while: a key for
        somebody who is not there would else be a way to keep the broker busy.

        Args:
            held: keys of the pool.
            peers: the ids of all who are here.
            gamers: likewise.
            now: seconds, monotonic.
        """
        if now - self._removed_since >= _REMOVED_FOR:
            self._removed.clear()
            self._removed_since = now
        floods, left = [], []
        prefix = len(names.celerys())
        for each in held:
            found = _KEY.fullmatch(each.key, prefix)
            if found is None:
                left.append(each.key)
                continue
            peer, gamer = found["peer"], found["to"] or found["of"] or found["gamer"]
            is_wanted = (not peer or peer in peers) and (not gamer or gamer in gamers)
            whose = _whose(found)
            accounts = self._held if is_wanted else self._removed
            account = accounts.get(whose)
            if account is None:
                account = accounts[whose] = _Account()
            account.add(each)
            if not is_wanted:
                left.append(each.key)
            if whose not in self._told and self._is_too_much(account, whose[0]):
                self._told.add(whose)
                floods.append(self._flood(account, Principal(*whose)))
        return Seen(tuple(floods), tuple(left))

    def crowds(self, connections: Mapping[Principal, int]) -> tuple[Crowd, ...]:
        """Return who has too many connections."""
        most = self._limits.connections
        return tuple(
            Crowd(principal, count, most)
            for principal, count in connections.items()
            if count > most
        )

    def swept(self) -> None:
        """Note that all keys were looked at: the next sweep begins from nothing."""
        self._held.clear()
        self._told.clear()
        self._at_start = None

    def _is_too_much(self, account: _Account, role: Role) -> bool:
        most_bytes, most_keys = self._limits.of(role, self._most)
        return account.bytes > most_bytes or account.keys > most_keys

    def _flood(self, account: _Account, principal: Principal) -> Flood:
        most_bytes, most_keys = self._limits.of(principal.role, self._most)
        largest = tuple(account.largest)
        return Flood(principal, account.bytes, account.keys, most_bytes, most_keys, largest)


def blamed(key: str) -> Principal | None:
    """Return the only principal that can make a key grow; None where it is no key of a pool."""
    found = _KEY.fullmatch(key.removeprefix(names.celerys()))
    return None if found is None else Principal(*_whose(found))


def printable(key: str) -> str:
    """Return a key as it may be shown and kept: strangers chose its end."""
    return "".join(letter if letter.isprintable() and letter.isascii() else "?" for letter in key)[
        :120
    ]


def _whose(found: re.Match[str]) -> _Whose:
    """Return who makes a key grow: a peer's queue for a gamer is that gamer's doing."""
    gamer = found["gamer"] or found["to"]
    return (Role.GAMER, gamer) if gamer else (Role.PEER, found["peer"])
