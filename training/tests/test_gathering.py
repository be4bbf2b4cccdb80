"""Where frames come from: those of before stay until there are new ones."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from p2c2g.errors import P2C2GError
from p2c2g.media.frame import Size
from p2c2g_training.gathering import Origin, gather
from p2c2g_training.recording import Folder, Recording, save


def recorded(path: Path) -> Folder:
    """Return a folder with three frames of an earlier source."""
    folder = Folder(path)
    folder.write(Recording(source="screen", asked=9.0, seconds=9.0, whole=True, scenes=(3,)))
    for number in range(3):
        save(path / f"{number:05}.png", np.full((240, 320, 3), number, np.uint8))
    return folder


@pytest.mark.parametrize(
    "origin",
    [
        Origin(video=Path("nowhere.mp4")),
        Origin(video=Path(__file__)),
        Origin(source="game:no-such-game"),
        Origin(source="pattern", resolution=Size(320, 200)),
    ],
    ids=str,
)
def test_a_source_that_cannot_be_opened_costs_no_earlier_frame(
    tmp_path: Path, origin: Origin
) -> None:
    folder = recorded(tmp_path / "frames")
    before = folder.read()
    with pytest.raises(P2C2GError):
        gather(origin, folder, Console(file=io.StringIO()), threading.Event())
    assert folder.read() == before
    assert len(folder.files()) == 3


def test_frames_of_another_source_take_the_place_of_the_earlier_ones(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "frames")
    origin = Origin(source="pattern", seconds=0.2, resolution=Size(640, 360))
    gathered = gather(origin, folder, Console(file=io.StringIO()), threading.Event())
    assert len(gathered.files) == len(folder.files()) == 1
    assert folder.read().source == "pattern"
