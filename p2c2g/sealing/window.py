"""Which messages came before: RFC 6479, in blocks of bits."""

from __future__ import annotations

from typing import Final

_BLOCK: Final = 64
#: Counters that may come late, at most: of so many behind the newest, each is known.
WINDOW: Final = 4096


class ReplayWindow:
    """Takes each counter once.  Not thread-safe.

    Messages may be lost or come in another order; one that is further behind the newest than
    ``window`` is refused, since nobody can tell whether it came before.  Memory and the time of a
    call are bounded by ``window``, whatever the counters.

    Args:
        window: how far behind the newest a counter may be; a multiple of 64.
    """

    def __init__(self, window: int = WINDOW) -> None:
        # One block more than the window, so that the newest may stand anywhere in its block.
        self._blocks = [0] * (window // _BLOCK + 1)
        self._window = window
        self._newest = -1

    def is_new(self, counter: int) -> bool:
        """Tell whether :meth:`take` would take a counter."""
        if counter > self._newest:
            return True
        if counter < 0 or self._newest - counter >= self._window:
            return False
        block, bit = divmod(counter, _BLOCK)
        return not self._blocks[block % len(self._blocks)] >> bit & 1

    def take(self, counter: int) -> bool:
        """Note a counter, of a message that is authentic; tell whether it is new."""
        if not self.is_new(counter):
            return False
        block, bit = divmod(counter, _BLOCK)
        if counter > self._newest:
            newest = self._newest // _BLOCK  # -1 before the first
            for each in range(max(newest + 1, block - len(self._blocks) + 1), block + 1):
                self._blocks[each % len(self._blocks)] = 0
            self._newest = counter
        self._blocks[block % len(self._blocks)] |= 1 << bit
        return True
