"""Which chunks of a frame have changed since their last residual was made.

A chunk's pixels, halo included, are what its residual depends on.  Two questions are asked of them:

*Are they the same as some earlier ones?*  Their content's key tells, a hash of 128 bits.

*Are they nearly those of the residual that is known?*  Then that residual may be shown for a while.
They are compared with the pixels for which that very residual was made, never with those of the
frame before, so that small steps do not add up.  Two kinds are told apart: *faint*, where noise
moves values by a few levels, and *small*, where something as large as a mouse's pointer moves.
What is shown has the frame's own pixels in either case: the base layer is always the frame's own,
and only what is added to it is a little older.

Why a hash that is no cryptographic one will do: it is fast enough to be asked of each chunk of each
frame (0.01 ms for 640x188 pixels, where BLAKE3 takes 0.06, SHA-256 0.36 and BLAKE2 0.7).  Somebody
else may well choose pixels that a gamer sees: a film, a texture, a picture in a chat.  But to make
two pictures of one hash one has, as far as anybody has shown, to know its seed, or to see hashes;
the seed is drawn anew for each session, and no hash ever leaves it.  That is no proof.  It need not
be: who succeeds has one residual of this session stand where another should, and within the bounds
of the composition that is one chunk, a little less sharp (docs/residuals.md).

Pixel work, without a lock; belongs to the thread that submits frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil
from secrets import randbits
from typing import Any

import cv2
import numpy as np
import xxhash

from p2c2g.media.frame import Chunk, Pixels
from p2c2g.session.config import SessionConfig

#: Levels by which a colour may differ and be the same but for noise; the part of all values that
#: may differ by more, and by how much at most.
FAINT = 3
FAINT_SHARE = 1 / 64
FAINT_MOST = 12
#: Pixels that may differ by more where something small moves, such as a pointer of 16x24 in two
#: places; and at most so large a part of the chunk.
SMALL = 768
SMALL_SHARE = 1 / 20
#: Frames beyond those of a deadline of which it is remembered what they showed, and at most.
SPARE_FRAMES, MOST_FRAMES = 3, 16
#: Of so many rows one is looked at first, to tell at once what has changed altogether.
_EVERY = 16
#: And of those rows' values this part has to differ for that.
_MOVED = 0.15


class Nearness(Enum):
    """In which way pixels are nearly those of a residual that is known."""

    FAINT = "faint"  # noise
    SMALL = "small"  # something small has moved


@dataclass(frozen=True, slots=True)
class Seen:
    """What the pixels of one chunk say.

    ``key`` is that of their content.  ``near`` is the key of a content that they are nearly, and
    ``how`` in which way; None where they are not.
    """

    key: bytes
    near: bytes | None = None
    how: Nearness | None = None


class Changes:
    """The changes of one session's chunks.

    Args:
        chunks: of its frames.
        frames: so many of the latest frames may be those for which a residual has just come.
        seed: of the hash; drawn where None.
    """

    def __init__(self, chunks: Sequence[Chunk], frames: int, seed: int | None = None) -> None:
        self._chunks = chunks
        self._seed = randbits(64) if seed is None else seed
        self._frames = max(1, frames)
        #: The parts and keys of the latest frames, the oldest first.
        self._latest: deque[tuple[list[Pixels], tuple[bytes, ...]]] = deque()
        #: By chunk, the key of the residual that is known, and the pixels for which it was made.
        self._known: list[tuple[bytes, Pixels] | None] = [None] * len(chunks)

    def look(self, pixels: Pixels, known: Sequence[bytes | None]) -> tuple[Seen, ...]:
        """Return what the chunks of a frame are.

        Args:
            pixels: the frame's, ``(height, width, 3 or 4)``; not written to from now on.  A fourth
                channel is not looked at.
            known: by chunk, the key of the content for which its residual was made.
        """
        parts = [_colours(chunk.padded.of(pixels)) for chunk in self._chunks]
        keys = tuple(xxhash.xxh3_128_digest(part.data, seed=self._seed) for part in parts)
        self._latest.append((parts, keys))
        if len(self._latest) > self._frames:
            self._let_go(self._latest.popleft()[0])
        return tuple(map(self._seen, range(len(keys)), keys, parts, known))

    def _seen(self, index: int, key: bytes, part: Pixels, known: bytes | None) -> Seen:
        reference = None if known is None else self._reference(index, known)
        if known == key or known is None or reference is None:
            return Seen(key)
        how = nearness(part, reference)
        return Seen(key) if how is None else Seen(key, known, how)

    def _reference(self, index: int, known: bytes) -> Pixels | None:
        """Return the pixels for which a chunk's residual was made; None where they are gone."""
        held = self._known[index]
        if held is None or held[0] != known:
            found = (parts[index] for parts, keys in reversed(self._latest) if keys[index] == known)
            part = next(found, None)
            held = self._known[index] = None if part is None else (known, part)
        return None if held is None else held[1]

    def _let_go(self, parts: Sequence[Pixels]) -> None:
        """Forget a frame: who keeps a chunk of it must not keep all of it."""
        for index, held in enumerate(self._known):
            if held is not None and held[1] is parts[index] and held[1].base is not None:
                self._known[index] = (held[0], held[1].copy())


def changes_of(config: SessionConfig) -> Changes | None:
    """Return what finds the changes of a session's frames; None where nothing is used again."""
    if not config.reuse:
        return None
    in_flight = ceil(config.deadline * config.fps) + SPARE_FRAMES
    return Changes(config.chunks, min(in_flight, MOST_FRAMES))


def nearness(pixels: Pixels, reference: Pixels) -> Nearness | None:
    """Tell how pixels are nearly those of ``reference``; None where they are not.

    Args:
        pixels: ``(height, width, 3)``.
        reference: of the same size.
    """
    if reference.shape != pixels.shape:
        return None
    if len(pixels) > _EVERY:
        some = cv2.absdiff(pixels[::_EVERY], reference[::_EVERY])
        if _beyond(some) > _MOVED * some.size:
            return None
    apart: Any = cv2.absdiff(pixels, reference)
    beyond = _beyond(apart)
    if beyond <= FAINT_SHARE * apart.size and apart.max() <= FAINT_MOST:
        return Nearness.FAINT
    if beyond > 3 * min(SMALL, SMALL_SHARE * apart.size / 3):
        return None
    return Nearness.SMALL


def _beyond(apart: Any) -> int:
    """Return how many values are more than noise."""
    return int(np.count_nonzero(apart > FAINT))


def _colours(part: Pixels) -> Pixels:
    """Return the three colours of a part of a frame, in one piece."""
    if part.shape[2] == 4:
        return np.asarray(cv2.cvtColor(part, cv2.COLOR_BGRA2BGR), np.uint8)
    return np.ascontiguousarray(part)
