"""Secrets of people: files that their owner alone reads, and how they come into a process.

Never by the command line, which everybody on the machine can read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from getpass import getpass
from pathlib import Path
from typing import Final

from p2c2g.errors import UsageError
from p2c2g.settings import secret_file
from p2c2g.system import files

#: Bytes of a secret's file at most.
_MOST: Final = 4096


def write_private(path: Path, data: bytes | str) -> None:
    """Write a file that its owner alone may read, at no moment anybody else.

    Its folder's rights are made the owner's alone too, where this makes the folder.

    Raises:
        OSError: it cannot be written; then it is as it was.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write_whole(path, data, private=True)


def find_secret(
    what: str,
    variable: str,
    option: str,
    file: Path | None,
    ask: Callable[[str], str] | None = None,
) -> str:
    """Return a secret from a file, else from the environment, else from who is at the keyboard.

    It is taken out of the environment: programs that this one starts need not know it.

    Args:
        what: it is called so where it is asked for.
        variable: of the environment.
        option: by which a file is given.
        file: that file, where one was given.
        ask: asks at the keyboard and shows nothing of it; where None, only if there is one.

    Raises:
        UsageError: it is nowhere, or the file is no secret's.
    """
    held = os.environ.pop(variable, "").strip()
    if file is not None:
        return _from_file(option, file)
    if held:
        return held
    if ask is None and sys.stdin is not None and sys.stdin.isatty():
        ask = getpass
    if ask is not None and (found := ask(f"{what}: ").strip()):
        return found
    raise UsageError(
        f"A {what.lower()} is needed: set {variable}, give {option} FILE, or start this in a "
        "terminal, where it is asked for."
    )


def _from_file(option: str, file: Path) -> str:
    data = secret_file.read(f"{option} names {str(file)!r}, which", file, _MOST)
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(data) > _MOST or not text.isprintable():
        raise UsageError(
            f"{option} names {str(file)!r}, which holds no secret: it has to be one line of text."
        )
    return text
