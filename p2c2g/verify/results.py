"""Decodes a stranger's result and checks it against what was sent."""

from __future__ import annotations

from functools import lru_cache

from p2c2g.media.frame import Chunk, Pixels, Size
from p2c2g.media.recipe import Recipe
from p2c2g.media.residual import Residual
from p2c2g.verify.checks import Checker

#: Recipes of which the checker is kept.
RECIPES = 64


class ResultReader:
    """Reads the results of one session.  Any thread may ask.

    Args:
        size: of the session's frames.
        usual: the recipe that is used first.

    Raises:
        UsageError: nobody has calibrated the codec of its form.
    """

    def __init__(self, size: Size, usual: Recipe) -> None:
        def checker(recipe: Recipe) -> Checker:
            return Checker(recipe.form, recipe.operations.resolve(size))

        self._checker = lru_cache(RECIPES)(checker)
        self._checker(usual)

    def decode(self, chunk: Chunk, payload: bytes, recipe: Recipe) -> Residual:
        """Return a chunk's result, ``(height, width, 1 or 3)`` of ``chunk.target``'s size.

        Raises:
            ChunkError: it is no residual of that size.
        """
        return recipe.form.decode(payload, chunk.target.size)

    def read(self, chunk: Chunk, payload: bytes, source: Pixels, recipe: Recipe) -> Residual:
        """Return a chunk's result as :meth:`decode` does, checked against its source frame.

        Raises:
            ChunkError: it is no residual of its chunk.
        """
        residual = self.decode(chunk, payload, recipe)
        self._checker(recipe).check(source, chunk, residual)
        return residual
