"""``p2c2g nets``: what a gamer sees and removes."""

from __future__ import annotations

import json
from pathlib import Path

import platformdirs
import pytest
from typer.testing import CliRunner

from p2c2g.commands.nets import app
from p2c2g.errors import UsageError
from p2c2g.nets.store import NetStore


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> NetStore:
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda *_, **__: str(tmp_path))
    return NetStore()


def told(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_nets_are_listed(store: NetStore) -> None:
    assert "p2c2g train --game NAME makes one" in told("list")
    assert json.loads(told("list", "--json")) == []
    store.put("etr", "ml-tiny", bytes(25_557), {"gain": 0.54})
    store.put("crispy-doom", "ml-small", bytes(115_000), {"gain": 2.9})
    lines = told("list").splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["crispy-doom", "ml-small"], ["etr", "ml-tiny"],
    ]  # fmt: skip
    (net,) = store.find("etr")
    assert net.name in lines[2]
    assert " 26 " in lines[2]
    first, second = json.loads(told("list", "--json"))
    assert (first["game"], second["name"]) == ("crispy-doom", net.name)


def test_a_card_is_shown(store: NetStore) -> None:
    store.put("etr", "ml-tiny", b"tiny", {"gain": 0.54})
    assert '"gain": 0.54' in told("show", "etr")
    (net,) = json.loads(told("show", "etr", "--json"))
    assert net["card"]["gain"] == 0.54


def test_nets_are_removed(store: NetStore) -> None:
    store.put("etr", "ml-tiny", b"tiny", {})
    store.put("etr", "ml-large", b"large", {})
    assert told("drop", "etr") == "Removed 2 nets of etr.\n"
    assert store.games() == []


@pytest.mark.parametrize("command", ["show", "drop"])
def test_a_game_without_nets_is_refused(store: NetStore, command: str) -> None:
    store.put("etr", "ml-tiny", b"tiny", {})
    with pytest.raises(UsageError, match=r"no net of doom: the games that have some are etr\."):
        told(command, "doom")
    with pytest.raises(UsageError, match="cannot be a game's name"):
        told(command, "../etr")
