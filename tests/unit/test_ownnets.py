"""The gamer's side of own nets: what ``--game`` makes of a pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2c2g.errors import UsageError
from p2c2g.media.operations import Pipeline
from p2c2g.nets.store import NetStore, OwnNet
from p2c2g_capture.asked import operations_from
from p2c2g_capture.ownnets import nets_of, nets_of_clip, with_nets

TINY, SMALL = "1" * 32, "2" * 32
NETS = (
    OwnNet("etr", "ml-tiny", TINY, Path("tiny"), {}),
    OwnNet("etr", "ml-small", SMALL, Path("small"), {}),
)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("upscale:2:ml", f"upscale:2:ml@{TINY}+{SMALL}"),
        ("upscale:2:ml-tiny", f"upscale:2:ml-tiny@{TINY}"),
        ("upscale:2:ml-small,sharpen:0.5", f"upscale:2:ml-small@{SMALL},sharpen:0.5"),
        ("denoise:0.2,upscale:2:ml", f"denoise:0.2,upscale:2:ml@{TINY}+{SMALL}"),
        (f"upscale:2:ml@{'3' * 32},upscale:2:ml-tiny",
         f"upscale:2:ml@{'3' * 32},upscale:2:ml-tiny@{TINY}"),
    ],
)  # fmt: skip
def test_a_game_s_nets_are_named_in_the_pipeline(asked: str, expected: str) -> None:
    found = with_nets(Pipeline.parse(asked), "etr", NETS)
    assert found.text == expected
    assert found == Pipeline.parse(expected)


def test_a_size_that_the_game_has_no_net_of_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        with_nets(Pipeline.parse("upscale:2:ml-large"), "etr", NETS)
    assert str(refused.value) == (
        "etr has no net for upscale:2:ml-large: it has ml-tiny, ml-small. Give one of these or "
        "upscale:2:ml, or train one with p2c2g train --game etr --size ml-large."
    )


def test_a_pipeline_without_a_net_is_refused() -> None:
    with pytest.raises(UsageError, match=r"upscale:2:base has no place for the nets of etr"):
        with_nets(Pipeline.parse("upscale:2"), "etr", NETS)


def test_a_game_without_nets_is_told_how_to_have_one(tmp_path: Path) -> None:
    store = NetStore(tmp_path)
    with pytest.raises(UsageError) as none:
        nets_of("etr", store)
    assert str(none.value) == (
        "There is no net of etr: train one with p2c2g train --game etr; there are none of any "
        "game yet."
    )
    for game in ("openttd", "crispy-doom"):
        store.put(game, "ml-tiny", b"x", {})
    with pytest.raises(UsageError, match="there are nets of crispy-doom, openttd"):
        nets_of("etr", store)
    assert [net.method for net in nets_of("openttd", store)] == ["ml-tiny"]


def test_a_clip_has_the_nets_in_the_folder_beside_it(tmp_path: Path) -> None:
    clip = tmp_path / "dawn.mp4"
    assert nets_of_clip(clip) == ()
    assert nets_of_clip(tmp_path / "a name of no game.mp4") == ()
    NetStore(tmp_path).put("dawn", "ml-tiny", b"x", {})
    (net,) = nets_of_clip(clip)
    assert (net.method, net.path) == ("ml-tiny", tmp_path / "dawn" / "ml-tiny.onnx")


def test_nets_of_an_earlier_version_are_refused_in_a_sentence(tmp_path: Path) -> None:
    store = NetStore(tmp_path)
    for method in ("ml-tiny", "ml-small"):
        store.put("etr", method, b"x", {})
    card = tmp_path / "etr" / "ml-tiny.json"
    card.write_text(card.read_text().replace('"form": 2,', ""))
    assert [net.is_earlier for net in store.find("etr")] == [True, False]
    assert [net.method for net in nets_of("etr", store)] == ["ml-small"]
    (tmp_path / "etr" / "ml-small.onnx").unlink()
    with pytest.raises(UsageError) as refused:
        nets_of("etr", store)
    assert str(refused.value) == (
        "The nets of etr were made for an earlier version, whose nets gave whole pictures: train "
        "one again with p2c2g train --game etr."
    )


def test_the_pipeline_with_a_game_is_the_best_net() -> None:
    assert operations_from(None, None, "etr") == "upscale:2:ml"
    assert operations_from(None, "upscale:2:ml-tiny", "etr") == "upscale:2:ml-tiny"
    assert operations_from(None, None) == "upscale:2:ml"
    with pytest.raises(UsageError, match="--scale cannot be given with --game"):
        operations_from("2", None, "etr")
