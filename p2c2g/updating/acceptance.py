"""Whether a peer takes what its coordinator offers.  Pure.

The coordinator is believed in nothing here: what counts is signed by a key that the peer was told
when it joined, or by one that this key, or its successors, handed on to.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from packaging.specifiers import SpecifierSet
from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from p2c2g.errors import UpdateError
from p2c2g.updating.manifest import KeyChange, Manifest, Offer
from p2c2g.updating.signing import opened, payload_of
from p2c2g.updating.staging import is_chosen

#: Seconds by which a machine's clock may be behind an operator's.
_CLOCKS: Final = 86_400.0


class Trusted(BaseModel):
    """What a peer goes by, and keeps.

    Args:
        pinned: the public key that signed releases when the peer joined, base64 of 32 bytes.
        key: the one that signs them now.
        changes: how often it has changed.
        serial: the highest that was seen; 0 before the first.
        digest: SHA-256 of what was said by that serial.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    pinned: str = Field(pattern=r"^[A-Za-z0-9+/]{43}=$")
    key: str = Field(pattern=r"^[A-Za-z0-9+/]{43}=$")
    changes: int = Field(default=0, ge=0)
    serial: int = Field(default=0, ge=0)
    digest: str = Field(default="", max_length=64)

    @classmethod
    def at_first(cls, key: str) -> Self:
        """Return what a peer goes by that was told a key when it joined."""
        return cls(pinned=key, key=key)


@dataclass(frozen=True, slots=True)
class Own:
    """What a peer knows of itself.

    Args:
        peer: its id.
        version: that it runs.
        python: of its Python, such as ``3.11.2``.
        failed: SHA-256 of the wheels that did not work here.
    """

    peer: str
    version: str
    python: str
    failed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an offer.

    Args:
        trusted: what the peer goes by from now on.
        manifest: what was offered; None where nothing was.
        wanted: whether it is to be installed now.
        why: a sentence for people.
    """

    trusted: Trusted
    manifest: Manifest | None
    wanted: bool
    why: str


def decide(offer: Offer, trusted: Trusted, own: Own, now: float) -> Decision:
    """Look at an offer.

    Raises:
        UpdateError: it must not be believed; what the peer goes by stays as it is.
    """
    trusted = _followed(offer, trusted)
    if offer.manifest is None:
        return Decision(trusted, None, False, "There is no release to be had now.")
    manifest = opened(offer.manifest, Manifest, trusted.key)
    trusted = _counted(manifest, sha256(payload_of(offer.manifest)).hexdigest(), trusted)
    # What is said by the key counts from here on: none of what follows makes its number unseen.
    offered, running = Version(manifest.version), Version(own.version)
    why, wanted = f"{offered} is to be installed.", False
    if manifest.expires <= now:
        why = f"The release {offered} has expired, or this machine's clock is wrong."
    elif manifest.issued > now + _CLOCKS:
        why = f"The release {offered} is of a day to come, or this machine's clock is wrong."
    elif offered < running:
        why = (
            f"The release that is offered is {offered}, older than {running}, which this machine "
            "runs: it never goes back by that."
        )
    elif offered == running:
        why = f"This machine runs {running}, the newest."
    elif manifest.main.sha256 in own.failed:
        why = f"{offered} did not work here."
    elif own.python not in SpecifierSet(manifest.python):
        why = f"{offered} needs Python {manifest.python}, and this machine has {own.python}."
    elif not is_chosen(own.peer, manifest.version, manifest.share):
        why = f"{offered} is given to {100 * manifest.share:g} % of all machines first."
    else:
        wanted = True
    return Decision(trusted, manifest, wanted, why)


def _followed(offer: Offer, trusted: Trusted) -> Trusted:
    """Return what is trusted after the changes of the key that are new here."""
    for text in offer.changes:
        # Those that lie behind cannot be verified any more, and need not be.
        if _number(text) <= trusted.changes:
            continue
        change = _change(text, trusted)
        trusted = trusted.model_copy(update={"key": change.after, "changes": change.number})
    return trusted


def _number(text: str) -> int:
    """Return the number that a change says it has, which is believed for nothing but to skip it."""
    try:
        return KeyChange.model_validate_json(payload_of(text)).number
    except ValidationError as error:
        raise UpdateError("What is offered as a change of the release key is none.") from error


def _change(text: str, trusted: Trusted) -> KeyChange:
    change = opened(text, KeyChange, trusted.key)
    if change.number != trusted.changes + 1 or change.before != trusted.key:
        raise UpdateError("A change of the release key does not follow the one before.")
    return opened(text, KeyChange, trusted.key, change.after)


def _counted(manifest: Manifest, digest: str, trusted: Trusted) -> Trusted:
    """Return what is trusted after a manifest, which may not be older than one before.

    Raises:
        UpdateError: it is, or it is another by the same number.
    """
    if manifest.serial < trusted.serial:
        raise UpdateError(
            f"The release that is offered has the number {manifest.serial}, older than "
            f"{trusted.serial}, which was seen here before."
        )
    if manifest.serial == trusted.serial and digest != trusted.digest:
        raise UpdateError(f"Two releases have the number {manifest.serial}.")
    return trusted.model_copy(update={"serial": manifest.serial, "digest": digest})
