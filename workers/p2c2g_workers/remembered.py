"""What a peer has answered of late: the same chunk of the same session has its residual at once.

A session keeps what it was told, and asks again only for what it has lost or dropped, as where a
result came when nobody waited any more, or a connection was lost.  Such a chunk costs a peer
nothing then.

Nothing gets from one session to another: what is remembered goes by whose chunk it was, which is
the gamer whose queue it was read from (in an open pool the seal has shown that it is that one's)
and the session.  A session finds again only what it has sent itself, all of it: the bytes of the
picture, by a hash that nobody can forge, and everything that was asked.  Residuals are kept as they
were before they were sealed, so each answer is sealed and signed anew.

Pure but for a lock: what is kept is bounded in bytes, and what was used least lately goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from hashlib import blake2b
from threading import Lock
from typing import Final

from p2c2g.media.wire import ChunkHeader

#: Bytes of a residual's key and place, beside its own.
OVERHEAD: Final = 512

Question = tuple[Hashable, ...]


def question(gamer: str, chunk: ChunkHeader, picture: bytes, pipeline: str) -> Question:
    """Return what was asked, and by whom.

    Args:
        gamer: whose queue the chunk was read from; empty where it is nobody's in particular.
        chunk: what came with the picture.
        picture: the chunk, encoded.
        pipeline: what is run on it, no choice left open.
    """
    return (
        gamer, chunk.session, chunk.codec, chunk.form, pipeline, chunk.frame_size, chunk.padded,
        chunk.crop, blake2b(picture, digest_size=32).digest(),
    )  # fmt: skip


class Remembered:
    """The residuals that one worker remembers.  Thread-safe.

    Args:
        most_bytes: that are kept, with :data:`OVERHEAD` for each residual.
    """

    def __init__(self, most_bytes: int = 0) -> None:
        self.most_bytes = most_bytes
        self._held: OrderedDict[Question, bytes] = OrderedDict()
        self._lock = Lock()
        self._bytes = 0
        #: How often a residual was there, of how many questions.
        self.hits = self.asked = 0

    def __len__(self) -> int:
        return len(self._held)

    def find(self, asked: Question) -> bytes | None:
        """Return the encoded residual that was the answer, or None."""
        with self._lock:
            self.asked += 1
            found = self._held.get(asked)
            if found is not None:
                self.hits += 1
                self._held.move_to_end(asked)
            return found

    def keep(self, asked: Question, residual: bytes) -> None:
        """Keep an answer."""
        with self._lock:
            if asked in self._held:
                return
            self._held[asked] = residual
            self._bytes += len(residual) + OVERHEAD
            while self._bytes > self.most_bytes:
                _, dropped = self._held.popitem(last=False)
                self._bytes -= len(dropped) + OVERHEAD
