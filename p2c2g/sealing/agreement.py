"""Key pairs of sessions and workers, and the two keys that a gamer and a peer derive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2c2g.errors import WireError
from p2c2g.sealing.identity import KEY_BYTES, Identity, is_signed
from p2c2g.sealing.parts import joined

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

_AGREEMENT: Final = b"p2c2g agreement 1"
_EXCHANGE: Final = b"p2c2g exchange 1"


@dataclass(frozen=True, slots=True)
class Ends:
    """Who talks to whom: the pool's name, the peer's id and the gamer's, as the pool gives them."""

    pool: str
    peer: str
    gamer: str

    def packed(self) -> bytes:
        """Return them as bytes that no other ends have."""
        return joined(self.pool.encode(), self.peer.encode(), self.gamer.encode())


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What both ends derive: a key for what goes to the peer, and one for what comes back."""

    there: bytes
    back: bytes


class Exchange:
    """A key pair (X25519) of one session or of one worker's process, gone when that ends."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        self._key: X25519PrivateKey = X25519PrivateKey.generate()
        #: The public key, 32 bytes.
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def agree(self, ends: Ends, *, gamer: bytes, peer: bytes) -> Keys:
        """Return the keys between this key pair and the other end's.

        Args:
            ends: who they are for.
            gamer: the session's public key, and
            peer: the worker's; one of the two is this pair's.

        Raises:
            WireError: the other's is no key, or one of those by which anybody knows the result.
        """
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        other = peer if gamer == self.public else gamer
        try:
            secret = self._key.exchange(X25519PublicKey.from_public_bytes(other))
        except ValueError as error:  # also where the point is of low order
            raise WireError("a public key is none by which anything could be sealed.") from error
        info = joined(_AGREEMENT, ends.packed(), gamer, peer)
        derived = HKDF(SHA256(), 2 * KEY_BYTES, salt=None, info=info).derive(secret)
        return Keys(derived[:KEY_BYTES], derived[KEY_BYTES:])


def vouch(identity: Identity, pool: str, peer: str, instance: str, exchange: bytes) -> bytes:
    """Sign that a worker's public key is of this peer."""
    return identity.sign(_vouched(pool, peer, instance, exchange))


def check_vouched(
    key: bytes, signature: bytes, *, pool: str, peer: str, instance: str, exchange: bytes
) -> None:
    """Check that a worker's public key is of the peer whose signing key is ``key``.

    Raises:
        WireError: its signature is not by that key, over that peer and instance.
    """
    if not is_signed(key, signature, _vouched(pool, peer, instance, exchange)):
        raise WireError(
            "the key that its pictures would be sealed for is not signed by the key that the "
            "operator vouches for."
        )


def _vouched(pool: str, peer: str, instance: str, exchange: bytes) -> bytes:
    return joined(_EXCHANGE, pool.encode(), peer.encode(), instance.encode(), exchange)
