"""What a peer signs: this is my answer to that chunk.

The signature is over the residual itself and lies inside the seal.  So it says something to
one who is shown residual and signature, such as an operator, and no key has to be shown with
them; and it names what was asked, so that nobody can show an answer beside another question.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from p2c2g.errors import WireError
from p2c2g.sealing.agreement import Ends
from p2c2g.sealing.identity import is_signed
from p2c2g.sealing.parts import joined

_ASKED: Final = b"p2c2g asked 1"
_ANSWER: Final = b"p2c2g answer 1"


@dataclass(frozen=True, slots=True)
class Asked:
    """A chunk as one peer was sent it.

    ``header`` is packed; ``picture`` is SHA-256 of the encoded picture.
    """

    ends: Ends
    header: bytes
    picture: bytes

    def digest(self) -> bytes:
        """Return what stands for all of it, 32 bytes."""
        return sha256(joined(_ASKED, self.ends.packed(), self.header, self.picture)).digest()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer said of it.

    ``header`` is packed; ``residual`` is SHA-256 of the encoded residual.
    """

    asked: Asked
    header: bytes
    residual: bytes
    signature: bytes

    def check(self, key: bytes) -> None:
        """Check that it is signed by a peer's key.

        Raises:
            WireError: it is not.
        """
        if not is_signed(
            key, self.signature, answer_text(self.asked.digest(), self.header, self.residual)
        ):
            raise WireError("a result is not signed by the key that the operator vouches for.")


def answer_text(asked: bytes, header: bytes, residual: bytes) -> bytes:
    """Return what a peer signs.

    Args:
        asked: the digest of the chunk that it answers.
        header: the packed header of the result.
        residual: SHA-256 of the encoded residual.
    """
    return joined(_ANSWER, asked, header, residual)
