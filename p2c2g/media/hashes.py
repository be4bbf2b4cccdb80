"""Names that are hashes: of a blob at the broker, and of a net's weights in a pipeline."""

from __future__ import annotations

import hashlib
import re

#: Length of a name: the first hexadecimal digits of the SHA-256 of its bytes.
DIGITS = 32


def name_of(data: bytes) -> str:
    """Return the name of some bytes."""
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def is_name(text: str) -> bool:
    """Tell whether a text can be a name."""
    return re.fullmatch(rf"[0-9a-f]{{{DIGITS}}}", text) is not None
