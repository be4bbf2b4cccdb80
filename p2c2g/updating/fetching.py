"""What a peer asks its coordinator of releases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from p2c2g.errors import PoolUnavailableError, UnavailableError
from p2c2g.joining.address import PoolAddress
from p2c2g.joining.client import PoolClient
from p2c2g.settings.membership import Membership
from p2c2g.updating.manifest import (
    MAX_OFFER,
    RELEASE,
    REPORT,
    WHEEL,
    Noted,
    Offer,
    Report,
    Wheel,
)


@dataclass(frozen=True, slots=True)
class Member:
    """A peer as its coordinator knows it.

    Args:
        id: of it.
        key: that signs releases, as it was told when it joined; "" for none.
    """

    id: str
    key: str


class Source(Protocol):
    """Where releases come from.  Each may raise PoolUnavailableError."""

    def member(self) -> Member | None:
        """Return who asks; None while the machine has not joined, or where it never will.

        Raises:
            UsageError: that cannot be read.
        """

    def offer(self) -> Offer:
        """Return what is offered."""

    def fetch(self, wheel: Wheel, path: Path) -> None:
        """Write a wheel's file, which is there then as it was signed.

        Raises:
            UnavailableError: it is not what was signed, or cannot be written.
        """

    def report(self, report: Report) -> None:
        """Tell what became of a release."""


class PoolSource:
    """The coordinator of a peer's pool.

    Args:
        membership: returns the peer's, which its worker gets and renews; None while there is none.
    """

    def __init__(self, membership: Callable[[], Membership | None]) -> None:
        self._membership = membership

    def member(self) -> Member | None:
        """Return who asks."""
        found = self._membership()
        return None if found is None else Member(found.id, found.release_key)

    def offer(self) -> Offer:
        """Return what is offered."""
        with self._asking() as (client, token):
            return client.get(RELEASE, token, Offer, most=MAX_OFFER)

    def fetch(self, wheel: Wheel, path: Path) -> None:
        """Write a wheel's file."""
        part = path.with_suffix(".part")
        try:
            with self._asking() as (client, token), part.open("wb") as file:
                client.save(WHEEL.format(sha256=wheel.sha256), token, file, wheel.size)
            with part.open("rb") as file:
                digest = sha256()
                while data := file.read(1 << 20):
                    digest.update(data)
            if digest.hexdigest() != wheel.sha256:
                raise UnavailableError(f"{wheel.name}, as it was sent, is not what was signed.")
            part.replace(path)
        except OSError as error:
            raise UnavailableError(
                f"{wheel.name} cannot be written ({error.strerror}): look at the room on the disk."
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def report(self, report: Report) -> None:
        """Tell what became of a release."""
        with self._asking() as (client, token):
            client.post(REPORT, token, report, Noted)

    @contextmanager
    def _asking(self) -> Iterator[tuple[PoolClient, str]]:
        found = self._membership()
        if found is None:
            raise PoolUnavailableError("This machine has not joined its pool yet.")
        with PoolClient(PoolAddress.parse(found.pool), found.ca) as client:
            yield client, found.token.get_secret_value()
