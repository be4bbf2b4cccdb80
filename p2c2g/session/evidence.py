"""Keeps what a session can show an operator of the peers that it caught.

Of pictures and residuals it shows hashes alone, unless the gamer lets them be shown: they are of
the gamer's screen, and what an operator is shown others may see.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Generic, TypeVar

from p2c2g.errors import WireError
from p2c2g.media.frame import ChunkKey
from p2c2g.sealing.gamer_end import OpenedResult, Run
from p2c2g.sealing.identity import text_of
from p2c2g.session.attempts import Decision
from p2c2g.session.observer import Observer
from p2c2g.verify.evidence import MAX_SAID, Evidence, Statement, statement
from p2c2g.verify.examination import Examination

#: Pieces of evidence that are kept of one peer, the latest, and peers of whom any is kept.
PER_PEER = 4
MAX_PEERS = 32
#: Answers that may yet turn out wrong, and the bytes of them and of what they answer: of a few
#: seconds.
MAX_ANSWERS = 1024
MAX_BYTES = 32 << 20
#: How an error begins that is none of the peer's making: a session has left it out.
_UNTRUSTED = "Untrusted:"

Key = tuple[str, Run]
Held = TypeVar("Held")


class Recent(Generic[Held]):
    """What came of late, by peer and run; the oldest is dropped.  Not thread-safe."""

    def __init__(self) -> None:
        self._held: OrderedDict[Key, tuple[Held, int]] = OrderedDict()
        self._size = 0

    def put(self, key: Key, held: Held, size: int) -> None:
        """Keep something of so many bytes."""
        self._drop(self._held.pop(key, None))
        self._held[key] = (held, size)
        self._size += size
        while len(self._held) > MAX_ANSWERS or self._size > MAX_BYTES:
            self._drop(self._held.popitem(last=False)[1])

    def get(self, key: Key) -> Held | None:
        """Return it, or None."""
        found = self._held.get(key)
        return None if found is None else found[0]

    def _drop(self, found: tuple[Held, int] | None) -> None:
        self._size -= 0 if found is None else found[1]


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer, and whose it is."""

    peer: str
    opened: OpenedResult

    def is_signed(self) -> bool:
        """Tell whether its peer's signature is right."""
        try:
            self.opened.answer.check(self.opened.key)
        except WireError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class _Caught:
    """One answer by which a peer was caught, as it is kept until somebody asks."""

    at: datetime
    why: str
    said: _Said
    other: _Said | None


class EvidenceKeeper(Observer):
    """The evidence of one session.  Thread-safe.

    Args:
        pool: the pool's name, and
        gamer: the gamer's id, as peers know them.
        shows: whether pictures and residuals may be shown.
        now: the time of day.
    """

    def __init__(
        self,
        pool: str,
        gamer: str,
        *,
        shows: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pool = pool
        self._gamer = gamer
        self._shows = shows
        self._now = now
        self._lock = Lock()
        self._answers = Recent[OpenedResult]()
        self._caught: OrderedDict[str, deque[_Caught]] = OrderedDict()

    # -- what comes -------------------------------------------------------------------------------

    def opened(self, peer: str, run: Run, opened: OpenedResult) -> None:
        """Note what a peer has answered."""
        with self._lock:
            self._answers.put((peer, run), opened, len(opened.residual) + len(opened.picture))

    # -- what became of it ------------------------------------------------------------------------

    def run_failed(
        self, key: ChunkKey, attempt: int | None, peer: str, error: str, decision: Decision
    ) -> None:
        """Keep an answer that was refused."""
        if attempt is not None and not error.startswith(_UNTRUSTED):
            self._keep(peer, (*key, attempt), error)

    def examination_ended(self, examination: Examination, *, agreed: bool | None) -> None:
        """Keep an answer that did not agree, with the one that it was compared with."""
        if agreed:
            return
        if agreed is None:
            why = "Its answer to an examination was none."
        elif examination.by:
            why = f"It did not answer as peer {examination.by} did."
        else:
            why = "It did not answer as two peers did before."
        run = (*examination.key, examination.attempt)
        self._keep(examination.peer, run, why, examination.by)

    # -- what there is ----------------------------------------------------------------------------

    def evidence(self) -> list[Evidence]:
        """Return what is kept, the peer that was caught last last.

        What a peer did not sign shows an operator nothing, and is left out.
        """
        with self._lock:
            kept = [each for caught in self._caught.values() for each in caught]
        return [self._evidence(each) for each in kept if each.said.is_signed()]

    # -- inside -----------------------------------------------------------------------------------

    def _keep(self, peer: str, run: Run, why: str, by: str = "") -> None:
        with self._lock:
            opened = self._answers.get((peer, run))
            if opened is None:
                return
            caught = self._caught.setdefault(peer, deque(maxlen=PER_PEER))
            other = self._other(by, run, opened) if by else None
            caught.append(_Caught(self._now(), why, _Said(peer, opened), other))
            self._caught.move_to_end(peer)
            if len(self._caught) > MAX_PEERS:
                self._caught.popitem(last=False)

    def _other(self, by: str, run: Run, opened: OpenedResult) -> _Said | None:
        """Return what another peer answered to the same picture, in whichever of the runs."""
        frame, chunk, attempt = run
        for earlier in range(1, attempt):
            other = self._answers.get((by, (frame, chunk, earlier)))
            if other is not None and other.picture == opened.picture:
                return _Said(by, other)
        return None

    def _evidence(self, caught: _Caught) -> Evidence:
        other = caught.other
        return Evidence(
            pool=self._pool,
            gamer=self._gamer,
            at=caught.at.isoformat(timespec="seconds"),
            said=caught.why[:MAX_SAID],
            statement=self._statement(caught.said),
            other=self._statement(other) if other is not None and other.is_signed() else None,
            shown=text_of(caught.said.opened.picture if self._shows else b""),
        )

    def _statement(self, said: _Said) -> Statement:
        residual = said.opened.residual if self._shows else b""
        return statement(said.peer, said.opened.answer, residual)
