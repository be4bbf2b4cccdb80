"""How many frames may be with the peers at once.

Pure.  When the peers cannot keep up, a queue forms, and every chunk that waits its turn in
it is late when it comes: all work and no picture.  So the session watches its frames and
keeps fewer of them out: a frame that missed its deadline shrinks the window by a factor, one
that made it widens the window (additive increase, multiplicative decrease: Chiu and Jain,
1989).  A frame that finds no room is shown from the base layer.

Work that is lost takes up room for a moment only, so that a dead peer does not cost the
others their frames; while nothing comes back at all, the moments get longer, and what is
sent is one frame each time to see whether somebody is there again.
"""

from __future__ import annotations


class Admission:
    """The window of one session.

    Args:
        most: frames out at most, which is also where the window starts.
        deadline: seconds; the window shrinks at most once in so long, since frames sent
            before it shrank say nothing new.
        lost_after: seconds after which a frame that never came back takes up no room; twice
            as many after each such frame, until one comes back.
        lost_most: seconds that this grows to at most.
    """

    def __init__(
        self, most: int, deadline: float, lost_after: float = 0.2, lost_most: float = 0.5
    ) -> None:
        self._most = max(1, most)
        self._deadline = deadline
        self._lost_after = lost_after
        self._lost_most = max(lost_most, lost_after)
        self._patience = lost_after
        self._out: dict[int, tuple[float, set[int]]] = {}
        self._shrunk_at = float("-inf")
        self.window = float(self._most)
        #: Frames that found no room.
        self.refused = 0

    def admit(self, frame: int, chunks: range, now: float) -> bool:
        """Take a frame out to the peers, or say that there is no room for it."""
        for number, (sent, _) in list(self._out.items()):
            if now - sent <= self._patience:
                break
            del self._out[number]
            self._patience = min(2 * self._patience, self._lost_most)
        if len(self._out) >= max(1, int(self.window)):
            self.refused += 1
            return False
        self._out[frame] = (now, set(chunks))
        return True

    def returned(self, frame: int, chunk: int) -> None:
        """Note that a chunk's task has ended, in time or not."""
        self._patience = self._lost_after
        out = self._out.get(frame)
        if out is not None:
            out[1].discard(chunk)
            if not out[1]:
                del self._out[frame]

    @property
    def is_lost(self) -> bool:
        """Tell whether nothing has come back since a frame was given up."""
        return self._patience > self._lost_after

    def forget(self, frame: int) -> None:
        """Note that a frame was not sent after all."""
        self._out.pop(frame, None)

    def shown(self, *, complete: bool, now: float) -> None:
        """Note how a frame that was sent ended."""
        if complete:
            # Half the way by one a frame, as TCP's slow start: peers that come back are
            # used again within a few frames.
            step = 1.0 if self.window < self._most / 2 else 1 / self.window
            self.window = min(self._most, self.window + step)
        elif now - self._shrunk_at >= self._deadline:
            self._shrunk_at = now
            self.window = max(1.0, self.window * 0.7)
