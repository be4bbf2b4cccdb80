"""Files that are ours to write: whole or not at all, beside the earlier one until they are done.

Short ones are written at once (:func:`write_whole`).  One that grows, as a recording does, grows
in a partial file (:func:`new_partial`), which takes its place at the end (:func:`finish`).
Whatever ends the process before, the earlier file is as it was.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from secrets import token_hex

#: Bytes that file systems take for a name; a part's is cut to fit.
_MAX_NAME = 255


def check_replaceable(path: Path) -> None:
    """Raise what writing a file would raise, and touch nothing.

    Raises:
        OSError: it is a folder, is write-protected, or its folder is not there or not ours.
    """
    if path.is_dir():
        raise _os_error(errno.EISDIR, path)
    if _is_special(path):
        if not os.access(path, os.W_OK):
            raise _os_error(errno.EACCES, path)
        return
    target = _target(path)
    if not target.parent.is_dir():
        raise _os_error(errno.ENOTDIR if target.parent.exists() else errno.ENOENT, path)
    # A file that is renamed to needs no right of its own; but its owner has protected it.
    protected = target.exists() and not os.access(target, os.W_OK)
    if protected or not os.access(target.parent, os.W_OK | os.X_OK):
        raise _os_error(errno.EACCES, path)


def write_whole(
    path: Path, data: bytes | str, *, durable: bool = True, private: bool = False
) -> None:
    """Write a file, replacing an earlier one: its reader finds the one or the other, whole.

    A link is followed, and an earlier file's permissions stay.  What is no file that could be
    replaced, such as ``/dev/stdout``, is written to.

    Args:
        path: the file.
        data: what it is to hold; text is written as UTF-8.
        durable: whether it has to outlive a power cut, which costs milliseconds.
        private: whether its owner alone may read it, whatever the earlier file's permissions are.

    Raises:
        OSError: it cannot be written; then it is as it was.
    """
    write_together({path: data}, durable=durable, private=private)


def write_together(
    files: Mapping[Path, bytes | str], *, durable: bool = True, private: bool = False
) -> None:
    """Write files that belong together, as :func:`write_whole`: none before all fit on the disk.

    They take their places in the order that is given.

    Raises:
        OSError: they cannot be written.
    """
    parts: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            check_replaceable(path)
            raw = data.encode() if isinstance(data, str) else data
            if _is_special(path):
                with path.open("wb") as stream:
                    stream.write(raw)
                continue
            target = _target(path)
            part = parts[target] = _part_of(target)
            with open(part, "xb", opener=_private if private else None) as stream:
                stream.write(raw)
                stream.flush()  # Else the disk is asked to keep what has not been given to it.
                _settle(stream.fileno(), part if private else target, durable=durable)
        for target, part in parts.items():
            part.replace(target)
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)


def new_partial(path: Path) -> Path:
    """Make an empty file beside one that is to be written, under a name that says so.

    It is ``play.partial.mp4`` for ``play.mp4``, or with the first free number, so that what an
    earlier process has left there stays.

    Raises:
        OSError: it cannot be made.
    """
    check_replaceable(path)
    if _is_special(path):
        raise _os_error(errno.EINVAL, path)
    target = _target(path)
    for number in count(1):
        end = f".partial{'' if number == 1 else f'-{number}'}{target.suffix}"
        partial = target.with_name(_cut(target.stem, len(os.fsencode(end))) + end)
        with suppress(FileExistsError):
            partial.open("xb").close()
            return partial
    raise AssertionError("unreachable")


def finish(partial: Path, path: Path) -> None:
    """Put a partial file, which is written and closed, in the place of the one that it is for.

    Raises:
        OSError: that is not possible; both are as they were.
    """
    target = _target(path)
    with partial.open("rb+") as stream:
        _settle(stream.fileno(), target, durable=True)
    partial.replace(target)


def are_same(one: Path, other: Path) -> bool:
    """Tell whether two paths name one file, there or not yet there."""
    with suppress(OSError):
        return one.samefile(other)
    return _target(one) == _target(other)


def _target(path: Path) -> Path:
    """Return the file that a path leads to: a link itself is never replaced."""
    return Path(os.path.realpath(path))


def _is_special(path: Path) -> bool:
    """Tell whether a path is no file.  Asked of links too: a pipe behind one has no name."""
    return path.exists() and not path.is_file()


def _settle(descriptor: int, target: Path, *, durable: bool) -> None:
    """Give a new file the permissions of the one that it replaces, and have the disk keep it."""
    with suppress(OSError, AttributeError):
        os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
    if durable:
        # Without this, a power cut may leave the new name with nothing in it.
        os.fsync(descriptor)


def _private(path: str, flags: int) -> int:
    """Open a new file that its owner alone may read, at no moment anybody else."""
    return os.open(path, flags, 0o600)


def _part_of(target: Path) -> Path:
    end = f".{token_hex(4)}.part"
    return target.with_name("." + _cut(target.name, len(end) + 1) + end)


def _cut(name: str, room: int) -> str:
    """Return as much of a name as leaves room for so many bytes."""
    return os.fsdecode(os.fsencode(name)[: _MAX_NAME - room])


def _os_error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))
