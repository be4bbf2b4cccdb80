"""Larger things at the broker, such as a net's weights: by their hash, and for a time.

What is read is what was meant, or it is not returned at all: a name is the hash of its bytes.
"""

from __future__ import annotations

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
    """

    def __init__(self, client: Client) -> None:
        self._client = client

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
            self._client.set(names.blob(name), data, px=_milliseconds(lifetime))
        return name

    def get(self, name: str, most: int = MAX_BLOB) -> bytes | None:
        """Return a blob's bytes; None where there is none, or it is not what its name says.

        More than ``most`` bytes are not read, and count as none.

        Raises:
            UsageError: it is no name of a blob.
        """
        _check(name)
        with translated():
            # One byte more than is allowed shows that it is too long, and no more is read.
            found: Any = self._client.getrange(names.blob(name), 0, most)
        data = bytes(found)
        return data if data and len(data) <= most and name_of(data) == name else None

    def keep(self, name: str, lifetime: float) -> bool:
        """Let a blob last ``lifetime`` seconds from now; tell whether it is there.

        Raises:
            UsageError: it is no name of a blob.
        """
        _check(name)
        with translated():
            return bool(self._client.pexpire(names.blob(name), _milliseconds(lifetime)))

    def drop(self, *blobs: str) -> None:
        """Remove blobs; those that are not there are no mistake.

        Raises:
            UsageError: one is no name of a blob.
        """
        for name in blobs:
            _check(name)
        if blobs:
            with translated():
                self._client.delete(*map(names.blob, blobs))


def _check(name: str) -> None:
    if not is_name(name):
        raise UsageError(
            f"{name[:80]!r} names no blob: give the first {DIGITS} hexadecimal digits of the "
            "SHA-256 of its bytes."
        )


def _milliseconds(lifetime: float) -> int:
    return max(1, round(lifetime * 1000))
