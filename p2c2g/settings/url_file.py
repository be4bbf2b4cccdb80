"""The broker's URL in a file, so that neither environment nor arguments hold its password."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from p2c2g.errors import UsageError
from p2c2g.settings import secret_file

#: Names the file.
VARIABLE: Final = "P2C2G_BROKER_URL_FILE"
#: Bytes of the URL at most.
_MOST = 4096


def read(path: Path) -> str:
    """Return the file's first line.

    Raises:
        UsageError: it cannot be read, or is no URL's.
    """
    right = "give a text file whose first line is the broker's URL"
    named = f"{VARIABLE} names {str(path)!r}, which"
    data = secret_file.read(named, path, _MOST, right=right, private=False)
    line = data.partition(b"\n")[0].strip()
    try:
        if line and len(line) <= _MOST:
            return line.decode()
        why = "its first line is no URL"
    except UnicodeDecodeError:
        why = "it is no text"
    raise UsageError(f"{named} cannot be read ({why}): {right}.")
