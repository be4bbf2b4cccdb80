"""Larger things at the broker, such as a net's weights: by their hash, and for a time.

What is read is what was meant, or it is not returned at all: a name is the hash of its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from p2c2g.errors import UsageError
from p2c2g.media.hashes import DIGITS, is_name, name_of
from p2c2g.messaging import names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated

#: Bytes of one blob at most.
MAX_BLOB = 4 * 1024 * 1024


class Blobs:
    """Blobs, through one client of the broker; as safe for threads as the client is.

    Every method raises :class:`~p2c2g.errors.BrokerUnavailableError` where the broker does not
    answer, or refuses.

    Args:
        client: bytes in, bytes out (``decode_responses`` off).
        keys: returns the keys at which a blob may be, by its name: it is put at the first.  The
            pool's own, which all share, where None.
    """

    def __init__(self, client: Client, keys: Callable[[str], Sequence[str]] | None = None) -> None:
        self._client = client
        self._keys = keys or _shared

    def put(self, data: bytes, lifetime: float) -> str:
        """Keep some bytes at the broker for ``lifetime`` seconds from now; return their name.

        Raises:
            UsageError: they are none, or too many.
        """
        if not 0 < len(data) <= MAX_BLOB:
            raise UsageError(
                f"{len(data)} bytes cannot be kept at the broker: give 1 to {MAX_BLOB}."
            )
        name = name_of(data)
        with translated():
            self._client.set(self._keys(name)[0], data, px=_milliseconds(lifetime))
        return name

    def get(self, name: str, most: int = MAX_BLOB) -> bytes | None:
        """Return a blob's bytes; None where there is none, or it is not what its name says.

        More than ``most`` bytes are not read, and count as none.

        Raises:
            UsageError: it is no name of a blob.
        """
        _check(name)
        for key in self._found(name, most):
            with translated():
                # One byte more than is allowed shows that it is too long, and no more is read.
                found: Any = self._client.getrange(key, 0, most)
            data = bytes(found)
            if data and len(data) <= most and name_of(data) == name:
                return data
        return None

    def _found(self, name: str, most: int) -> Sequence[str]:
        """Return the keys at which a blob may be; of several, those that have something."""
        keys = self._keys(name)
        if len(keys) < 2:
            return keys
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.strlen(key)
            # An error where somebody has made it something else.
            lengths = pipe.execute(raise_on_error=False)
        return [
            key
            for key, length in zip(keys, lengths, strict=True)
            if isinstance(length, int) and 0 < length <= most
        ]

    def keep(self, name: str, lifetime: float) -> bool:
        """Let a blob last ``lifetime`` seconds from now; tell whether it is there.

        Raises:
            UsageError: it is no name of a blob.
        """
        _check(name)
        with translated():
            return bool(self._client.pexpire(self._keys(name)[0], _milliseconds(lifetime)))

    def drop(self, *blobs: str) -> None:
        """Remove blobs; those that are not there are no mistake.

        Raises:
            UsageError: one is no name of a blob.
        """
        for name in blobs:
            _check(name)
        if blobs:
            with translated():
                self._client.delete(*(self._keys(name)[0] for name in blobs))


def _shared(name: str) -> tuple[str, ...]:
    return (names.blob(name),)


def _check(name: str) -> None:
    if not is_name(name):
        raise UsageError(
            f"{name[:80]!r} names no blob: give the first {DIGITS} hexadecimal digits of the "
            "SHA-256 of its bytes."
        )


def _milliseconds(lifetime: float) -> int:
    return max(1, round(lifetime * 1000))
