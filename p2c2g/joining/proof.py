"""By which a peer shows that it has the key that it names.

It signs the key together with the bearer that it shows, so a proof is of no use with another's.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from p2c2g.errors import WireError
from p2c2g.sealing.identity import SIGNATURE_BYTES, Identity, is_signed, key_of, text_of
from p2c2g.sealing.parts import joined

_MEANING: Final = b"p2c2g: join a pool, 1"


def prove(identity: Identity, bearer: str) -> str:
    """Return the proof, in base64."""
    return text_of(identity.sign(_what(identity.public, bearer)))


def is_proven(key: str, proof: str, bearer: str) -> bool:
    """Tell whether who shows a bearer has the private key of the public one (both base64)."""
    try:
        public, signature = key_of(key), key_of(proof, SIGNATURE_BYTES)
    except WireError:
        return False
    return is_signed(public, signature, _what(public, bearer))


def _what(public: bytes, bearer: str) -> bytes:
    return joined(_MEANING, public, sha256(bearer.encode()).digest())
