"""What an operator's commands need to know of wheels and of what was signed."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from email.parser import BytesHeaderParser
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from p2c2g.errors import UpdateError, UsageError
from p2c2g.updating.manifest import MAX_WHEEL, KeyChange, Manifest, Wheel
from p2c2g.updating.signing import payload_of
from p2c2g.updating.venvs import check_wheel

_MOST_METADATA: Final = 1 << 20


def described(path: Path) -> Wheel:
    """Return what is signed of a wheel.

    Raises:
        UsageError: it is none, is too long, or would have something installed from elsewhere.
    """
    data = _bytes_of(path)
    try:
        check_wheel(path)
        return Wheel(name=path.name, sha256=sha256(data).hexdigest(), size=len(data))
    except (ValidationError, UpdateError) as error:
        why = str(error) if isinstance(error, UpdateError) else "its name or its size is not right."
        raise UsageError(f"{str(path)!r} cannot be released: {why}") from error


def python_of(path: Path) -> str:
    """Return which Pythons a wheel runs on, as it says itself."""
    with zipfile.ZipFile(path) as wheel:
        name = next(each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
        with wheel.open(name) as file:
            told = BytesHeaderParser().parsebytes(file.read(_MOST_METADATA))
    return str(told.get("Requires-Python", ""))


def said_by(text: str) -> Manifest | None:
    """Return the manifest of an envelope, whoever has signed it; None where it changes the key.

    Raises:
        UsageError: it is neither.
    """
    try:
        payload = payload_of(text)
    except UpdateError as error:
        raise UsageError(f"{error} Give what p2c2g release sign or key has written.") from error
    for kind in (Manifest, KeyChange):
        try:
            found = kind.model_validate_json(payload)
        except ValidationError:
            continue
        return found if isinstance(found, Manifest) else None
    raise UsageError("That is neither a release nor a change of the key.")


def wheels_of(manifest: Manifest, named: Sequence[Path], folder: Path) -> dict[str, bytes]:
    """Return the wheels of a release: those that are named, and those in a folder.

    Raises:
        UsageError: one cannot be read.
    """
    paths = {path.name: path for path in named}
    found = {}
    for wheel in manifest.wheels:
        path = paths.get(wheel.name, folder / wheel.name)
        if path.exists():
            found[wheel.name] = _bytes_of(path)
    return found


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_WHEEL + 1)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read ({error.strerror}).") from error
    if len(data) > MAX_WHEEL:
        raise UsageError(f"{str(path)!r} is longer than a wheel may be, {MAX_WHEEL >> 20} MiB.")
    return data
