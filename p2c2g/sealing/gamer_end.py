"""A session's end: seals each chunk for one peer, and opens what that peer answers."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Final

from p2c2g.errors import WireError
from p2c2g.sealing.agreement import Ends, Exchange, check_vouched
from p2c2g.sealing.box import Box, Counter
from p2c2g.sealing.identity import SIGNATURE_BYTES
from p2c2g.sealing.parts import joined
from p2c2g.sealing.peer_end import BACK, MARK, THERE
from p2c2g.sealing.signing import Answer, Asked

#: Peers that are known at most, and runs that wait for an answer; those that were sent nothing for
#: the longest are forgotten.
MAX_PEERS: Final = 16_384
MAX_OUT: Final = 2048
#: Bytes of their pictures at most.
MAX_OUT_BYTES: Final = 32 << 20

#: What a run is known by: frame, chunk, attempt.
Run = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Vouched:
    """A worker's public key, and who says that it is the peer's.

    ``key`` is the peer's signing key, for which the operator vouches; ``signature`` is by it.
    """

    key: bytes
    instance: str
    exchange: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, repr=False)
class OpenedResult:
    """What a peer answered: the residual, and by what that can be shown to others.

    ``picture`` is what it was sent, with the packed header ``asked``; ``header`` is its own.
    ``key`` is the peer's signing key; nothing has been checked by it yet (:meth:`Answer.check`).
    """

    residual: bytes
    picture: bytes
    ends: Ends
    asked: bytes
    header: bytes
    signature: bytes
    key: bytes

    @property
    def answer(self) -> Answer:
        """Return what the peer has signed; hashed when it is asked for, which most never are."""
        asked = Asked(self.ends, self.asked, sha256(self.picture).digest())
        return Answer(asked, self.header, sha256(self.residual).digest(), self.signature)


@dataclass(frozen=True, slots=True, repr=False)
class _Out:
    """A run that waits for its answer: by what it was sealed, and what was."""

    line: _Line
    counter: bytes
    header: bytes
    picture: bytes


@dataclass(slots=True)
class _Line:
    """What is known of one peer's worker; the boxes are made when a first chunk is sealed."""

    vouched: Vouched
    ends: Ends
    boxes: tuple[Box, Box] | None = None


class GamerEnd:
    """The keys of one session.  Thread-safe.

    Args:
        pool: the pool's name, and
        gamer: the gamer's id, as peers know them.
    """

    def __init__(self, pool: str, gamer: str) -> None:
        self._pool = pool
        self._gamer = gamer
        self._exchange = Exchange()
        self._counter = Counter()
        self._lock = Lock()
        self._lines: OrderedDict[str, _Line] = OrderedDict()
        self._out: OrderedDict[tuple[str, Run], _Out] = OrderedDict()
        self._bytes = 0

    def admit(self, peer: str, vouched: Vouched) -> None:
        """Take a worker's public key for that of a peer, in place of an earlier one.

        Raises:
            WireError: nobody vouches for it.
        """
        with self._lock:
            known = self._lines.get(peer)
        if known is not None and known.vouched == vouched:
            return
        check_vouched(
            vouched.key, vouched.signature, pool=self._pool, peer=peer,
            instance=vouched.instance, exchange=vouched.exchange,
        )  # fmt: skip
        with self._lock:
            self._lines[peer] = _Line(vouched, Ends(self._pool, peer, self._gamer))
            self._lines.move_to_end(peer)
            while len(self._lines) > MAX_PEERS:
                self._lines.popitem(last=False)

    def seal(self, peer: str, run: Run, header: bytes, picture: bytes) -> bytes:
        """Return a chunk, sealed for one peer.

        Raises:
            WireError: nothing can be sealed for it: nobody vouches for its key.
        """
        with self._lock:
            line = self._lines.get(peer)
            if line is None:
                raise WireError(f"nobody vouches for a key of peer {peer[:80]!r}.")
            self._lines.move_to_end(peer)
        there, _ = self._boxes(line)
        counter, sealed = there.seal(picture, joined(THERE, header))
        with self._lock:
            self._forget(self._out.pop((peer, run), None))
            self._out[peer, run] = _Out(line, counter, header, picture)
            self._bytes += len(picture)
            while len(self._out) > MAX_OUT or self._bytes > MAX_OUT_BYTES:
                self._forget(self._out.popitem(last=False)[1])
        return b"".join((MARK, self._exchange.public, counter, sealed))

    def open(self, peer: str, run: Run, header: bytes, sealed: bytes) -> OpenedResult | None:
        """Return the answer of a peer to one run, once.

        Args:
            peer: by whose stream it came.
            run: of which its header speaks.
            header: its packed header.
            sealed: what came with that.

        Returns:
            None where the peer has not been sent that run, has answered it, or it is long ago:
            nobody can tell what such bytes are, or who sends them again.

        Raises:
            WireError: it is not this peer's answer to that run.
        """
        with self._lock:
            out = self._out.get((peer, run))
        if out is None:
            return None
        if sealed[:1] != MARK:
            raise WireError("a result is not sealed, or in a way that this side does not know.")
        opened = self._boxes(out.line)[1].open(
            memoryview(sealed)[1:], joined(BACK, out.counter, header)
        )
        if len(opened) < SIGNATURE_BYTES:
            raise WireError("a sealed result has no signature.")
        with self._lock:
            self._forget(self._out.pop((peer, run), None))
        signature, residual = opened[:SIGNATURE_BYTES], opened[SIGNATURE_BYTES:]
        line = out.line
        return OpenedResult(
            residual, out.picture, line.ends, out.header, header, signature, line.vouched.key
        )

    def _forget(self, out: _Out | None) -> None:
        self._bytes -= 0 if out is None else len(out.picture)

    def _boxes(self, line: _Line) -> tuple[Box, Box]:
        with self._lock:
            if line.boxes is None:
                keys = self._exchange.agree(
                    line.ends, gamer=self._exchange.public, peer=line.vouched.exchange
                )
                line.boxes = (Box(keys.there, self._counter), Box(keys.back, self._counter))
            return line.boxes
