"""Films of games, every picture as it was drawn, with the seconds of each: what moves, and how."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels
from p2c2g_training.pairs import Pair, pair
from p2c2g_training.rivals import QUALITY, drawn
from training.games import find, playing


@dataclass(frozen=True, slots=True)
class Film:
    """What is recorded: of which game, for how long after which time, and with which keys."""

    game: str
    scene: int
    settle: float
    seconds: float
    keys: tuple[str, ...] | None = None


FILMS = {
    "openttd, still": Film("openttd", 0, 6, 4, ()),
    "frozen-bubble, still": Film("frozen-bubble", 1, 6, 4),
    "openttd, scrolls": Film("openttd", 0, 6, 4),
    "supertux2, scrolls": Film("supertux2", 2, 6, 8, (*("Right",) * 4, "space")),
    "crispy-doom, turns": Film("crispy-doom", 1, 8, 4),
    "etr, turns": Film("etr", 0, 26, 5, ("Up", "Left", "Right", "Up")),
}


def record(name: str, film: Film, folder: Path) -> None:
    """Record every frame of a film, with the seconds of each.

    Raises:
        SourceUnavailableError: the game does not start.
    """
    game = find(film.game)
    if film.keys is not None:
        game = replace(game, keys=film.keys)
    frames: list[tuple[float, Pixels]] = []
    with playing(game, film.scene, 7, pause=0.004) as screen:
        for now, pixels in screen:
            if now >= film.settle + film.seconds:
                break
            if now >= film.settle and (not frames or now - frames[-1][0] >= 1 / 70):
                frames.append((now - film.settle, pixels.copy()))
    to = folder / name
    to.mkdir(parents=True, exist_ok=True)
    for at, (_, pixels) in enumerate(frames):
        cv2.imwrite(str(to / f"{at:05}.png"), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    (to / "times.json").write_text(json.dumps([now for now, _ in frames]))


def played(path: Path, fps: int, count: int) -> list[Pair]:
    """Return ``count`` frames of a film as a session captures them, from its middle."""
    if path.is_file():
        return [pair(one, QUALITY) for one in _decoded(path, count)]
    times = json.loads((path / "times.json").read_text())
    chosen = _chosen(times, fps, count)
    whole_ = [_read(path / f"{at:05}.png") for at in chosen]
    if (path / "small").is_dir():
        return drawn([_read(path / "small" / f"{at:05}.png") for at in chosen], whole_)
    return [pair(one, QUALITY) for one in whole_]


def _decoded(path: Path, count: int) -> list[Pixels]:
    """Return frames from the middle of a video, one after the other."""
    video = cv2.VideoCapture(str(path))
    length = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    frames = []
    for at in range((length + count) // 2):
        there, frame = video.read()
        if there and at >= (length - count) // 2:
            frames.append(np.asarray(frame, np.uint8))
    return frames


def _chosen(times: Sequence[float], fps: int, count: int) -> list[int]:
    """Return the newest frame at each tick."""
    begin = max(times[0], (times[0] + times[-1] - count / fps) / 2)
    ticks = [begin + at / fps for at in range(count)]
    return [max(0, int(np.searchsorted(times, now + 1e-6)) - 1) for now in ticks]


def _read(path: Path) -> Pixels:
    found = cv2.imread(str(path))
    if found is None:
        raise UsageError(f"{path} is no picture.")
    return np.asarray(found, np.uint8)
