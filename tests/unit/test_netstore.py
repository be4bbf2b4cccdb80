"""The nets of a gamer's games, in files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import platformdirs
import pytest

from p2c2g.errors import UsageError
from p2c2g.media.operations import Pipeline
from p2c2g.nets.store import MAX_MODEL, MAX_NAME, NetStore

CARD = {"gain": 1.7, "taught_by": ["supertux2"]}


@pytest.fixture
def store(tmp_path: Path) -> NetStore:
    return NetStore(tmp_path / "nets")


def test_a_net_that_was_put_is_found(store: NetStore) -> None:
    path = store.put("supertux2", "ml-tiny", b"tiny", CARD)
    (net,) = store.find("supertux2")
    assert (net.game, net.method, net.path) == ("supertux2", "ml-tiny", path)
    assert net.name == hashlib.sha256(b"tiny").hexdigest()[:32]
    assert net.card == {**CARD, "form": 2, "sha256": hashlib.sha256(b"tiny").hexdigest()}
    assert path.read_bytes() == b"tiny"
    Pipeline.parse(f"upscale:2:{net.method}@{net.name}")


def test_a_game_has_one_net_of_each_size(store: NetStore) -> None:
    store.put("etr", "ml-large", b"large", CARD)
    store.put("etr", "ml-tiny", b"first", CARD)
    store.put("etr", "ml-tiny", b"second", {"sha256": "what it was"})
    assert [net.method for net in store.find("etr")] == ["ml-tiny", "ml-large"]
    assert store.find("etr")[0].path.read_bytes() == b"second"
    assert store.find("etr")[0].card["sha256"] == hashlib.sha256(b"second").hexdigest()


def test_games_are_those_with_a_net(store: NetStore) -> None:
    assert store.games() == []
    assert store.find("etr") == ()
    for game in ("openttd", "crispy-doom", "a.b-C9"):
        store.put(game, "ml-tiny", game.encode(), CARD)
    (store.folder / "empty").mkdir()
    (store.folder / "no game's name").mkdir()
    (store.folder / "file").write_bytes(b"")
    assert store.games() == ["a.b-C9", "crispy-doom", "openttd"]
    assert store.drop("openttd") == 1
    assert store.drop("openttd") == 0
    assert store.games() == ["a.b-C9", "crispy-doom"]
    assert not (store.folder / "openttd").exists()


def test_dropping_leaves_what_is_somebody_else_s(store: NetStore) -> None:
    path = store.put("etr", "ml-tiny", b"tiny", CARD)
    (path.parent / "notes.txt").write_text("mine")
    store.drop("etr")
    assert [each.name for each in path.parent.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("damage", [b"other", b""])
def test_a_net_that_is_not_its_card_s_is_left_out(store: NetStore, damage: bytes) -> None:
    store.put("etr", "ml-small", b"small", CARD)
    store.put("etr", "ml-tiny", b"tiny", CARD).write_bytes(damage)
    assert [net.method for net in store.find("etr")] == ["ml-small"]


@pytest.mark.parametrize("card", [b"", b"[]", b"{}", b"\xff", b'"', b"[" * 60_000])
def test_a_net_without_a_sound_card_is_left_out(store: NetStore, card: bytes) -> None:
    store.put("etr", "ml-tiny", b"tiny", CARD).with_suffix(".json").write_bytes(card)
    assert store.find("etr") == ()
    assert store.games() == []


@pytest.mark.parametrize(
    "game", ["", ".", "..", "../etr", "/etc", "a/b", "a\\b", "a b", "-a", ".a", "é", "a" * 65,
             "a\n", "a\0"],
)  # fmt: skip
def test_what_is_no_name_of_a_game_is_refused(store: NetStore, game: str) -> None:
    for use in (store.find, store.drop, lambda name: store.put(name, "ml-tiny", b"x", CARD)):
        with pytest.raises(UsageError, match=f"give 1 to {MAX_NAME} letters, digits, dots"):
            use(game)
    assert not store.folder.exists()


def test_what_cannot_be_kept_is_refused(store: NetStore) -> None:
    with pytest.raises(UsageError, match="'ml' is no net's method: give ml-tiny"):
        store.put("etr", "ml", b"x", CARD)
    with pytest.raises(UsageError, match=f"A net of 0 bytes cannot be kept: 1 to {MAX_MODEL}"):
        store.put("etr", "ml-tiny", b"", CARD)
    with pytest.raises(UsageError, match=f"A net of {MAX_MODEL + 1} bytes"):
        store.put("etr", "ml-tiny", bytes(MAX_MODEL + 1), CARD)
    with pytest.raises(UsageError, match="A card of"):
        store.put("etr", "ml-tiny", b"x", {"curve": [0.123456] * 9999})
    store.folder.parent.mkdir(exist_ok=True)
    store.folder.write_text("a file")
    with pytest.raises(UsageError, match="cannot be kept in"):
        store.put("etr", "ml-tiny", b"x", CARD)
    assert store.games() == []


def test_the_user_s_folder_is_where_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda *_, **__: str(tmp_path))
    path = NetStore().put("etr", "ml-tiny", b"tiny", CARD)
    assert path == tmp_path / "nets" / "etr" / "ml-tiny.onnx"
    assert json.loads(path.with_suffix(".json").read_text())["gain"] == 1.7
    assert sorted(each.name for each in path.parent.iterdir()) == ["ml-tiny.json", "ml-tiny.onnx"]
