"""A worker's end: opens what gamers sent to it, and seals its answers."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Final

from p2c2g.errors import OwnFaultError, WireError
from p2c2g.sealing import VERSION
from p2c2g.sealing.agreement import Ends, Exchange, vouch
from p2c2g.sealing.box import COUNTER, Box, Counter
from p2c2g.sealing.identity import KEY_BYTES, Identity
from p2c2g.sealing.parts import joined
from p2c2g.sealing.signing import Asked, answer_text

#: The first byte of what is sealed.
MARK: Final = bytes([VERSION])
#: The direction, as it is authenticated.
THERE: Final = b"chunk"
BACK: Final = b"result"
#: Sessions of one gamer whose keys are kept, and gamers; those heard of least lately are forgotten.
MAX_SESSIONS: Final = 8
MAX_GAMERS: Final = 1024


@dataclass(frozen=True, slots=True)
class _Line:
    """What is known of one session: it, and the boxes there and back."""

    ends: Ends
    there: Box
    back: Box


@dataclass(frozen=True, slots=True, repr=False)
class OpenedChunk:
    """A chunk that a gamer sent: its picture, and by what its answer is sealed."""

    picture: bytes
    _header: bytes
    _counter: bytes
    _line: _Line
    _identity: Identity

    def answer(self, header: bytes, residual: bytes) -> bytes:
        """Return the answer, signed and sealed.

        Args:
            header: its packed header.
            residual: the encoded residual.

        Raises:
            OwnFaultError: no more can be sealed.
        """
        asked = Asked(self._line.ends, self._header, sha256(self.picture).digest())
        text = answer_text(asked.digest(), header, sha256(residual).digest())
        signed = self._identity.sign(text) + residual
        sealed = self._line.back.seal(signed, joined(BACK, self._counter, header))
        return b"".join((MARK, *sealed))


class PeerEnd:
    """The keys of one worker's process.  Thread-safe.

    Args:
        pool: the pool's name, and
        peer: this peer's id, as gamers know them.
        instance: of this worker, as it enrols.
        identity: the peer's.
    """

    def __init__(self, pool: str, peer: str, instance: str, identity: Identity) -> None:
        self._pool = pool
        self._peer = peer
        self._identity = identity
        self._exchange = Exchange()
        self._counter = Counter()
        self._lock = Lock()
        self._gamers: OrderedDict[str, OrderedDict[bytes, _Line]] = OrderedDict()
        self._process = os.getpid()
        #: The public key that chunks are sealed for, and the peer's signature over it.
        self.public = self._exchange.public
        self.signature = vouch(identity, pool, peer, instance, self.public)

    def open(self, gamer: str, header: bytes, sealed: bytes) -> OpenedChunk:
        """Return a chunk that was sealed for this worker, once.

        Keys of a gamer's earlier sessions make room for later ones, and what was sealed by
        them can be opened again then; what is answered to it, its session alone can read.

        Args:
            gamer: by whose queue it came.
            header: its packed header.
            sealed: what came with that.

        Raises:
            WireError: it was sealed otherwise, was changed, or was opened before.
            OwnFaultError: this is another process than the one that made the keys.
        """
        if os.getpid() != self._process:
            # It would count from where the other does, and use a nonce twice.
            raise OwnFaultError(
                "A worker of an open pool is one process: start it with -P threads."
            )
        if sealed[:1] != MARK or len(sealed) < 1 + KEY_BYTES:
            raise WireError("a chunk is not sealed, or in a way that this side does not know.")
        public = sealed[1 : 1 + KEY_BYTES]
        line = self._line(gamer, public)
        picture = line.there.open(memoryview(sealed)[1 + KEY_BYTES :], joined(THERE, header))
        counter = sealed[1 + KEY_BYTES : 1 + KEY_BYTES + COUNTER]
        return OpenedChunk(picture, header, counter, line, self._identity)

    def _line(self, gamer: str, public: bytes) -> _Line:
        """Return the keys of a session, known or agreed now.

        A gamer who sends under ever new keys costs an agreement each time, and loses its own
        earlier ones; other gamers' stay.
        """
        with self._lock:
            sessions = self._gamers.setdefault(gamer, OrderedDict())
            self._gamers.move_to_end(gamer)
            line = sessions.get(public)
            if line is None:
                ends = Ends(self._pool, self._peer, gamer)
                keys = self._exchange.agree(ends, gamer=public, peer=self.public)
                line = _Line(ends, Box(keys.there, self._counter), Box(keys.back, self._counter))
                sessions[public] = line
            sessions.move_to_end(public)
            if len(sessions) > MAX_SESSIONS:
                sessions.popitem(last=False)
            if len(self._gamers) > MAX_GAMERS:
                self._gamers.popitem(last=False)
            return line
