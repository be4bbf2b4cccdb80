"""Releases for tests: keys, manifests, and what a coordinator offers."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import Any

from p2c2g.updating.manifest import KeyChange, Manifest, Offer, Wheel
from p2c2g.updating.signing import ReleaseKey, signed

#: When the releases of tests are signed, in seconds since 1970.
NOW = 1_800_000_000.0
DAY = 86_400.0


_new_key = cache(lambda name: ReleaseKey.generate())


def release_key(name: str = "first") -> ReleaseKey:
    """Return a key by a name, the same one each time."""
    return _new_key(name)


def wheel(version: str = "0.2.0", project: str = "p2c2g", data: bytes = b"") -> Wheel:
    """Return what is said of a wheel of some bytes."""
    data = data or f"{project} {version}".encode()
    name = f"{project}-{version}-py3-none-any.whl"
    return Wheel(name=name, sha256=sha256(data).hexdigest(), size=len(data))


def manifest(version: str = "0.2.0", serial: int = 1, **fields: Any) -> Manifest:
    """Return a manifest of one wheel."""
    told = {
        "serial": serial, "version": version, "wheels": (wheel(version),), "issued": NOW,
        "expires": NOW + 90 * DAY,
    }  # fmt: skip
    return Manifest(**(told | fields))


def change(number: int, before: str, after: str) -> str:
    """Return a signed change from one key to another."""
    old, new = release_key(before), release_key(after)
    said = KeyChange(number=number, before=old.public, after=new.public)
    return signed(said, old, new)


def offer(of: Manifest | None, key: str = "first", *changes: str) -> Offer:
    """Return what a coordinator offers."""
    text = None if of is None else signed(of, release_key(key))
    return Offer(changes=changes, manifest=text)
