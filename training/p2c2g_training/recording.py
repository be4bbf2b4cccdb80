"""Frames of a game, as it draws them: the large pictures that a net learns from.

A recording is a folder of PNG files, numbered in the order of time, and ``recording.json`` that
says how many there are of each scene: a stretch that was recorded in one go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from p2c2g.errors import UsageError
from p2c2g.media.frame import MAX_EDGE, Pixels, Size
from p2c2g.system.files import write_whole

#: Seconds between two frames: nearer ones teach little.
INTERVAL = 0.5
#: Most frames of a game: more are thinned out evenly over the time.
MAX_FRAMES = 180
#: Most pixels of all frames: training takes six bytes of memory for each.
MAX_PIXELS = 200_000_000
#: Least edge of a frame: a patch of half its size has to fit, with its margins.
MIN_EDGE = 240

#: A frame is taken if this part of its pixels changed by more than eight levels.
_MOVED = 0.02
#: Levels of deviation below which a picture counts as one colour.
_FLAT = 4
CARD = "recording.json"


@dataclass
class Sieve:
    """Chooses frames as they come: not too close in time, none that is flat or hardly changed.

    Args:
        interval: least seconds between two.
        due: seconds from which on the first may be taken.
    """

    interval: float = INTERVAL
    due: float = 0.0
    _last: Pixels | None = None

    def takes(self, now: float, pixels: Pixels) -> bool:
        """Return whether a frame ``(h, w, 3 or 4)`` at ``now`` seconds is taken, and note it."""
        if now < self.due:
            return False
        seen = np.ascontiguousarray(pixels[::4, ::4, :3])
        if seen.std() < _FLAT or not self._moved(seen):
            return False
        self._last, self.due = seen, now + self.interval
        return True

    def _moved(self, seen: Pixels) -> bool:
        if self._last is None or self._last.shape != seen.shape:
            return True
        return bool((cv2.absdiff(seen, self._last) > 8).mean() > _MOVED)


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording so far: ``scenes`` are the scenes' numbers of frames, ``seconds`` of play.

    ``source`` is where it came from, ``asked`` the seconds that were asked for, and ``whole``
    whether it reached its end.
    """

    source: str = ""
    asked: float = 0.0
    seconds: float = 0.0
    whole: bool = False
    scenes: tuple[int, ...] = ()

    @property
    def frames(self) -> int:
        """Return how many frames there are."""
        return sum(self.scenes)


@dataclass
class Folder:
    """A growing recording on disk; beyond ``most`` frames, every second one is deleted."""

    path: Path
    most: int = MAX_FRAMES
    thinned: int = field(default=0, init=False)

    def read(self) -> Recording:
        """Return the recording; files that a crash left uncounted are a scene of their own."""
        files = self.files()
        try:
            card: dict[str, Any] = json.loads((self.path / CARD).read_text(encoding="utf-8"))
            scenes = tuple(int(one) for one in card["scenes"])
            found = Recording(
                source=str(card.get("source", "")),
                asked=float(card.get("asked", 0)),
                seconds=float(card.get("seconds", 0)),
                whole=bool(card.get("whole", True)),
                scenes=scenes,
            )
        except (OSError, KeyError, TypeError, ValueError):
            found = Recording()
        counted = sum(found.scenes)
        if counted == len(files):
            return found
        scenes = (*found.scenes, len(files) - counted) if counted < len(files) else (len(files),)
        return replace(found, whole=False, scenes=tuple(one for one in scenes if one))

    def files(self) -> list[Path]:
        """Return the frames' files in the order of time."""
        return sorted(self.path.glob("[0-9]*.png"))

    def extend(
        self,
        recording: Recording,
        frames: Iterable[tuple[float, Pixels]],
        tell: Callable[[int, float], None] = lambda _count, _now: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Recording:
        """Add one scene to a recording and return it; frames before a stop are kept.

        Args:
            recording: the recording so far.
            frames: (seconds since the scene began, picture), in the order of time.
            tell: called for each picture with the number kept so far and its time.
            stopped: asked before each picture.
        """
        # After a crash, the next run has to know which source the frames came from.
        self.write(replace(recording, whole=False))
        scenes, now, whole = [*recording.scenes, 0], 0.0, True
        sieve = Sieve()
        for now, pixels in frames:
            if stopped():
                whole = False
                break
            if sieve.takes(now, pixels):
                if sum(scenes) >= self.most:
                    scenes = self._thin(scenes)
                    sieve.interval *= 2
                save(self.path / f"{sum(scenes):05}.png", pixels)
                scenes[-1] += 1
            tell(sum(scenes), now)
        grown = replace(
            recording,
            seconds=recording.seconds + now,
            whole=whole,
            scenes=tuple(one for one in scenes if one),
        )
        self.write(grown)
        return grown

    def write(self, recording: Recording) -> None:
        """Write the card."""
        self.path.mkdir(parents=True, exist_ok=True)
        card = {
            "source": recording.source,
            "asked": recording.asked,
            "seconds": round(recording.seconds, 1),
            "whole": recording.whole,
            "scenes": recording.scenes,
        }
        write_whole(self.path / CARD, json.dumps(card))

    def _thin(self, scenes: Sequence[int]) -> list[int]:
        """Delete every second frame, so that the rest covers the same time."""
        kept, left = halved(scenes)
        for number, file in enumerate(self.files()):
            if number in kept:
                file.rename(self.path / f"{kept[number]:05}.png")
            else:
                file.unlink()
                self.thinned += 1
        return left


def halved(scenes: Sequence[int]) -> tuple[dict[int, int], list[int]]:
    """Return which frames stay when every second goes (old number to new), and the scenes."""
    kept: dict[int, int] = {}
    left, begin = [], 0
    for count in scenes:
        stay = range(begin, begin + count, 2)
        kept |= {old: len(kept) + index for index, old in enumerate(stay)}
        left.append(len(stay))
        begin += count
    return kept, left


def save(path: Path, pixels: Pixels) -> None:
    """Write a frame ``(h, w, 3 or 4)`` BGR as PNG, whole or not at all."""
    done, data = cv2.imencode(
        ".png", np.ascontiguousarray(pixels[:, :, :3]), [cv2.IMWRITE_PNG_COMPRESSION, 1]
    )
    assert done
    # Frames by the hundred, which can be recorded again.
    write_whole(path, data.tobytes(), durable=False)


def load(folder: Path) -> list[Pixels]:
    """Return a recording's frames in the order of time: (h, w, 3) BGR each."""
    frames = [cv2.imread(str(path)) for path in sorted(folder.glob("*.png"))]
    return [np.asarray(frame, np.uint8) for frame in frames if frame is not None]


def load_checked(paths: Sequence[Path]) -> list[Pixels]:
    """Return pictures from files; a gamer gave them, so each is checked.

    Raises:
        UsageError: one is not a picture, or is too small or too large.
    """
    frames = []
    for path in paths:
        pixels = cv2.imread(str(path))
        if pixels is None:
            raise UsageError(f"{path} is not a picture that can be read: give PNG files.")
        frames.append(np.asarray(pixels, np.uint8))
        check_size(Size.of(frames[-1]), str(path))
    return frames


def check_size(size: Size, name: str) -> None:
    """Refuse a picture that a net cannot be trained on.

    Raises:
        UsageError: it is too small, or too large for any codec of ours.
    """
    if min(size.width, size.height) < MIN_EDGE or max(size.width, size.height) > MAX_EDGE:
        raise UsageError(
            f"{name} is {size}, which cannot teach a net: give pictures from "
            f"{MIN_EDGE}x{MIN_EDGE}, best as large as the game will be shown, such as 1280x720."
        )


def fitting(count: int, pixels: int, most: int = MAX_FRAMES, room: int = MAX_PIXELS) -> list[int]:
    """Return which of ``count`` frames of ``pixels`` each to keep: evenly over the time."""
    keep = min(count, most, max(1, room // max(1, pixels)))
    return [index * count // keep for index in range(keep)] if count else []


def paced(
    grab: Callable[[int], Pixels],
    seconds: float,
    clock: Callable[[], float],
    wait: Callable[[float], object],
) -> Iterator[tuple[float, Pixels]]:
    """Yield a source's picture every :data:`INTERVAL`, for ``seconds``.

    Args:
        grab: takes the number of the tick; returns the present picture.
        seconds: how long in all.
        clock: returns seconds.
        wait: waits for a number of seconds, less if it is woken.
    """
    began, now, tick = clock(), 0.0, 0
    while now < seconds:
        yield now, grab(tick)
        tick += 1
        # Missed ticks are left out.
        rest = INTERVAL - (clock() - began) % INTERVAL
        wait(rest)
        now = clock() - began
