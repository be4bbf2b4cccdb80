"""Whether a session's pictures are sealed: not in a pool of one's own, and always in an open one.

The sender asks before it sends a chunk, the collector before it believes a result.  Each chunk is
sealed for the one peer that gets it, so a hedge, a rerun and a move to another peer are sealed
again.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from threading import Lock
from time import perf_counter
from typing import Any, Protocol

from p2c2g.errors import UsageError, WireError
from p2c2g.peers.messages import Enrolment
from p2c2g.peers.standing import Voucher
from p2c2g.peers.vouching import check_admitted, vouched
from p2c2g.sealing.gamer_end import GamerEnd, Run
from p2c2g.sealing.identity import key_of
from p2c2g.session.evidence import EvidenceKeeper
from p2c2g.session.observer import Observer
from p2c2g.settings.membership import Membership
from p2c2g.verify.evidence import Evidence

#: Of so many results, the signature of one is checked as it comes; of those that are held against
#: a peer, it always is.
SPOT = 8


class Seals(Protocol):
    """How a session's pictures leave and come.  Thread-safe."""

    #: Whether they are sealed at all, and who is to hear what becomes of them.
    sealed: bool
    observers: tuple[Observer, ...]

    def admit(self, enrolment: Enrolment, voucher: Voucher) -> None:
        """Take a peer's key for its own.

        Raises:
            WireError: nobody vouches for it.
        """

    def seal(self, peer: str, run: Run, header: bytes, picture: bytes) -> bytes:
        """Return a chunk as it is sent to one peer.

        Raises:
            WireError: nobody vouches for a key of it.
        """

    def open(self, peer: str, run: Run, header: bytes, payload: bytes) -> bytes | None:
        """Return the residual of a result; None where it answers nothing that was asked.

        Raises:
            WireError: it is not this peer's answer to that run.
        """

    def figures(self) -> dict[str, Any]:
        """Return what it took, for the report; empty where nothing is sealed."""

    def evidence(self) -> list[Evidence]:
        """Return what an operator can be shown of peers that were caught."""


class Plain:
    """Pictures as they are."""

    sealed = False
    observers: tuple[Observer, ...] = ()

    def admit(self, enrolment: Enrolment, voucher: Voucher) -> None:
        """Take any: who shares the password is nobody in particular."""

    def seal(self, peer: str, run: Run, header: bytes, picture: bytes) -> bytes:
        """Return the picture."""
        return picture

    def open(self, peer: str, run: Run, header: bytes, payload: bytes) -> bytes | None:
        """Return the payload."""
        return payload

    def figures(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def evidence(self) -> list[Evidence]:
        """Return nothing: nobody has signed anything."""
        return []


class Sealed:
    """Pictures sealed for one peer each.

    Args:
        end: the session's keys.
        pool: the pool's name, and
        operator: the public key of its operator, who says whose key is whose.
        random: draws whose signature is checked; peers must not be able to predict it.
        keeper: keeps what can be shown.
        clock: seconds, for what it took.
    """

    sealed = True

    def __init__(
        self,
        end: GamerEnd,
        pool: str,
        operator: bytes,
        random: Random,
        keeper: EvidenceKeeper,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._end = end
        self._pool = pool
        self._operator = operator
        self._random = random
        self._keeper = keeper
        self.observers: tuple[Observer, ...] = (keeper,)
        self._clock = clock
        self._lock = Lock()
        self._chunks = self._results = self._checked = self._unasked = self._refused = 0
        self._sealing = self._opening = 0.0
        self._bytes = 0

    def admit(self, enrolment: Enrolment, voucher: Voucher) -> None:
        """Take a peer's key for its own.

        Raises:
            WireError: nobody vouches for it.
        """
        check_admitted(self._operator, self._pool, enrolment.id, voucher)
        self._end.admit(enrolment.id, vouched(enrolment, voucher))

    def seal(self, peer: str, run: Run, header: bytes, picture: bytes) -> bytes:
        """Return a chunk as it is sent to one peer.

        Raises:
            WireError: nobody vouches for a key of it.
        """
        began = self._clock()
        sealed = self._end.seal(peer, run, header, picture)
        took = self._clock() - began
        with self._lock:
            self._sealing += took
            self._chunks += 1
            self._bytes += len(sealed) - len(picture)
        return sealed

    def open(self, peer: str, run: Run, header: bytes, payload: bytes) -> bytes | None:
        """Return the residual of a result; None where it answers nothing that was asked.

        Raises:
            WireError: it is not this peer's answer to that run, or is not signed by it.
        """
        began = self._clock()
        opened, refused = None, False
        is_spot = self._random.randrange(SPOT) == 0
        try:
            opened = self._end.open(peer, run, header, payload)
            if is_spot and opened is not None:
                opened.answer.check(opened.key)
        except WireError:
            refused = True
            raise
        finally:
            took = self._clock() - began
            with self._lock:
                self._opening += took
                self._refused += refused
                self._unasked += opened is None and not refused
                self._checked += is_spot and opened is not None
                if opened is not None and not refused:
                    self._results += 1
                    self._bytes += len(payload) - len(opened.residual)
        if opened is None:
            return None
        self._keeper.opened(peer, run, opened)
        return opened.residual

    def figures(self) -> dict[str, Any]:
        """Return what it took, for the report."""
        return {
            "chunks": self._chunks,
            "results": self._results,
            "signatures_checked": self._checked,
            "refused": self._refused,
            "unasked": self._unasked,
            "ms_a_chunk": round(
                1e3 * self._sealing / max(1, self._chunks)
                + 1e3 * self._opening / max(1, self._results + self._refused + self._unasked), 4,
            ),
            "bytes_a_chunk": round(self._bytes / max(1, self._chunks), 1),
        }  # fmt: skip

    def evidence(self) -> list[Evidence]:
        """Return what an operator can be shown of peers that were caught."""
        return self._keeper.evidence()


def seals_for(membership: Membership | None, random: Random, *, shows: bool = False) -> Seals:
    """Return the seals of a session that begins.

    Args:
        membership: the gamer's in an open pool; None in a pool of one's own.
        random: peers must not be able to predict it.
        shows: whether pictures and residuals may be shown as evidence.

    Raises:
        UsageError: the membership does not say whose word counts.
    """
    if membership is None:
        return Plain()
    pool, gamer = membership.prefix, membership.id
    try:
        operator = key_of(membership.operator_key)
    except WireError as error:
        raise UsageError(
            f"The membership of {membership.pool} has no key of the pool's operator: join again "
            "with p2c2g-capture run --pool."
        ) from error
    keeper = EvidenceKeeper(pool, gamer, shows=shows)
    return Sealed(GamerEnd(pool, gamer), pool, operator, random, keeper)
