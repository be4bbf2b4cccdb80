"""What the owner of a lent machine says of it: ``peer.toml``, commented and checked.

The file is its owner's: what is changed by a command or on the page is changed in place, and all
that somebody wrote around it stays.  The settings are those of :mod:`p2c2g.lending.peer_settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.lending.peer_settings import PeerConfig, checked, settings, value_of
from p2c2g.system.files import write_whole

#: Bytes of the file at most.
MOST: Final = 65_536

_HEAD: Final = """\
What this machine lends to the pool, and how much of it.
Written by `p2c2g peer init`; change it here, by `p2c2g peer config` or on the peer's own page.
Limits hold at once; for the rest, `p2c2g peer config` starts the peer anew.
"""


def read(path: Path) -> PeerConfig:
    """Return what a file says.

    Raises:
        UsageError: it is not there, is no TOML, or something in it is wrong; the sentence says
            what would be right.
    """
    return parse(_text(path), path.name)


def parse(text: str, where: str = "peer.toml") -> PeerConfig:
    """Return what a file's text says.

    Raises:
        UsageError: as :func:`read`.
    """
    return checked(_document(text, where).unwrap(), where)


def written(config: PeerConfig) -> str:
    """Return a new file's text, with a comment on each setting."""
    document = tomlkit.document()
    for line in _HEAD.splitlines():
        document.add(tomlkit.comment(line))
    for part, field in PeerConfig.model_fields.items():
        document.add(tomlkit.nl())
        kind: Any = field.annotation
        document.add(tomlkit.comment(" ".join((kind.__doc__ or "").split())))
        table = tomlkit.table()
        for key, inner in kind.model_fields.items():
            table.add(tomlkit.comment(inner.description or ""))
            table.add(key, getattr(getattr(config, part), key))
        document.add(part, table)
    return tomlkit.dumps(document)


def write(path: Path, config: PeerConfig) -> None:
    """Write a new file.

    Raises:
        UnavailableError: it cannot be written.
    """
    _write(path, written(config))


def change(path: Path, changes: Mapping[str, Any]) -> PeerConfig:
    """Change some values of a file, by names such as ``limits.max_cpu``; return all of them.

    What else stands in the file stays, and so does the file where a value is wrong.

    Raises:
        UsageError: as :func:`read`, or a change is wrong.
        UnavailableError: it cannot be written.
    """
    text, config = changed(_text(path), changes, path.name)
    _write(path, text)
    return config


def changed(
    text: str, changes: Mapping[str, Any], where: str = "peer.toml"
) -> tuple[str, PeerConfig]:
    """Return a file's text with some values changed, and what it then says.

    Raises:
        UsageError: as :func:`change`.
    """
    PeerConfig.of(changes)  # What is wrong of them is no fault of the file's.
    document = _document(text, where)
    for name, value in changes.items():
        part, _, key = name.partition(".")
        table = document.get(part)
        if not isinstance(table, Table):
            table = tomlkit.table()
            document[part] = table
        table[key] = value
    text = tomlkit.dumps(document)
    return text, parse(text, where)


def flat(config: PeerConfig) -> dict[str, Any]:
    """Return all values by their names, such as ``limits.max_cpu``."""
    return {name: value_of(config, name) for name, _ in settings()}


def _document(text: str, where: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise UsageError(
            f"{where} is no TOML ({' '.join(str(error).split())}): mend that line, or write the "
            "file anew by p2c2g peer config --reset."
        ) from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST + 1)
        if len(data) <= MOST:
            return data.decode()
    except FileNotFoundError as error:
        raise UsageError(
            f"This machine is not set up as a peer (there is no {path}): start with p2c2g peer "
            "init."
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError:
        pass
    raise UsageError(
        f"{path} is no configuration of a peer: write it anew by p2c2g peer config --reset."
    )


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as error:
        raise UnavailableError(f"{path} cannot be written ({error.strerror}).") from error
