"""The benchmarks of codecs and lanes, on a small game of two scenes."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import codecs, lanes
from benchmarks.moving import scenes
from p2c2g.media.frame import Size
from p2c2g_training.recording import Folder, Recording, save
from p2c2g_workers.processors import network
from tests.hard_pictures import picture

pytestmark = pytest.mark.skipif(bool(network.MISSING), reason=str(network.MISSING))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Return a folder with a game whose picture scrolls, stands still, and is another one."""
    game = tmp_path / "a-game"
    Folder(game).write(Recording("a-game", whole=True, scenes=(3, 2)))
    wide = picture(Size(220, 128), 1, "soft")
    frames = [wide[:, :192], wide[:, 8:200], wide[:, 8:200], wide[:, 16:208], wide[:, 28:220]]
    for number, pixels in enumerate(frames):
        save(game / f"{number:05}.png", np.ascontiguousarray(pixels))
    return tmp_path


def test_scenes_are_what_was_recorded_in_one_go(recordings: Path) -> None:
    found = list(scenes(recordings / "a-game"))
    assert [[file.name for file in files] for files in found] == [
        ["00000.png", "00001.png", "00002.png"], ["00003.png", "00004.png"],
    ]  # fmt: skip


def test_every_way_up_and_down_is_measured(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert codecs.main(["--recordings", str(recordings), "--frames", "1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    for name, quality in (*codecs.SOURCES, *codecs.RESIDUALS):
        assert f"| {name} {quality} |" in said
    rows = json.loads((out / "codecs.json").read_text())
    assert {row["game"] for row in rows} == {"a-game"}
    assert all(row["kib"][0] > 0 < row["kib"][1] for row in rows)


def test_lanes_are_compared_with_pictures_of_their_own(
    recordings: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(lanes, "RATES", (22, 30))
    assert lanes.main(["--recordings", str(recordings), "--out", str(out)]) == 0
    assert "| a-game 1 | JPEG 80 |" in capsys.readouterr().out
    runs = json.loads((out / "lanes.json").read_text())
    still = [run for run in runs if run["game"] == "a-game 1" and run["way"] == "jpeg"]
    assert all(run["changed"] < run["every"] for run in still), "the third frame is the second"
    assert all(run["keys"] > 0 for run in runs if run["way"] != "jpeg")


@pytest.mark.parametrize("bench", [codecs, lanes])
def test_without_recordings_one_sentence_says_what_to_do(
    bench: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["--recordings", str(tmp_path)]) == 2  # type: ignore[attr-defined]
    assert "python -m benchmarks.moving" in capsys.readouterr().err
