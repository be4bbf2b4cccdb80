"""Whether anybody is there to enhance a session's frames, and what to say where nobody does.

Pure; an observer of the session's decisions.  The registry says who is listed and takes work of
the session's queue.  Where nobody does, and nobody has answered of late, the session is *alone*:
it sends nothing and waits for nothing.  Where somebody is listed and yet nothing is enhanced for
some seconds, there is one sentence with the reason, as far as it is known here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from p2c2g.media.frame import ChunkKey
from p2c2g.routing.router import Facts
from p2c2g.session.attempts import Decision, Verdict
from p2c2g.session.frames import Shown
from p2c2g.session.observer import Observer

#: Seconds without anything enhanced after which that is said.
SILENCE = 3.0
#: Seconds for which an answer vouches that somebody is there, listed or not: a broker that
#: was started again has an empty registry for a moment.
VOUCHES = 2.0
#: Letters of a stranger's error that are told.
_LETTERS = 120
_ALONE = "this machine makes every picture alone"


class Presence(Observer):
    """Who is there, as one session sees it.

    Args:
        queue: the capability queue.
        deadline: seconds that a frame has.
    """

    def __init__(self, queue: str, deadline: float) -> None:
        self._queue = queue
        self._deadline = deadline
        #: Peers that the registry lists, that serve the queue, and that take work now; None
        #: until it was asked.
        self._known: tuple[int, int, int] | None = None
        self._unread = 0
        self._answered = False
        self._answered_at = float("-inf")
        #: Since when no frame has had anything enhanced; and what came instead.
        self._bare_since: float | None = None
        self._enhanced = False
        self._late = 0
        self._error = ""

    def learn(self, facts: Collection[Facts], unread: int = 0) -> None:
        """Take over what the registry says of all living peers, and of how many it says nothing."""
        self._unread = unread
        self._known = (
            len(facts),
            sum(each.serves for each in facts),
            sum(each.ready for each in facts),
        )

    def is_alone(self, now: float) -> bool:
        """Tell whether nobody is there who takes work."""
        ready = self._known is None or self._known[2]
        return not ready and now - self._answered_at > VOUCHES

    def sentence(self, now: float, *, connected: bool) -> str:
        """Return why nothing is enhanced, without the sentence's end; empty where there is no need.

        Args:
            now: seconds of the session's clock.
            connected: whether anything can be sent at all.
        """
        if self._bare_since is None or now - self._bare_since < SILENCE:
            return ""
        if not connected:
            return f"The broker does not answer, so {_ALONE}"
        return self._why()

    def last_word(self) -> str:
        """Return why a session that is over had nothing enhanced, however short it was."""
        return "" if self._enhanced or self._bare_since is None else self._why()

    def _why(self) -> str:
        if self._known is None:
            return ""
        listed, serving, ready = self._known
        if not listed and self._unread:
            return f"No peers of this version: {_peers(self._unread)} listed, of another"
        if not listed:
            return f"No peers: nobody is in the pool, so {_ALONE}"
        if not serving:
            return f"No peers for the queue {self._queue!r}: {_peers(listed)} listed, for others"
        if not ready:
            return f"{_peers(serving)} listed, none takes work now: paused, leaving or banned"
        if self._late:
            wanted = f"{self._deadline * 1e3:.0f} ms"
            return f"{_peers(ready)} listed, and every answer takes more than {wanted}"
        if self._error:
            return f"{_peers(ready)} listed, and no answer can be used: {self._error}"
        return (
            f"{_peers(ready)} listed, none has answered: too busy, too far, of another version, "
            "or working at another broker"
        )

    # -- what happens ------------------------------------------------------------------------------

    def result_arrived(self, key: ChunkKey, peer: str, size: int) -> None:
        """Note that somebody is there."""
        self._answered = True

    def result_unused(self, key: ChunkKey, peer: str, verdict: Verdict) -> None:
        """Count an answer that came too late."""
        self._late += verdict is Verdict.LATE

    def run_failed(
        self, key: ChunkKey, attempt: int | None, peer: str, error: str, decision: Decision
    ) -> None:
        """Keep what an answer said that was none."""
        self._answered = True
        self._error = "".join(each if each.isprintable() else " " for each in error[:_LETTERS])

    def frame_shown(self, shown: Shown[Any, Any]) -> None:
        """Note whether a frame has anything enhanced."""
        if self._answered:
            self._answered_at = shown.shown_at
            self._answered = False
        if shown.parts:
            self._enhanced, self._bare_since = True, None
            self._late, self._error = 0, ""
        elif self._bare_since is None:
            self._bare_since = shown.shown_at


def _peers(count: int) -> str:
    return f"{count} peer is" if count == 1 else f"{count} peers are"
