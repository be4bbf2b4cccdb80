"""The coordinator's one secret, of which each purpose has a key of its own."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from p2c2g.errors import UsageError
from p2c2g.settings import secret_file
from p2c2g.settings.coordinator import CoordinatorSettings

#: Bytes that a secret has at least, and different ones among them.
_LEAST, _LEAST_DIFFERENT = 32, 12
#: Bytes of a secret's file at most.
_MOST: Final = 4096
#: The file in the folder of the coordinator's data.
FILE: Final = "secret"
_ADVICE = 'make one with: python3 -c "import secrets; print(secrets.token_hex(32))"'


@dataclass(frozen=True, slots=True)
class ServerSecret:
    """What is kept outside of the database."""

    value: bytes = field(repr=False)

    def key(self, purpose: str) -> bytes:
        """Return the key of one purpose: 32 bytes."""
        return hmac.digest(self.value, f"p2c2g coordinator: {purpose}".encode(), "sha256")


def read(settings: CoordinatorSettings) -> ServerSecret:
    """Return the secret that is set, or the one in the folder of data, made where there is none.

    Raises:
        UsageError: it is weak and this is no development, or it cannot be read or kept.
    """
    given = given_as("SECRET", settings.secret.get_secret_value() if settings.secret else None,
                    settings.secret_file)  # fmt: skip
    if given is None:
        return ServerSecret(_kept(settings.data / FILE))
    value = _bytes_of(given)
    if not settings.development and (len(value) < _LEAST or len(set(value)) < _LEAST_DIFFERENT):
        raise UsageError(
            f"The coordinator's secret is weak: it needs {_LEAST} random bytes, in hex or base64; "
            f"{_ADVICE}."
        )
    return ServerSecret(value)


def given_as(name: str, value: str | None, file: Path | None) -> str | None:
    """Return a secret that a variable holds, or a file that another names.

    Raises:
        UsageError: both are set, or the file cannot be read.
    """
    variable = f"P2C2G_COORDINATOR_{name}"
    if file is None:
        return value
    if value is not None:
        raise UsageError(f"{variable} and {variable}_FILE are both set: leave one of them out.")
    right = "give a file of one line that this user may read"
    named = f"{variable}_FILE names {str(file)!r}, which"
    data = secret_file.read(named, file, _MOST, right=right, private=False)
    try:
        if len(data) > _MOST:
            raise ValueError("too long")
        return data.decode().strip()
    except ValueError as error:
        raise UsageError(f"{named} is no text: {right}.") from error


def private_folder(folder: Path) -> None:
    """Make the folder of the coordinator's data, for its user alone.

    Raises:
        UsageError: that cannot be.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The coordinator cannot keep its data in {str(folder)!r} ({error.strerror}): set "
            "P2C2G_COORDINATOR_DATA to a folder that this user may write."
        ) from error


def _create_private(path: Path, text: str) -> None:
    """Write a new file that its owner alone may read; of two that do so at once, one does not."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _kept(path: Path) -> bytes:
    private_folder(path.parent)
    try:
        _create_private(path, secrets.token_hex(_LEAST) + "\n")
    except FileExistsError:
        pass
    except OSError as error:
        raise UsageError(
            f"The coordinator cannot keep its secret in {str(path)!r} ({error.strerror}): set "
            "P2C2G_COORDINATOR_DATA to a folder that this user may write."
        ) from error
    data = secret_file.read(f"The coordinator's secret in {str(path)!r}", path, _MOST)
    value = _bytes_of(data.decode(errors="replace").strip())
    if len(value) < _LEAST:
        raise UsageError(
            f"{str(path)!r} holds no secret of the coordinator's: put back the one that was there. "
            "Without it every key is worth nothing; to start from nothing, delete it."
        )
    return value


def _bytes_of(text: str) -> bytes:
    """Return what hex or base64 stand for; other text as it is."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()
