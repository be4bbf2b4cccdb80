"""Reads of what strangers may write to: whatever is there, no more of it comes than is allowed.

A key's own text is read by ``GETRANGE``, which costs nothing more than ``GET``.  Of hashes and
sets no command says how long their parts may be, so a script does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from p2c2g.messaging.client import Client
from p2c2g.messaging.labels import MAX_NAME
from p2c2g.messaging.scripts import script

#: Bytes of a name at most, as UTF-8 writes it.
NAME_BYTES: Final = 4 * MAX_NAME
#: Values of a hash that are asked for at once.
SLICE: Final = 256


def members(client: Client, key: str, most: int) -> Any:
    """Return the members of a hash, a set or a sorted set; of a pipeline, ask for them.

    A key that is not there has none.  A sorted set's are followed by their scores, all in one list.

    Args:
        client: the broker's, or a pipeline of it.
        key: where they are.
        most: members at most; some of them where there are more.
    """
    return client.eval(script("bounded"), 1, key, most, NAME_BYTES, 0)


def fields(client: Client, key: str, most: int, largest: int) -> dict[bytes, bytes | int]:
    """Return a hash's fields and values; of a value that is too long, its length.

    Args:
        client: the broker's.
        key: where it is; one that is not there has no fields.
        most: fields at most; some of them where there are more.
        largest: bytes of a value at most.
    """
    found: Any = client.eval(script("bounded"), 1, key, most, NAME_BYTES, largest)
    return dict(zip(found[::2], found[1::2], strict=True))


def values(
    client: Client, key: str, of: Sequence[str], largest: int
) -> dict[str, bytes | int | None]:
    """Return the values of these fields of a hash; of one that is too long, its length.

    They come some hundred at a time.

    Args:
        client: the broker's.
        key: where it is.
        of: the fields; one that is not there is None.
        largest: bytes of a value at most.
    """
    read: dict[str, bytes | int | None] = {}
    for begin in range(0, len(of), SLICE):
        some = of[begin : begin + SLICE]
        found: Any = client.eval(script("bounded"), 1, key, SLICE, NAME_BYTES, largest, *some)
        read |= zip(some, found[1::2], strict=True)
    return read


def text(client: Client, key: str, largest: int) -> Any:
    """Return a key's text as bytes; of a pipeline, ask for it.

    One byte more than is allowed shows that it is too long; a key that is not there has none.
    """
    return client.getrange(key, 0, largest)
