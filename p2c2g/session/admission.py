"""How many frames may be with the peers at once.

Pure.  When the peers cannot keep up, a queue forms, and every chunk that waits its turn in
it is late when it comes: all work and no picture.  So the session watches its frames and
keeps fewer of them out: a frame that missed its deadline shrinks the window by a factor, one
that made it widens the window a little (additive increase, multiplicative decrease: Chiu and
Jain, 1989).  A frame that finds no room is shown from the base layer at once.
"""

from __future__ import annotations


class Admission:
    """The window of one session.

    Args:
        most: frames out at most, which is also where the window starts.
        deadline: seconds; the window shrinks at most once in so long, since frames sent
            before it shrank say nothing new.
        lost_after: seconds after which a frame that never came back takes up no room.
    """

    def __init__(self, most: int, deadline: float, lost_after: float = 2.0) -> None:
        self._most = max(1, most)
        self._deadline = deadline
        self._lost_after = lost_after
        self._out: dict[int, tuple[float, set[int]]] = {}
        self._shrunk_at = float("-inf")
        self.window = float(self._most)
        #: Frames that found no room.
        self.refused = 0

    def admit(self, frame: int, chunks: range, now: float) -> bool:
        """Take a frame out to the peers, or say that there is no room for it."""
        for number, (sent, _) in list(self._out.items()):
            if now - sent <= self._lost_after:
                break
            del self._out[number]
        if len(self._out) >= max(1, int(self.window)):
            self.refused += 1
            return False
        self._out[frame] = (now, set(chunks))
        return True

    def returned(self, frame: int, chunk: int) -> None:
        """Note that a chunk's task has ended, in time or not."""
        out = self._out.get(frame)
        if out is not None:
            out[1].discard(chunk)
            if not out[1]:
                del self._out[frame]

    def forget(self, frame: int) -> None:
        """Note that a frame was not sent after all."""
        self._out.pop(frame, None)

    def shown(self, *, complete: bool, now: float) -> None:
        """Note how a frame that was sent ended."""
        if complete:
            self.window = min(self._most, self.window + 1 / self.window)
        elif now - self._shrunk_at >= self._deadline:
            self._shrunk_at = now
            self.window = max(1.0, self.window * 0.7)
