"""A gamer's net in an open pool: put at keys of his own, and had by the peers that serve him."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2c2g.errors import BrokerRefusesError, UsageError
from p2c2g.messaging.broker import Broker
from p2c2g.settings.principal import Role
from p2c2g_workers.fetching import _blobs
from tests.open_pool import OpenPool

DATA = bytes(range(256)) * 20


def test_a_peer_has_what_its_gamers_put(tmp_path: Path) -> None:
    with OpenPool("valkey", tmp_path) as pool:
        peer = pool.settings(pool.join(Role.PEER, "pattic"))
        with Broker(pool.settings(pool.join(Role.GAMER, "galice"))) as alice:
            pool.join(Role.GAMER, "gbobby")
            name = alice.blobs().put(DATA, 60)
            assert alice.blobs().keep(name, 60)
            assert _blobs(peer).get(name) == DATA
            # As if by another, who has put something else under that name.
            pool.operator.set(f"p2c2g:g:gbobby:blob:{name}", b"x" * 5120)
            assert _blobs(peer).get(name) == DATA
            pool.tell("pattic", gamers=("gbobby",))
            assert _blobs(peer).get(name) is None
            alice.blobs().drop(name)
        assert pool.keys("*:g:galice:*") == set()
        assert pool.denials() == []
        with pytest.raises(BrokerRefusesError):
            _blobs(peer).put(DATA, 60)


def test_what_only_an_own_pool_has_is_refused(tmp_path: Path) -> None:
    with OpenPool("valkey", tmp_path) as pool:
        with (
            Broker(pool.settings(pool.join(Role.GAMER, "galice"))) as broker,
            pytest.raises(UsageError, match=r"at http://127\.0\.0\.1"),
        ):
            broker.require_own("p2c2g peers")
        with (
            Broker(pool.settings(pool.join(Role.PEER, "pattic"))) as broker,
            pytest.raises(UsageError, match="a peer's, which plays nothing"),
        ):
            _ = broker.gamer
