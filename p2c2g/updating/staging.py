"""Who gets a release first, and when it is stopped.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from p2c2g.updating.manifest import Result

#: How many of the last reports count.
LATEST: Final = 50
#: A release is stopped where so many of them failed, and such a share.
LEAST_FAILED: Final = 2
SHARE_FAILED: Final = 0.2


@dataclass(frozen=True, slots=True)
class Reported:
    """One peer's report; ``account`` is whose peer it is."""

    account: str
    result: Result


def is_chosen(peer: str, version: str, share: float) -> bool:
    """Tell whether a peer is among a share of all for a version.

    Who is chosen stays so when the share grows, and it is others for each version.
    """
    digest = sha256(f"{version} {peer}".encode()).digest()
    return int.from_bytes(digest[:6], "big") < share * 2**48


def why_stop(reports: Sequence[Reported]) -> str | None:
    """Return why a release is stopped by what peers report of it; None where it is not.

    It is where two failed and a fifth or more of the last ones did, of two accounts at least: one
    account's word stops nobody else's updates.  Where one account alone has reported, its word is
    all there is.

    Args:
        reports: one a peer, the newest last; those that were unable say nothing of it.
    """
    told = [each for each in reports if each.result is not Result.UNABLE][-LATEST:]
    failed = [each for each in told if each.result is Result.FAILED]
    if len(failed) < LEAST_FAILED or len(failed) < SHARE_FAILED * len(told):
        return None
    if len({each.account for each in failed}) < min(2, len({each.account for each in told})):
        return None
    return f"{len(failed)} of the last {len(told)} machines went back from it."
