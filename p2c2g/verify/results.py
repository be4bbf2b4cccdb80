"""Decodes a stranger's result and checks it against what was sent."""

from __future__ import annotations

from p2c2g.media.frame import Chunk, Pixels
from p2c2g.media.operations import Plan
from p2c2g.media.residual import Form, Residual
from p2c2g.verify.checks import Checker


class ResultReader:
    """Reads the results of one session.  Without state: any thread may ask.

    Args:
        form: how its residuals are written.
        plan: the pipeline, resolved for the session's frames.

    Raises:
        UsageError: nobody has calibrated the form's codec.
    """

    def __init__(self, form: Form, plan: Plan) -> None:
        self._form = form
        self._checker = Checker(form, plan)

    def decode(self, chunk: Chunk, payload: bytes) -> Residual:
        """Return a chunk's result, ``(height, width, 1 or 3)`` of ``chunk.target``'s size.

        Raises:
            ChunkError: it is no residual of that size.
        """
        return self._form.decode(payload, chunk.target.size)

    def read(self, chunk: Chunk, payload: bytes, source: Pixels) -> Residual:
        """Return a chunk's result as :meth:`decode` does, checked against its source frame.

        Raises:
            ChunkError: it is no residual of its chunk.
        """
        residual = self.decode(chunk, payload)
        self._checker.check(source, chunk, residual)
        return residual
