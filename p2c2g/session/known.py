"""The residuals that a session has already: those shown last, and a cache of earlier ones.

Pure.  A residual belongs to a chunk and to the content for which it was made, which a key stands
for (:mod:`p2c2g.session.changes`).  Of each chunk one residual is *held*, the one for what was seen
last or shortly before; besides, those of many contents are cached by key, so that what comes back,
such as a menu or the other half of an animation, has its residual at once.

What is there is shown, and may be asked for anew beside that:

* where it was made by a lesser recipe than there is now, or by a lesser net than a peer may choose:
  each time after a longer while, until it is the best;
* where the content is only nearly the same: after :data:`FAINT_AFTER` seconds where that is noise,
  :data:`SMALL_AFTER` where something small moves.

What comes for the same content by no better recipe changes nothing: two peers' residuals differ a
little, and a still picture must not shimmer.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Generic

from p2c2g.media.methods import BASE
from p2c2g.media.operations import Call, Pipeline
from p2c2g.media.recipe import Recipe
from p2c2g.session.changes import Nearness, Seen
from p2c2g.session.frames import Basis, P, Part

#: Bytes of residuals that are cached, and how many; the one used least lately is dropped.
MOST_BYTES = 32 << 20
MOST = 8192
#: Seconds for which the residual of nearly the same content is shown, before it is asked for anew.
FAINT_AFTER, SMALL_AFTER = 2.0, 0.25
#: Seconds before a better one is asked for, doubled each time that none came, and at most.
BETTER_AFTER, BETTER_MOST = 0.5, 32.0

#: The methods that a peer may choose, by how far they are from the best.
_METHODS = {"ml-large": 0, "ml-small": 0, "ml-tiny": 1, BASE: 2}

#: A chunk's index, and the key of what it shows.
Content = tuple[int, bytes]


def worth(recipe: Recipe, ran: str) -> tuple[int, int]:
    """Return how far a residual is from the best that a session asks for: less is better.

    That is the rank of its recipe, and then which net the peer chose, where the choice was the
    peer's: ``ran`` is the pipeline, else empty.
    """
    if not ran:
        return recipe.rank, 0
    pairs = zip(recipe.operations.operations, Pipeline.parse(ran).operations, strict=False)
    return recipe.rank, max((_below(*pair) for pair in pairs), default=0)


def _below(asked: Call, done: Call) -> int:
    """Return how far a method that a peer chose is from the best that it could have.

    A game's own net is the best where there is one, and then the larger ones, of which the largest
    are alike (``p2c2g_workers/ladder.py``).
    """
    if done.weights or done.method not in _METHODS:
        return 0
    return _METHODS[done.method] + bool(asked.weights)


def _worth(part: Part[P]) -> tuple[int, int]:
    return worth(part.recipe, part.ran)


@dataclass(slots=True)
class _Entry(Generic[P]):
    """A residual, from when on a better one is to be asked for, and after how many seconds more."""

    part: Part[P]
    again_at: float
    pause: float = BETTER_AFTER


@dataclass(slots=True)
class _Held(Generic[P]):
    """The residual of a chunk that may be shown: for which content, and since which frame.

    ``asked_at`` is when it was last asked for.
    """

    key: bytes
    entry: _Entry[P]
    number: int
    asked_at: float


@dataclass(frozen=True, slots=True)
class Found(Generic[P]):
    """A residual that is there for a chunk: on which grounds, and whether to ask for it anew."""

    part: Part[P]
    basis: Basis
    again: bool


class Known(Generic[P]):
    """The known residuals of one session.

    Args:
        count: of its chunks.
        most_bytes: of residuals that are cached.
    """

    def __init__(self, count: int, most_bytes: int = MOST_BYTES) -> None:
        self._held: list[_Held[P] | None] = [None] * count
        self._cached: OrderedDict[Content, _Entry[P]] = OrderedDict()
        self._most_bytes = most_bytes
        #: Bytes that are cached.
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._cached)

    def keys(self) -> tuple[bytes | None, ...]:
        """Return by chunk for which content its residual was made that is held."""
        return tuple(None if held is None else held.key for held in self._held)

    def find(
        self, index: int, seen: Seen, number: int, now: float, recipe: Recipe | None
    ) -> Found[P] | None:
        """Return the residual that is there for a chunk of a frame, or None.

        One from the cache is held from now on; it has lost what it was decoded to.

        Args:
            index: the chunk's.
            seen: what it shows.
            number: the frame's.
            now: seconds of the session's clock.
            recipe: by which it may be asked for; None where it may not.
        """
        held = self._held[index]
        if held is not None and held.key == seen.key:
            again = recipe is not None and _improve(held.entry, recipe, now)
            return Found(held.entry.part, Basis.UNCHANGED, again)
        cached = self._cached.get((index, seen.key))
        if cached is not None:
            self._cached.move_to_end((index, seen.key))
            self._held[index] = _Held(seen.key, cached, number, now)
            again = recipe is not None and _improve(cached, recipe, now)
            return Found(cached.part, Basis.CACHED, again)
        if held is None or seen.near != held.key:
            return None
        after = FAINT_AFTER if seen.how is Nearness.FAINT else SMALL_AFTER
        again = recipe is not None and now - held.asked_at >= after
        if again:
            held.asked_at = now
        return Found(held.entry.part, Basis.NEAR, again)

    def learn(self, index: int, key: bytes, part: Part[P], number: int, now: float) -> bool:
        """Keep a residual that came for a chunk.

        Args:
            index: the chunk's.
            key: of the content for which it was made.
            part: the residual.
            number: of the frame with which it was sent.
            now: seconds of the session's clock.

        Returns:
            Whether it is better than what was known of that content.
        """
        held, before = self._held[index], self._entry(index, key)
        if before is not None and _worth(before.part) <= _worth(part):
            return False
        self._cache((index, key), _Entry(replace(part, residual=None), now + BETTER_AFTER))
        if held is None or held.key == key or number > held.number:
            self._held[index] = _Held(key, _Entry(part, now + BETTER_AFTER), number, now)
        return True

    def is_wanted(self, index: int, key: bytes, recipe: Recipe, ran: str) -> bool:
        """Tell whether a residual would be better than what is known of a chunk's content."""
        before = self._entry(index, key)
        return before is None or worth(recipe, ran) < _worth(before.part)

    def revive(self, index: int, part: Part[P], residual: P) -> Part[P]:
        """Take what a part from the cache was decoded to; return it with that."""
        part = replace(part, residual=residual)
        held = self._held[index]
        if held is not None and held.entry.part.payload is part.payload:
            # The cache's own entry stays without it.
            held.entry = replace(held.entry, part=part)
        return part

    def forget(self, peer: str) -> None:
        """Forget what a peer has made: it was found to lie."""
        for index, held in enumerate(self._held):
            if held is not None and held.entry.part.peer == peer:
                self._held[index] = None
        for content in [key for key, each in self._cached.items() if each.part.peer == peer]:
            self._drop(self._cached.pop(content))

    # -- inside ------------------------------------------------------------------------------------

    def _entry(self, index: int, key: bytes) -> _Entry[P] | None:
        held = self._held[index]
        if held is not None and held.key == key:
            return held.entry
        return self._cached.get((index, key))

    def _cache(self, content: Content, entry: _Entry[P]) -> None:
        self._drop(self._cached.pop(content, None))
        self._cached[content] = entry
        self.bytes += len(entry.part.payload)
        while self.bytes > self._most_bytes or len(self._cached) > MOST:
            self._drop(self._cached.popitem(last=False)[1])

    def _drop(self, entry: _Entry[P] | None) -> None:
        if entry is not None:
            self.bytes -= len(entry.part.payload)


def _improve(entry: _Entry[P], recipe: Recipe, now: float) -> bool:
    """Tell whether to ask now for a better residual than this, by a recipe; note that it is."""
    rank, method = _worth(entry.part)
    if (rank <= recipe.rank and not method) or now < entry.again_at:
        return False
    entry.again_at = now + entry.pause
    entry.pause = min(2 * entry.pause, BETTER_MOST)
    return True
