"""Files that hold a secret: read within bounds, and refused where others may read them, too."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from p2c2g.errors import UsageError


def read(begin: str, path: Path, most: int, *, right: str = "", private: bool = True) -> bytes:
    """Return what is in a file; of one that is too long, a byte more than may be.

    Args:
        begin: of the sentence where it cannot be, such as ``--key-file names 'x', which``.
        path: the file.
        most: bytes that it may have.
        right: what would be right where it cannot be read.
        private: whether nobody else may read it.  What systems hand to services as a file, such as
            ``/run/secrets``, others often may.

    Raises:
        UsageError: it cannot be read, or others may read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{begin} cannot be read ({reason}){right and f': {right}'}.") from error
    is_open = stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO) and os.name == "posix"
    if private and is_open:
        raise UsageError(f"{begin} others may read: it holds a secret; chmod 600 it.")
    return data
