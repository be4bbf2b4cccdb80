"""Parts put together so that no two lists of parts give the same bytes."""

from __future__ import annotations


def joined(*parts: bytes) -> bytes:
    """Return parts one after the other, each behind its length in four bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
