"""The janitor's rounds, over a broker that is a dictionary."""

from __future__ import annotations

import json
from typing import Any

import pytest

from p2c2g.coordinator.janitor import Limits
from p2c2g.coordinator.janitor_thread import JanitorThread
from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging import open_names
from p2c2g.messaging.rights import Connections, Fill, Held, Look
from p2c2g.settings.principal import Principal, Role

ATTIC = Principal(Role.PEER, "pattic")


class Pool:
    """A broker's keys, who is here, and what was done."""

    def __init__(self, **keys: int) -> None:
        self.keys = {open_names.measurement(ATTIC.id, name): size for name, size in keys.items()}
        self.is_ready = True
        self.peers = {ATTIC.id}
        self.done: list[Any] = []
        self.connected = Connections({}, ())
        self.hung_up: list[int] = []
        self.fails = False

    # -- the rights

    def fill(self) -> Fill:
        return Fill(sum(self.keys.values()), 0, len(self.keys))

    def look(self, cursor: int, count: int) -> Look:
        return Look(0, tuple(Held(key, size) for key, size in self.keys.items()))

    def connections(self, patience: float) -> Connections:
        return self.connected

    def hang_up(self, connections: Any) -> None:
        self.hung_up += connections

    def revoke(self, principals: Any) -> None:
        self.done.append(("revoke", *principals))

    def remove(self, keys: Any) -> None:
        for key in list(keys):
            self.keys.pop(key, None)

    # -- the registrar

    def here(self, role: Role) -> set[str]:
        return self.peers if role is Role.PEER else set()

    def ban(self, principal: str, reason: str, evidence: str) -> None:
        if self.fails:
            raise BrokerUnavailableError("The database is away.")
        self.done.append(("ban", principal, json.loads(evidence)["bytes"]))
        self.peers.discard(principal)


def janitor(pool: Pool) -> JanitorThread:
    return JanitorThread(pool, pool, pool.ban, Limits(peer_bytes=1_000))  # type: ignore[arg-type]


def test_who_floods_is_cut_off_first_then_banned_and_cleared() -> None:
    pool = Pool(a=600, b=600)
    sweeps = janitor(pool)
    sweeps.round()
    assert pool.done == [("revoke", ATTIC), ("ban", ATTIC.id, 1_200)]
    sweeps.round()
    assert not pool.keys
    assert len(pool.done) == 2


def test_who_does_not_log_in_is_hung_up_on_and_who_has_hundreds_is_out() -> None:
    pool = Pool()
    limits = Limits()
    pool.connected = Connections({ATTIC: limits.connections + 1}, (7, 8))
    JanitorThread(pool, pool, _bans(pool), limits).round()  # type: ignore[arg-type]
    assert pool.hung_up == [7, 8]
    assert ("revoke", ATTIC) in pool.done
    assert ATTIC.id not in pool.peers


def _bans(pool: Pool) -> Any:
    def ban(principal: str, reason: str, evidence: str) -> None:
        pool.done.append(("ban", principal, reason))
        pool.peers.discard(principal)

    return ban


def test_a_ban_that_fails_is_tried_again() -> None:
    pool = Pool(a=1_200)
    pool.fails, sweeps = True, janitor(pool)
    with pytest.raises(BrokerUnavailableError):
        sweeps.round()
    pool.fails = False
    sweeps.round()
    assert pool.done[-1] == ("ban", ATTIC.id, 1_200)


def test_nothing_is_removed_before_it_is_known_who_is_here() -> None:
    pool = Pool(a=100)
    pool.is_ready, pool.peers = False, set()
    sweeps = janitor(pool)
    sweeps.round()
    assert pool.keys
    pool.is_ready = True
    sweeps.round()
    assert not pool.keys
