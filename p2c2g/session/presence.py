"""Whether anybody is there to enhance a session's frames, and what to say where nobody does.

Pure; an observer of the session's decisions.  The registry says who is listed and takes work of
the session's queue.  Where nobody does, and nobody has answered of late, the session is *alone*:
it sends nothing and waits for nothing.  Where somebody is listed and yet nothing is enhanced for
some seconds, there is one sentence with the reason, as far as it is known here.  So there is where
the net is left to the peers, and none of them runs any.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from p2c2g.media.frame import ChunkKey
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Pipeline
from p2c2g.routing.router import Facts
from p2c2g.session.attempts import Decision, Verdict
from p2c2g.session.frames import Shown
from p2c2g.session.observer import Observer
from p2c2g.text import plain

#: Seconds without anything enhanced after which that is said.
SILENCE = 3.0
#: Seconds in which peers chose, and never a net, after which that is said: nets are fetched and
#: loaded first.
PLAIN = 6.0
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
        self._refusal = ""
        self._answered = False
        self._answered_at = float("-inf")
        #: Since when no frame has had anything enhanced; and what came instead.
        self._bare_since: float | None = None
        self._enhanced = False
        self._late = 0
        self._error = ""
        #: Since when every choice that was left to a peer was no net; and what came since the
        #: last frame.
        self._plain_since: float | None = None
        self._chosen = self._net_chosen = False

    def learn(self, facts: Collection[Facts], unread: int = 0) -> None:
        """Take over what the registry says of all living peers, and of how many it says nothing."""
        self._unread = unread
        self._known = (
            len(facts),
            sum(each.serves for each in facts),
            sum(each.ready for each in facts),
        )

    def refused(self, sentence: str) -> None:
        """Note why the broker refuses this session; empty where it takes it again."""
        self._refusal = sentence.rstrip(".")

    def is_alone(self, now: float) -> bool:
        """Tell whether nobody is there who takes work, or nobody can be reached."""
        if self._refusal:
            return True
        ready = self._known is None or self._known[2]
        return not ready and now - self._answered_at > VOUCHES

    def sentence(self, now: float, *, connected: bool) -> str:
        """Return why nothing is enhanced, without the sentence's end; empty where there is no need.

        Args:
            now: seconds of the session's clock.
            connected: whether anything can be sent at all.
        """
        if self._bare_since is not None and now - self._bare_since >= SILENCE:
            if self._refusal:
                return self._refusal
            return self._why() if connected else f"The broker does not answer, so {_ALONE}"
        if self._plain_since is not None and now - self._plain_since >= PLAIN and self._known:
            return (
                f"{_peers(self._known[2])} listed, and none runs a net: too slow, too busy, or "
                "without the extra ml"
            )
        return ""

    def last_word(self) -> str:
        """Return why a session that is over had nothing enhanced, however short it was."""
        if self._enhanced or self._bare_since is None:
            return ""
        return self._refusal or self._why()

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

    def chunk_accepted(self, key: ChunkKey, peer: str, seconds: float, ran: str) -> None:
        """Note whether a peer that had the choice took a net."""
        if ran:
            self._chosen = True
            self._net_chosen |= any(
                each.method in NETWORKS for each in Pipeline.parse(ran).operations
            )

    def result_unused(self, key: ChunkKey, peer: str, verdict: Verdict) -> None:
        """Count an answer that came too late."""
        self._late += verdict is Verdict.LATE

    def run_failed(
        self, key: ChunkKey, attempt: int | None, peer: str, error: str, decision: Decision
    ) -> None:
        """Keep what an answer said that was none."""
        self._answered = True
        self._error = plain(error, _LETTERS)

    def frame_shown(self, shown: Shown[Any, Any]) -> None:
        """Note whether a frame has anything enhanced."""
        if self._answered:
            self._answered_at = shown.shown_at
            self._answered = False
        if self._net_chosen:
            self._plain_since = None
        elif self._chosen and self._plain_since is None:
            self._plain_since = shown.shown_at
        self._chosen = self._net_chosen = False
        if shown.parts:
            self._enhanced, self._bare_since = True, None
            self._late, self._error = 0, ""
        elif self._bare_since is None:
            self._bare_since = shown.shown_at


def _peers(count: int) -> str:
    return f"{count} peer is" if count == 1 else f"{count} peers are"
