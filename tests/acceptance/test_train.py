"""``p2c2g train``, as a gamer calls it: on a made-up game's video."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.forks import LEARNING

from .conftest import finish, finish_quickly

pytest.importorskip("torch", reason="needs torch: pip install 'p2c2g[train]'")

QUIETLY = {"OMP_NUM_THREADS": "1"}
#: The command, but its training goes no further than its first state by itself.
HALTING = (sys.executable, "-P", str(Path(__file__).parents[1] / "halting_training.py"))


def film(path: Path, seconds: int) -> Path:
    """Write a lossless video of pixel art, two pictures a second."""
    random = np.random.default_rng(5)
    colours = random.integers(0, 256, (6, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(2))
        stream.width, stream.height, stream.pix_fmt = 320, 240, "bgr0"
        for _ in range(2 * seconds):
            art = colours[random.integers(0, 6, (60, 80))]
            large = cv2.resize(art, (320, 240), interpolation=cv2.INTER_NEAREST)
            picture = av.VideoFrame.from_ndarray(np.asarray(large, np.uint8), format="bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "art.mkv", 18)


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {**QUIETLY, "XDG_DATA_HOME": str(tmp_path), "COLUMNS": "200"}


def nets(home: dict[str, str]) -> list[str]:
    return sorted(path.name for path in Path(home["XDG_DATA_HOME"], "p2c2g").glob("nets/*/*"))


def test_a_net_that_is_better_is_kept_with_its_card(video: Path, home: dict[str, str]) -> None:
    done = finish("p2c2g", "train", "--game", "art", f"--video={video}", "--steps=40", **home)
    assert done.code == 0, done
    assert "27 frames teach, the last 7 are held back" in done.output, done
    assert "Kept: on 7 frames held back" in done.output
    assert "p2c2g-capture run --game art" in done.output
    assert nets(home) == ["ml-tiny.json", "ml-tiny.onnx"]
    data = Path(home["XDG_DATA_HOME"], "p2c2g")
    card = json.loads((data / "nets/art/ml-tiny.json").read_text())
    assert card["db_over_best"] >= card["margin"] == 0.3
    assert card["db_over_general"] >= 0
    assert card["steps"] == 40
    # Nothing of what it was made of is left.
    assert list(data.glob("training/*")) == []


def test_a_net_that_is_not_better_is_refused_in_a_sentence(
    video: Path, home: dict[str, str]
) -> None:
    arguments = ("train", "--game", "art", f"--video={video}", "--steps=4", "--margin=20")
    done = finish("p2c2g", *arguments, **home)
    assert done.code == 1, done
    assert done.errors.startswith("p2c2g: The net for art is not kept: on the 7 frames held back")
    assert done.errors.count("\n") == 1
    assert nets(home) == []


def test_ctrl_c_keeps_what_there_is_and_the_next_call_goes_on(
    video: Path, home: dict[str, str], start: Any
) -> None:
    arguments = ("train", "--game", "art", f"--video={video}", "--steps=60")
    command = start(*HALTING, *arguments, **home)
    # Begun, and far from its end, however quick this machine is.
    command.line_with("Training: 10 %")
    stopped = command.end()
    assert stopped.code == 130, stopped
    assert "p2c2g train --game art goes on" in stopped.output
    again = finish("p2c2g", *arguments, **home)
    assert again.code == 0, again
    assert "The training that was cut short goes on." in again.output
    assert "frames recorded before are used" in again.output
    assert "Training: 12 %" in again.output
    assert "Training: 10 %" not in again.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "Give --game NAME"),
        (("--game", "a/b"), 2, "letters, digits"),
        (("--game", "a", "--size", "ml-huge"), 2, "ml-tiny"),
        (("--game", "a", "--video", "none.mp4"), 2, "no file none.mp4"),
        (("--game", "a", "--frames", "none"), 2, "none is not a folder"),
        (("--game", "a", "--video", "x", "--frames", "y"), 2, "either"),
        (("--game", "a", "--source", "nonsense"), 2, "is not a source"),
        (("--game", "a", "--minutes", "0"), 2, "--minutes"),
        (("--cancel", "a"), 2, "nothing to cancel"),
        (("--game", "a", "--resolution", "big"), 2, "big"),
    ],
)
def test_wrong_input_is_one_sentence(
    arguments: tuple[str, ...], code: int, words: str, home: dict[str, str]
) -> None:
    done = finish_quickly("p2c2g", "train", *arguments, imported=LEARNING, **home)
    assert done.code == code, done
    assert words in done.errors
    assert "Traceback" not in done.errors


def test_too_little_says_what_to_do(tmp_path: Path, home: dict[str, str]) -> None:
    short = film(tmp_path / "short.mkv", 5)
    arguments = ("train", "--game", "art", f"--video={short}")
    done = finish_quickly("p2c2g", *arguments, imported=LEARNING, **home)
    assert done.code == 2, done
    assert "There are 10 frames of art that differ, where 24 are needed" in done.errors
