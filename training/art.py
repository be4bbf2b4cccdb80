"""Pictures of other games' art, for the general nets: more variety than our own games have.

The art comes from Debian packages of free games that need not be installed: they are downloaded
and unpacked.  It is composed into collages of a screen's size, sprites over a background with
lettering, as a game would draw it, sharp to the pixel.  Neither art nor collages are part of the
repository; the licences are those of each package, for the cards.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Pixels, Size
from p2c2g.system import processes
from p2c2g_training.lettering import words

#: By package of Debian 12: the licence of its art.
ART = {
    "wesnoth-1.16-data": "GPL-2.0-or-later",
    "hedgewars-data": "GPL-2.0",
    "freeciv-data": "GPL-2.0-or-later",
    "flare-game": "CC-BY-SA-3.0-or-later",
    "lbreakout2-data": "GPL-2.0-or-later",
    "neverball-data": "GPL-2.0-or-later",
    "pingus-data": "GPL-2.0-or-later",
    "tuxpaint-stamps-default": "GPL-2.0",
    "unknown-horizons": "CC-BY-SA-3.0",
    "colobot-common-textures": "GPL-3.0-or-later",
    "blobwars-data": "GPL-2.0-or-later, CC-BY-3.0 and CC-BY-SA-3.0",
}
#: By package of Debian 12, the licence of its pictures for a desktop: photographs and drawings.
PICTURES = {
    "lomiri-wallpapers-16.04": "CC-BY-4.0 and CC-BY-SA-4.0",
    "lomiri-wallpapers-20.04": "CC-BY-4.0 and CC-BY-SA-4.0",
    "mate-backgrounds": "GPL-2.0-or-later and CC-BY-SA-4.0",
    "plasma-workspace-wallpapers": "LGPL-3.0 and CC-BY-SA-4.0",
    "ukui-wallpapers": "CC-BY-SA-3.0",
}
#: Most pictures of one package: the largest have thousands, nearly alike.
LIMIT = 500
#: A collage's size.
SIZE = Size(1280, 720)
#: Files with these in their names are left out: the heroes of the games that nets are judged on.
_NOT = ("tux", "pengu")
#: The least edge of a picture, the least spread of its levels, and the largest edge of a sprite.
_LEAST, _SPREAD, _SPRITE = 16, 6.0, 700


@dataclass(slots=True)
class Art:
    """One package's pictures: ``sprites`` (h, w, 3 or 4) and opaque ``grounds`` (h, w, 3)."""

    sprites: list[Pixels] = field(default_factory=list)
    grounds: list[Pixels] = field(default_factory=list)
    count: int = 0


def fetch(package: str, folder: Path) -> Path:
    """Download and unpack a Debian package below ``folder``; returns where it is.

    Raises:
        SourceUnavailableError: apt does not have it, or this is not Debian.
    """
    there = folder / package
    if there.is_dir():
        return there
    apt, dpkg = processes.find("apt-get"), processes.find("dpkg")
    if apt is None or dpkg is None:
        raise SourceUnavailableError(
            "Art comes from Debian's packages: run this where apt-get and dpkg are."
        )
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{package}.part"
    try:
        subprocess.run([apt, "download", "-q", package], cwd=folder, check=True)
        file = next(folder.glob(f"{package}_*.deb"))
        subprocess.run([dpkg, "-x", str(file.resolve()), str(part.resolve())], check=True)
    except (subprocess.CalledProcessError, StopIteration) as error:
        raise SourceUnavailableError(
            f"apt-get gives no package {package}: apt-get update, or leave it out."
        ) from error
    file.unlink()
    return part.rename(there)


def gather(folder: Path, seed: int) -> Art:
    """Read up to ``LIMIT`` of the pictures below a folder, chosen by the seed."""
    random = np.random.default_rng(seed)
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in {".png", ".jpg", ".jpeg"}
        and path.is_file()
        and not any(word in path.name.lower() for word in _NOT)
    )
    art = Art()
    for index in random.permutation(len(files)):
        if art.count == LIMIT:
            break
        image = _read(files[index])
        if image is None:
            continue
        art.count += 1
        if image.shape[2] == 3 or image[..., 3].min() > 250:
            art.grounds.append(np.ascontiguousarray(image[..., :3]))
        if max(image.shape[:2]) <= _SPRITE:
            art.sprites.append(image)
    return art


def pictures(folder: Path) -> list[Pixels]:
    """Read the large pictures below a folder, such as those of :data:`PICTURES`."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".png", ".jpg"})
    found = (_read(path) for path in files if path.is_file() and not path.is_symlink())
    return [
        np.ascontiguousarray(one[..., :3])
        for one in found
        if one is not None and min(one.shape[:2]) >= SIZE.height
    ]


def collages(arts: Sequence[Art], count: int, seed: int) -> NDArray[np.uint8]:
    """Return ``count`` pictures (720, 1280, 3) composed from the art of some packages."""
    random = np.random.default_rng(seed)
    drawn = np.empty((count, SIZE.height, SIZE.width, 3), np.uint8)
    for canvas in drawn:
        canvas[:] = _ground(arts, random)
        _sprinkle(canvas, arts, random)
        words(canvas, int(random.integers(0, 14)), random)
    return drawn


def _read(path: Path) -> Pixels | None:
    image: Any = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint8 or image.ndim != 3:
        return None
    if min(image.shape[:2]) < _LEAST or image[..., :3].std() < _SPREAD:
        return None
    # A net would learn a codec's damage as part of a good picture.
    lossy = path.suffix.lower() != ".png" and min(image.shape[:2]) >= 400
    while lossy or max(image.shape[:2]) > 2600:
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        lossy = False
    return np.asarray(image, np.uint8)


def _ground(arts: Sequence[Art], random: np.random.Generator) -> Pixels:
    """Return a soft cloud of colours, a large picture, or small ones as tiles."""
    having = [art.grounds for art in arts if art.grounds]
    if not having or random.random() < 0.12:
        few = (int(random.integers(2, 8)), int(random.integers(2, 12)), 3)
        cloud = random.integers(0, 256, few, dtype=np.uint8)
        large = cv2.resize(cloud, (SIZE.width, SIZE.height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(large, np.uint8)
    grounds = having[int(random.integers(len(having)))]
    image = grounds[int(random.integers(len(grounds)))]
    height, width = image.shape[:2]
    if height >= SIZE.height and width >= SIZE.width:
        y = int(random.integers(height - SIZE.height + 1))
        x = int(random.integers(width - SIZE.width + 1))
        return image[y : y + SIZE.height, x : x + SIZE.width]
    # The tiles are one picture, or all those of about its size.
    alike = [
        other
        for other in grounds
        if abs(other.shape[0] - height) <= height // 2 and abs(other.shape[1] - width) <= width // 2
    ]
    if random.random() < 0.5:
        alike = [image]
    canvas = np.empty((SIZE.height, SIZE.width, 3), np.uint8)
    for y in range(0, SIZE.height, height):
        for x in range(0, SIZE.width, width):
            place = canvas[y : y + height, x : x + width]
            tile = alike[int(random.integers(len(alike)))]
            times = (-(-place.shape[0] // tile.shape[0]), -(-place.shape[1] // tile.shape[1]), 1)
            place[:] = np.tile(tile, times)[: place.shape[0], : place.shape[1]]
    return canvas


def _sprinkle(canvas: Pixels, arts: Sequence[Art], random: np.random.Generator) -> None:
    """Lay sprites of two packages over a picture: many, or a few."""
    few = random.random() < 0.3
    two = random.choice(len(arts), min(2, len(arts)), replace=False)
    own = [arts[int(index)].sprites for index in two if arts[int(index)].sprites]
    for _ in range(int(random.integers(0, 9) if few else random.integers(25, 80)) if own else 0):
        sprites = own[int(random.integers(len(own)))]
        image = sprites[int(random.integers(len(sprites)))]
        if few and max(image.shape[:2]) > 250:
            continue
        chance = random.random()
        if chance < 0.2:
            share = float(random.uniform(0.5, 1))
            image = _scaled(image, share, cv2.INTER_AREA)
        elif chance < 0.3 and max(image.shape[:2]) < 200:
            image = _scaled(image, 2, int(random.choice([cv2.INTER_NEAREST, cv2.INTER_LINEAR])))
        x = int(random.integers(-40, SIZE.width - 20))
        _paste(canvas, image, x, int(random.integers(-40, SIZE.height - 20)))


def _scaled(image: Pixels, factor: float, method: int) -> Pixels:
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=method), np.uint8)


def _paste(canvas: Pixels, image: Pixels, x: int, y: int) -> None:
    """Draw a picture, as opaque as its fourth channel says, at a place that may lie outside."""
    left, top = max(0, x), max(0, y)
    right, bottom = min(SIZE.width, x + image.shape[1]), min(SIZE.height, y + image.shape[0])
    if left >= right or top >= bottom:
        return
    part = image[top - y : bottom - y, left - x : right - x]
    place = canvas[top:bottom, left:right]
    if part.shape[2] == 3:
        place[:] = part
        return
    solid = part[..., 3:].astype(np.float32) / 255
    place[:] = np.rint(part[..., :3] * solid + place * (1 - solid)).astype(np.uint8)
