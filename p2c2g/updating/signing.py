"""By which key releases are signed: DSSE envelopes with Ed25519 (securesystemslib).

The envelope is the one of in-toto and sigstore: its signature is over the payload's kind and bytes,
so a manifest can never be taken for a change of the key, and JSON is parsed after it was verified.
"""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from p2c2g.errors import UpdateError, UsageError, WireError
from p2c2g.sealing.identity import key_of, text_of
from p2c2g.settings import secret_file
from p2c2g.system.secrets import write_private
from p2c2g.updating.manifest import MAX_ENVELOPE, KeyChange, Manifest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.signer import SSlibKey

#: What an envelope's payload is.
KINDS: Final[dict[type[BaseModel], str]] = {
    Manifest: "application/vnd.p2c2g.release+json",
    KeyChange: "application/vnd.p2c2g.release-key+json",
}
#: Signatures of an envelope at most.
_MOST_SIGNATURES: Final = 2
#: Bytes of a key's file at most.
_MOST_KEY: Final = 4_096

Said = TypeVar("Said", Manifest, KeyChange)


class ReleaseKey:
    """A private key that signs releases.  Its representation shows nothing of it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        #: The public half, base64 of 32 bytes.
        self.public = text_of(key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> ReleaseKey:
        """Make one, by the system's chance."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path, passphrase: str) -> ReleaseKey:
        """Read one from its file.

        Args:
            path: the file, which its owner alone may read.
            passphrase: that it was written with; "" for none.

        Raises:
            UsageError: it is not there, others can read it, it is no key, or the passphrase is
                another.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        named = f"The key {str(path)!r}"
        data = secret_file.read(named, path, _MOST_KEY, right="make one by p2c2g release key FILE")
        try:
            key = load_pem_private_key(data, passphrase.encode() or None)
        except (ValueError, TypeError):
            # From None: what could be quoted is secret.
            raise UsageError(
                f"{named} cannot be opened: it is none of p2c2g release key, or its passphrase is "
                "another than P2C2G_RELEASE_PASSPHRASE, or was not given."
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise UsageError(f"{named} is of another kind: make one by p2c2g release key FILE.")
        return cls(key)

    def write(self, path: Path, passphrase: str) -> None:
        """Write it, for its owner alone; sealed with the passphrase where that is not "".

        Raises:
            UsageError: there is a file already, or it cannot be written.
        """
        from cryptography.hazmat.primitives.serialization import (
            BestAvailableEncryption,
            Encoding,
            KeySerializationEncryption,
            NoEncryption,
            PrivateFormat,
        )  # fmt: skip

        sealed: KeySerializationEncryption = NoEncryption()
        if passphrase:
            sealed = BestAvailableEncryption(passphrase.encode())
        if path.exists():
            raise UsageError(f"{str(path)!r} is there already: a key is never written over.")
        try:
            write_private(path, self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed))
        except OSError as error:
            raise UsageError(f"{str(path)!r} cannot be written ({error.strerror}).") from error

    def sign(self, envelope: Any) -> None:
        """Add a signature to an envelope."""
        from securesystemslib.signer import CryptoSigner

        envelope.sign(CryptoSigner(self._key, _public(self.public)))


def signed(said: Manifest | KeyChange, *keys: ReleaseKey) -> str:
    """Return what is said in a signed envelope, as JSON."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(said.model_dump_json().encode(), KINDS[type(said)], {})
    for key in keys:
        key.sign(envelope)
    return json.dumps(envelope.to_dict())


def opened(text: str, kind: type[Said], *publics: str) -> Said:
    """Return what an envelope says, where each of some public keys has signed it.

    Raises:
        UpdateError: it is no such envelope, it is not signed by each of them, or what it says is
            nothing that this version knows.
    """
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import FormatError, VerificationError

    what = "release" if kind is Manifest else "change of the release key"
    if len(text) > MAX_ENVELOPE:
        raise UpdateError(f"What is offered as a {what} is too long.")
    try:
        told = json.loads(text)
        if len(told["signatures"]) > _MOST_SIGNATURES:
            raise ValueError("too many signatures")
        envelope = Envelope.from_dict(told)
        envelope.verify([_public(each) for each in publics], len(set(publics)))
    except VerificationError as error:
        raise UpdateError(
            f"The {what} that is offered is not signed by the key that this machine trusts."
        ) from error
    except (
        ValueError, KeyError, TypeError, AttributeError, RecursionError, FormatError, WireError
    ) as error:  # fmt: skip
        raise UpdateError(f"What is offered as a {what} is none.") from error
    if envelope.payload_type != KINDS[kind]:
        raise UpdateError(f"What is offered as a {what} says something else.")
    try:
        return kind.model_validate_json(envelope.payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise UpdateError(
            f"The {what} that is offered says what this version does not know ({where})."
        ) from error


def payload_of(text: str) -> bytes:
    """Return what an envelope holds, whoever has signed it.

    Raises:
        UpdateError: it is no envelope.
    """
    try:
        return base64.b64decode(json.loads(text)["payload"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UpdateError("What is offered is no signed envelope.") from error


def _public(text: str) -> SSlibKey:
    """Return a public key as the library has it.

    Raises:
        WireError: it is none.
    """
    from securesystemslib.signer import SSlibKey

    data = key_of(text)
    return SSlibKey(sha256(data).hexdigest(), "ed25519", "ed25519", {"public": data.hex()})
