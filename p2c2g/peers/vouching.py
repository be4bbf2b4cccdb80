"""Who vouches for a peer's key: the operator for its signing key, and that for its worker's.

Both are signatures, since who has the broker can write anything there.  The operator's key
comes with a membership, from the coordinator.
"""

from __future__ import annotations

from typing import Final

from p2c2g.errors import WireError
from p2c2g.peers.messages import Enrolment
from p2c2g.peers.standing import Voucher
from p2c2g.sealing.gamer_end import Vouched
from p2c2g.sealing.identity import SIGNATURE_BYTES, Identity, is_signed, key_of, text_of
from p2c2g.sealing.parts import joined

_VOUCHER: Final = b"p2c2g voucher 1"


def vouch_for(operator: Identity, pool: str, peer: str, voucher: Voucher) -> Voucher:
    """Return a voucher with the operator's signature.

    Args:
        operator: the operator's key.
        pool: the pool's name.
        peer: the peer's id.
        voucher: what is vouched for.
    """
    signature = operator.sign(_admitted(pool, peer, voucher))
    return voucher.model_copy(update={"signature": text_of(signature)})


def check_admitted(operator: bytes, pool: str, peer: str, voucher: Voucher) -> None:
    """Check that a voucher is the operator's.

    Raises:
        WireError: it is not signed by the operator's key, for that peer of that pool.
    """
    text = _admitted(pool, peer, voucher)
    if not is_signed(operator, signature_of(voucher.signature), text):
        raise WireError("what stands at the broker of it is not signed by the pool's operator.")


def signature_of(text: str) -> bytes:
    """Read a signature.

    Raises:
        WireError: it is no base64 of 64 bytes.
    """
    return key_of(text, SIGNATURE_BYTES)


def _admitted(pool: str, peer: str, voucher: Voucher) -> bytes:
    parts = (pool, peer, voucher.key, voucher.account, voucher.network)
    return joined(_VOUCHER, *(part.encode() for part in parts))


def vouched(enrolment: Enrolment, voucher: Voucher) -> Vouched:
    """Return what a peer says of its key beside what the operator says of it; not yet checked.

    Raises:
        WireError: it tells no key.
    """
    if not enrolment.exchange:
        raise WireError("it tells no key for which a picture could be sealed.")
    return Vouched(
        key=key_of(voucher.key),
        instance=enrolment.instance,
        exchange=key_of(enrolment.exchange),
        signature=signature_of(enrolment.exchange_signature),
    )
