"""Prepares a frame, on the thread that submits it: what has changed is found, and encoded.

The pixel work is done with no lock held; what it needs to know, and what follows from it, is asked
of the core.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from p2c2g.media.chunker import cut
from p2c2g.media.frame import Chunk, Frame
from p2c2g.session.changes import Changes, Seen
from p2c2g.session.chosen_chunks import detail_of
from p2c2g.session.frames import FramePlan
from p2c2g.session.shell import Shell
from p2c2g.verify.results import ResultReader


class Preparer:
    """Prepares the frames of one session.  Belongs to the thread that submits them.

    Args:
        shell: the session's core.
        chunks: of its frames.
        changes: finds out what has changed; None where nothing is used again.
        reader: decodes what was known from earlier.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        shell: Shell,
        chunks: Sequence[Chunk],
        changes: Changes | None,
        reader: ResultReader,
        clock: Callable[[], float],
    ) -> None:
        self._shell = shell
        self._chunks = chunks
        self._changes = changes
        self._reader = reader
        self._clock = clock

    def prepare(self, frame: Frame) -> tuple[FramePlan, dict[int, bytes]]:
        """Return what is done with a frame's chunks, and those that are sent, encoded."""
        self._look_at_the_detail(frame)
        seen: Sequence[Seen] = ()
        if self._changes is not None:
            with self._shell as core:
                known = core.known()
            seen = self._changes.look(frame.pixels, known)
        with self._shell as core:
            plan = core.plan(frame.number, seen, self._clock())
        payloads = {
            index: plan.recipe.encode(cut(frame.pixels, self._chunks[index])) for index in plan.sent
        }
        return self._revived(plan), payloads

    def _look_at_the_detail(self, frame: Frame) -> None:
        """Tell now and then where the picture has detail: there it is enhanced first."""
        now = self._clock()
        with self._shell as core:
            chosen = core.tables.steering.chosen
            is_due = chosen.is_due(now)
        if is_due:
            details = detail_of(frame.pixels, self._chunks)
            with self._shell:
                chosen.look(details, now)

    def _revived(self, plan: FramePlan) -> FramePlan:
        """Decode what is known from the cache: it was checked when it came."""
        parts = dict(plan.known)
        for index, part in plan.known.items():
            if part.residual is None:
                residual = self._reader.decode(self._chunks[index], part.payload, part.recipe)
                with self._shell as core:
                    parts[index] = core.revived(index, part, residual)
        return replace(plan, known=parts)
