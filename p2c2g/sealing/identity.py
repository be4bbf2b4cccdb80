"""A peer's signing key: what it signs, an operator can hold against it."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final, Self

from p2c2g.errors import UsageError, WireError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: Bytes of a key, private or public, and of a signature.
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


class Identity:
    """A private key (Ed25519).  Its representation shows nothing of it.

    Args:
        key: the private key.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        #: The public key, 32 bytes.
        self.public: bytes = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Self:
        """Make one, by the system's chance."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a private key, base64 of 32 bytes.

        Raises:
            UsageError: it is none.
        """
        try:
            data = key_of(text)
        except WireError:
            # From None: what could be quoted is secret.
            raise UsageError(
                "The signing key is not base64 of 32 bytes: join the pool again to get one."
            ) from None
        return cls.from_bytes(data)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the private key that 32 bytes are, which nobody can guess."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.from_private_bytes(data))

    def text(self) -> str:
        """Return the private key as :meth:`from_text` reads it."""
        return text_of(self._key.private_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """Return a signature, 64 bytes."""
        return self._key.sign(data)


def text_of(data: bytes) -> str:
    """Return a key or a signature as text, in base64."""
    return base64.b64encode(data).decode()


def key_of(text: str, size: int = KEY_BYTES) -> bytes:
    """Read a key, or another value of so many bytes, just as :func:`text_of` writes it.

    Raises:
        WireError: it is none.
    """
    try:
        data = base64.b64decode(text[: 2 * size], validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != size or text_of(data) != text:
        raise WireError(f"a key or signature is not base64 of {size} bytes.")
    return data


def is_signed(public: bytes, signature: bytes, data: bytes) -> bool:
    """Tell whether a signature over ``data`` is by the owner of a public key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
