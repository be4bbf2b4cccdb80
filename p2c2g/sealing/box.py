"""One way between two ends: messages sealed by one key, each counter once."""

from __future__ import annotations

from threading import Lock
from typing import Final

from p2c2g.errors import OwnFaultError, WireError
from p2c2g.sealing.window import ReplayWindow

#: Bytes that sealing adds: the tag.
TAG: Final = 16
#: Bytes of a counter.
COUNTER: Final = 8
#: Messages by one key pair at most; far fewer than AES-GCM allows.
MOST_MESSAGES: Final = 2**40
#: Bytes of a message at most: the largest frame as it is, 8192x8192 in three colours.
MOST_BYTES: Final = 3 << 26


class Counter:
    """Numbers for messages, each once in a process.  Thread-safe.

    One for all keys of an end: one that forgets a key and derives it again goes on counting, and
    never uses a nonce twice.

    Args:
        first: the first number.
    """

    def __init__(self, first: int = 0) -> None:
        self._next = first
        self._lock = Lock()

    def take(self) -> int:
        """Return a number.

        Raises:
            OwnFaultError: all have been used.
        """
        with self._lock:
            if self._next >= MOST_MESSAGES:
                raise OwnFaultError("The keys of this process have sealed all that they may.")
            self._next += 1
            return self._next - 1


class Box:
    """One direction between a session and a worker, at either end.  Thread-safe.

    Args:
        key: 32 bytes.
        counter: gives the numbers of what is sealed here.
    """

    def __init__(self, key: bytes, counter: Counter) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)
        self._counter = counter
        self._window = ReplayWindow()
        self._lock = Lock()

    def seal(self, payload: bytes, beside: bytes) -> tuple[bytes, bytes]:
        """Return the counter and the sealed payload, which travel one after the other.

        Args:
            payload: what is sealed.
            beside: what is authenticated with it, and not in it.

        Raises:
            OwnFaultError: no more can be sealed, or nothing that large.
        """
        if len(payload) > MOST_BYTES:
            raise OwnFaultError(f"{len(payload)} bytes are more than one message may have.")
        counter = self._counter.take().to_bytes(COUNTER, "big")
        return counter, self._cipher.encrypt(_nonce(counter), payload, beside)

    def open(self, sealed: bytes | memoryview, beside: bytes) -> bytes:
        """Return what was sealed, once.

        Raises:
            WireError: it was sealed otherwise, was changed, or was opened before.
        """
        from cryptography.exceptions import InvalidTag

        if not COUNTER + TAG <= len(sealed) <= COUNTER + MOST_BYTES + TAG:
            raise WireError("a sealed message is too short or too long.")
        counter = bytes(sealed[:COUNTER])
        number = int.from_bytes(counter, "big")
        if number >= MOST_MESSAGES:
            raise WireError("a sealed message has a counter that is too large.")
        with self._lock:
            is_new = self._window.is_new(number)
        if is_new:
            try:
                payload = self._cipher.decrypt(_nonce(counter), sealed[COUNTER:], beside)
            except InvalidTag as error:
                raise WireError(
                    "a sealed message was changed on its way, or is not for this end."
                ) from error
            # Only what is authentic moves the window, and of two at once one is the first.
            with self._lock:
                is_new = self._window.take(number)
        if not is_new:
            raise WireError("a sealed message has come before, or far too late.")
        return payload


def _nonce(counter: bytes) -> bytes:
    return bytes(4) + counter
